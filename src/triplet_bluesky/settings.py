"""Where the bench is reached and where its data go: typed, frozen, read once.

Three sources, the later wins: the defaults below; a TOML file, which is the one named
by ``$TRIPLET_SETTINGS``, else ``triplet.toml`` in the working directory, else none;
environment variables, ``TRIPLET_`` and the field's name in capitals. A key that is none
of the fields is refused by name.
"""

import difflib
import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from triplet_bluesky.errors import SettingsError

__all__ = ["CONTAINER", "Settings", "load_settings"]

CONTAINER = "runs"
"""Name of the container of the Tiled server in which all runs are."""

ENVIRONMENT_PREFIX = "TRIPLET_"
FILE_VARIABLE = "TRIPLET_SETTINGS"
SERVICE_VARIABLE = "TRIPLET_SERVICE_ID"
"""Marks the processes that `triplet_bluesky.services` starts; not a setting."""
DEFAULT_FILE = Path("triplet.toml")
PATH_FIELDS = ("data_dir", "frames_dir", "sample")


class Settings(BaseModel):
    """What differs from one bench, machine or session to another."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prefix: str = Field(default="TRIPLET:", pattern=r"^[A-Za-z0-9_:.-]*:$")
    """Prefix of every PV of the bench, with its trailing colon."""

    ca_port: int = Field(default=5064, ge=1024, le=65535)
    """TCP and UDP port on which the IOC answers Channel Access clients."""

    ca_repeater_port: int = Field(default=5065, ge=1024, le=65535)
    """UDP port of the Channel Access repeater, which passes beacons on to clients."""

    tiled_port: int = Field(default=8020, ge=1024, le=65535)
    """TCP port of the Tiled server, on the loopback interface."""

    data_dir: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("triplet-bluesky"))
    )
    """Where runs, logs and the state of the background services are kept."""

    frames_dir: Path = Field(default_factory=lambda data: data["data_dir"] / "frames")
    """Where the IOC writes files of frames, as this computer sees it."""

    ioc_frames_dir: str | None = None
    """The same folder as the IOC sees it; None where it has the same name there."""

    batch_size: int = Field(default=10, ge=1, le=10000)
    """Events that the writer gathers before it sends them to Tiled."""

    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    """Seed of every random number of the simulated bench."""

    time_factor: float = Field(default=1.0, gt=0, le=1e6)
    """Simulated seconds per second of the wall clock."""

    sample: Path | None = None
    """TOML file that replaces values of the simulated sample; None for its defaults."""

    @model_validator(mode="after")
    def _ports_differ(self) -> "Settings":
        ports = {self.ca_port, self.ca_repeater_port, self.tiled_port}
        if len(ports) < 3:  # noqa: PLR2004 - the three ports above
            msg = (
                f"ca_port {self.ca_port}, ca_repeater_port {self.ca_repeater_port} and "
                f"tiled_port {self.tiled_port} must be three different ports"
            )
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _sample_exists(self) -> "Settings":
        if self.sample is not None and not self.sample.is_file():
            msg = (
                f"got sample = {self.sample}, which is not a file; expected a TOML file"
            )
            raise ValueError(msg)
        return self

    @property
    def state_dir(self) -> Path:
        """Where it is written down which background services run."""
        return self.data_dir / "state"

    @property
    def log_dir(self) -> Path:
        """Where the background services write their logs."""
        return self.data_dir / "log"

    @property
    def tiled_dir(self) -> Path:
        """Where the Tiled server keeps its catalogue, tables, arrays and API key."""
        return self.data_dir / "tiled"

    @property
    def api_key_file(self) -> Path:
        """File that holds the Tiled server's API key, readable by its owner alone."""
        return self.tiled_dir / "api-key"

    @property
    def tiled_uri(self) -> str:
        """Address of the Tiled server's API, without the key."""
        return f"http://127.0.0.1:{self.tiled_port}/api/v1"


def load_settings(
    file: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Settings:
    """Read the settings from the file, the environment and the caller.

    Parameters
    ----------
    file
        TOML file; by default the one that ``$TRIPLET_SETTINGS`` names, else
        ``triplet.toml`` in the working directory where there is one.
    environ
        Environment variables; by default those of this process.
    overrides
        Fields by name, above everything else; a value of None is as if absent, so that
        the options of a command line can be handed over as they are.

    Returns
    -------
    Settings
        The merged settings, with absolute paths.

    Raises
    ------
    SettingsError
        A key is unknown, a value is refused, or the named file cannot be read.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    path = _settings_file(file, environ)
    if path is not None:
        _merge(values, origins, _read_toml(path), f"the file {path}")
    _merge(values, origins, _from_environment(environ), "the environment")
    given = {k: v for k, v in (overrides or {}).items() if v is not None}
    _merge(values, origins, given, "the caller")
    for name in PATH_FIELDS:
        if isinstance(values.get(name), str | Path):
            base = path.parent if path and origins[name].endswith(str(path)) else None
            values[name] = _absolute(values[name], base or Path.cwd())
    try:
        return Settings(**values)
    except ValidationError as error:
        raise SettingsError(_explain(error, origins)) from error


def _settings_file(file: Path | None, environ: Mapping[str, str]) -> Path | None:
    named = file or environ.get(FILE_VARIABLE)
    if named:
        return Path(named).expanduser().resolve()
    return DEFAULT_FILE.resolve() if DEFAULT_FILE.is_file() else None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        msg = (
            f"got the settings file {path}, which cannot be read ({error.strerror}); "
            f"expected a TOML file; correct the path or unset {FILE_VARIABLE}"
        )
        raise SettingsError(msg) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"got the settings file {path}, which is not TOML: {error}"
        raise SettingsError(msg) from error


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix(ENVIRONMENT_PREFIX).lower(): value
        for name, value in environ.items()
        if name.startswith(ENVIRONMENT_PREFIX)
        and name not in {FILE_VARIABLE, SERVICE_VARIABLE}
    }


def _merge(
    values: dict[str, Any],
    origins: dict[str, str],
    new: Mapping[str, Any],
    origin: str,
) -> None:
    """Lay new values over the old ones, refusing keys that are no settings."""
    for key in new:
        if key not in Settings.model_fields:
            raise SettingsError(_unknown(key, origin, Settings.model_fields))
    values.update(new)
    origins.update(dict.fromkeys(new, origin))


def _unknown(key: str, origin: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return (
        f"got the unknown key {key!r} in {origin}{hint}; "
        f"expected one of {', '.join(sorted(known))}"
    )


def _absolute(value: str | Path, base: Path) -> Path:
    return (base / Path(value).expanduser()).resolve()


def _explain(error: ValidationError, origins: Mapping[str, str]) -> str:
    lines = []
    for fault in error.errors():
        key = ".".join(str(part) for part in fault["loc"])
        if key:
            origin = origins.get(key, "the defaults")
            lines.append(f"got {key} = {fault['input']!r} in {origin}: {fault['msg']}")
        else:
            lines.append(fault["msg"].removeprefix("Value error, "))
    return "; ".join(lines)
