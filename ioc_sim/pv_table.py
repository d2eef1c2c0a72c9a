"""The list of all PVs, as a page in Markdown: one table for each instrument."""

from collections.abc import Iterable
from typing import Any

from caproto import AccessRights, ChannelType

from ioc_sim.base import BenchGroup

__all__ = ["describe_pvs"]

HEADER = """\
| PV | Type | Unit | Limits | Precision | Access | Description | Mirrors |
|---|---|---|---|---|---|---|---|
"""


def describe_pvs(groups: Iterable[BenchGroup]) -> str:
    """Describe every PV in one row of the table of its instrument.

    Parameters
    ----------
    groups
        The instruments.

    Returns
    -------
    :
        For each instrument a heading, its first words and a table.
    """
    return "\n".join(
        f"## `{group.prefix}`\n\n{_summary(group)}\n\n{_table(group.pvdb)}"
        for group in groups
    )


def _summary(group: BenchGroup) -> str:
    return (type(group).__doc__ or "").split("\n", 1)[0]


def _table(pvdb: dict[str, Any]) -> str:
    rows = (
        (
            f"`{name}`",
            _kind(channel),
            getattr(channel, "units", ""),
            _limits(channel),
            str(getattr(channel, "precision", "")),
            "rw" if AccessRights.WRITE in channel.check_access("", "") else "r",
            channel.__doc__,
            channel.mirrors,
        )
        for name, channel in pvdb.items()
    )
    return HEADER + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _kind(channel: Any) -> str:
    kind = ChannelType(channel.data_type).name
    return f"{kind}[{channel.max_length}]" if channel.max_length > 1 else kind


def _limits(channel: Any) -> str:
    if channel.data_type == ChannelType.ENUM:
        return ", ".join(channel.enum_strings)
    if not hasattr(channel, "lower_ctrl_limit"):
        return ""
    return f"{channel.lower_ctrl_limit:g} .. {channel.upper_ctrl_limit:g}"
