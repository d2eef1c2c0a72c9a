"""What warms and cools the finger of the cryostat, and how much heat it takes."""

from ioc_sim.sample import Cryostat

__all__ = ["heat_capacity", "heat_flow"]


def heat_capacity(temperature_k: float, cryostat: Cryostat) -> float:
    r"""Heat capacity of the finger, :math:`C = 110\,T^3/(T^3+45^3) + 0.6`, in J/K.

    Parameters
    ----------
    temperature_k
        Temperature of the finger.
    cryostat
        Parameters of the cryostat.
    """
    cube, knee = temperature_k**3, cryostat.capacity_knee**3
    return cryostat.capacity * cube / (cube + knee) + cryostat.addenda


def heat_flow(
    temperature_k: float,
    flow: float,
    cryostat: Cryostat,
    *,
    pressure_mbar: float = 0.0,
) -> float:
    r"""Heat into the finger without the heater, in W.

    :math:`-k_f F (T - T_\mathsf{He}) + k_l (1 + p/p_0) (300 - T)`

    Parameters
    ----------
    temperature_k
        Temperature of the finger.
    flow
        Helium flow :math:`F`, from nought to one.
    cryostat
        Parameters of the cryostat.
    pressure_mbar
        Pressure :math:`p` of the gas that has leaked into the insulating vacuum.
    """
    cooling = cryostat.conductance * flow * (temperature_k - cryostat.helium)
    leak = cryostat.heat_leak * (1 + pressure_mbar / cryostat.vacuum_knee)
    return leak * (cryostat.room - temperature_k) - cooling
