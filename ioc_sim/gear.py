"""A drive with play: what it moves follows its motor only while the teeth touch."""

from collections.abc import Callable, Sequence

from ioc_sim.history import History

__all__ = ["Gear"]


class Gear:
    """A motor, and what its gear moves with some play.

    The teeth touch without play after a motion upwards; a motion downwards first takes
    up the play, and the output then stays above the motor by it.

    Parameters
    ----------
    motor
        Where the motor is, as its encoder reads it.
    output
        What acts on the light; it starts where the motor is.
    play
        Gives the play at a simulated time, in the unit of the history.
    """

    def __init__(
        self, motor: History, output: History, play: Callable[[float], float]
    ) -> None:
        self.motor = motor
        self.engaged = True
        """Whether the last motion went upwards to its end: there is no play then."""
        self._output = output
        self._play = play

    def move(self, time_s: float, targets: Sequence[float], speed: float) -> float:
        """Send the motor to one target after the other, at a constant speed.

        Parameters
        ----------
        time_s
            When it starts, in simulated seconds; ends the move before it.
        targets
            Where to, in the unit of the histories.
        speed
            Units a simulated second, above zero.

        Returns
        -------
        :
            When it ends, in simulated seconds.
        """
        self.stop(time_s)
        play = self._play(time_s)
        start, motor = time_s, self.motor.at(time_s)
        output = self._output.at(time_s)
        for target in targets:
            self.engaged = target - motor >= (0.0 if self.engaged else play)
            end = start + abs(target - motor) / speed
            self.motor.ramp(start, end, target)
            pushed = _pushed(output, target, target + play)
            travel = abs(pushed - output)
            if travel:
                touching = travel == abs(target - motor)
                touch = start if touching else max(end - travel / speed, start)
                self._output.ramp(touch, end, pushed)
            start, motor, output = end, target, pushed
        return start

    def stop(self, time_s: float) -> float:
        """Stop where it is, and give the motor's position.

        Parameters
        ----------
        time_s
            When, in simulated seconds.
        """
        if self.motor.last_s > time_s:
            self.engaged = False
        self._output.forget_after(time_s)
        self._output.stop(time_s)
        self.motor.forget_after(time_s)
        return self.motor.stop(time_s)


def _pushed(output: float, low: float, high: float) -> float:
    """Give where two teeth leave what is between them."""
    return min(max(output, low), high)
