"""Long work in short turns."""

import asyncio

import pytest

from ioc_sim import turns
from ioc_sim.turns import do_at_once, do_in_turns


def steps(number, done):
    for step in range(number):
        done.append(step)
        yield
    return sum(done)


def test_work_at_once_gives_its_result():
    assert do_at_once(steps(4, [])) == 6


@pytest.mark.parametrize("turn_s", [0.0, 60.0])
def test_work_in_turns_gives_the_same_result(monkeypatch, turn_s):
    monkeypatch.setattr(turns, "TURN", turn_s)

    assert asyncio.run(do_in_turns(steps(4, []))) == 6


def test_others_get_a_turn_when_one_is_over(monkeypatch):
    monkeypatch.setattr(turns, "TURN", 0.0)
    done, seen = [], []

    async def watch():
        while len(done) < 5:
            seen.append(len(done))
            await asyncio.sleep(0)

    async def both():
        await asyncio.gather(do_in_turns(steps(5, done)), watch())

    asyncio.run(both())

    assert seen == [1, 2, 3, 4]


def test_an_error_in_the_work_comes_out():
    def fail():
        yield
        msg = "no"
        raise ValueError(msg)

    with pytest.raises(ValueError, match="no"):
        asyncio.run(do_in_turns(fail()))
