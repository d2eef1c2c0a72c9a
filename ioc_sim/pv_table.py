"""The list of all PVs, as a table in Markdown."""

from collections.abc import Mapping
from typing import Any

from caproto import AccessRights, ChannelType

__all__ = ["describe_pvs"]

HEADER = """\
| PV | Type | Unit | Limits | Precision | Access | Description | Mirrors |
|---|---|---|---|---|---|---|---|
"""


def describe_pvs(pvdb: Mapping[str, Any]) -> str:
    """Describe every PV in one row of a table.

    Parameters
    ----------
    pvdb
        Channels by PV name.

    Returns
    -------
    :
        The table, with its header.
    """
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
