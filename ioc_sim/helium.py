"""The helium of the cryostat: what the dewar gives, and what the temperature needs."""

import math

from ioc_sim.cryostat_state import Node
from ioc_sim.heat_balance import heat_flow
from ioc_sim.sample import Cryostat

__all__ = ["flow_share", "helium_level", "needed_flow"]

RESERVE = 2.0
"""Cooling beyond the losses that the automatic needle valve provides, W; chosen."""

LEAST_FLOW = 0.05
"""Least opening of the automatic needle valve; chosen."""

COOLING_DOWN = 1.0
"""Distance to a lower set point at which the automatic valve opens fully, K; chosen."""

SECONDS_PER_HOUR = 3600.0


def helium_level(node: Node, time_s: float, cryostat: Cryostat) -> float:
    """Give the helium level after a time without a command, in %.

    It falls by what flows: evenly while there is enough, and then ever slower.

    Parameters
    ----------
    node
        State that it goes on from.
    time_s
        Simulated seconds, not before it.
    cryostat
        Parameters of the cryostat.
    """
    since, level = node.helium
    rate = cryostat.helium_use * node.valve / SECONDS_PER_HOUR
    low, duration = cryostat.helium_low, time_s - since
    enough = max(level - low, 0.0)
    if rate * duration <= enough:
        return level - rate * duration
    rest = duration - enough / rate
    return min(level, low) * math.exp(-rate / low * rest)


def flow_share(node: Node, time_s: float, cryostat: Cryostat) -> float:
    """Give the share of the flow that the dewar still gives.

    Parameters
    ----------
    node, time_s, cryostat
        As of `helium_level`.
    """
    return min(helium_level(node, time_s, cryostat) / cryostat.helium_low, 1.0)


def needed_flow(node: Node, set_point_k: float, cryostat: Cryostat) -> float:
    """Give the flow that cools with a reserve, or all of it on the way down.

    Parameters
    ----------
    node
        State of the cryostat.
    set_point_k
        Where the temperature is to go.
    cryostat
        Parameters of the cryostat.

    Returns
    -------
    :
        Opening of the needle valve, 0 to 1.
    """
    if set_point_k < node.finger_k - COOLING_DOWN:
        return 1.0
    wanted = RESERVE + heat_flow(node.working_k, 0.0, cryostat)
    full = wanted - RESERVE - heat_flow(node.working_k, 1.0, cryostat)
    return min(max(wanted / full, LEAST_FLOW), 1.0) if full > 0 else 1.0
