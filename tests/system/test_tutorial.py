"""The tutorial does what it says: its blocks run in order and print what it prints."""

import doctest
import json
import os
import pathlib
import re
import subprocess
import sys
from dataclasses import dataclass

import pytest

pytestmark = [pytest.mark.ioc, pytest.mark.tiled, pytest.mark.timeout(300)]

TUTORIAL = (
    pathlib.Path(__file__).parents[2].joinpath("docs", "tutorials", "first-ple.md")
)

FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DECIMAL = re.compile(r"\d+\.\d+")

LAST_DIGITS = 10
"""By how much of its last digit a printed decimal may differ: noise is not the same."""

PROGRAM = "# read.py"
"""First line of the block that is a program of its own."""

SESSION = """
import contextlib, io, json, sys
from triplet_bluesky.settings import load_settings
from triplet_bluesky.startup import namespace
said = []
with namespace(load_settings()) as names:
    for number, block in enumerate(json.load(sys.stdin)):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(block, f"block {number}", "exec"), names)
        said.append(out.getvalue())
print(json.dumps(said))
"""


@dataclass
class Block:
    """A code block, and what the tutorial says that it prints, if it says so."""

    code: str
    printed: str | None = None


def blocks():
    """The Python blocks of the tutorial in their order."""
    found = []
    for kind, text in FENCED.findall(TUTORIAL.read_text(encoding="utf-8")):
        if kind == "python":
            found.append(Block(text))
        elif kind == "text":
            assert found[-1].printed is None, text
            found[-1].printed = text
    return found


def with_numbers_of(got, expected):
    """What was printed, with expected decimals in place of those that are near."""
    wanted = iter(DECIMAL.findall(expected))

    def nearest(match):
        number = next(wanted, match.group())
        unit = 10.0 ** -len(number.partition(".")[2])
        near = abs(float(match.group()) - float(number)) <= LAST_DIGITS * unit
        return number if near else match.group()

    return DECIMAL.sub(nearest, got)


def agree(got, expected):
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    checker = doctest.OutputChecker()
    return checker.check_output(expected, with_numbers_of(got, expected), flags)


@pytest.mark.parametrize(
    ("got", "expected", "agrees"),
    [
        ("47.1 uW\n", "47.4 uW\n", True),
        ("45.1 uW\n", "47.4 uW\n", False),
        ("2352.84 ± 0.03 meV\n", "2352.88 ± 0.02 meV\n", True),
        ("2353.88 ± 0.03 meV\n", "2352.88 ± 0.02 meV\n", False),
        ("13 success\n", "12 success\n", False),
        ("/somewhere/ple-1f.png\n", ".../ple-....png\n", True),
    ],
)
def test_printed_numbers_agree_within_their_last_digits(got, expected, agrees):
    assert agree(got, expected) is agrees


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """A bench and a store of their own, a hundred times faster than real."""
    from triplet_bluesky import services
    from triplet_bluesky.settings import Settings

    chosen = Settings(
        data_dir=tmp_path_factory.mktemp("tutorial"),
        ca_port=services.free_port(),
        ca_repeater_port=services.free_port(),
        tiled_port=services.free_port(),
        time_factor=100.0,
    )
    with services.running(services.bench_services(chosen), chosen.state_dir):
        yield chosen


def run_python(*arguments, settings, cwd, stdin=""):
    """Run Python where the session has its settings from the environment."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("EPICS_")}
    names = ("ca_port", "ca_repeater_port", "tiled_port", "data_dir")
    ours = {f"TRIPLET_{n.upper()}": str(getattr(settings, n)) for n in names}
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        input=stdin,
        cwd=cwd,
        env=kept | ours | {"MPLBACKEND": "Agg"},
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_tutorial_prints_what_it_says(settings, tmp_path):
    typed = [block for block in blocks() if not block.code.startswith(PROGRAM)]
    (program,) = [block for block in blocks() if block.code.startswith(PROGRAM)]

    answer = run_python(
        *("-c", SESSION),
        settings=settings,
        cwd=tmp_path,
        stdin=json.dumps([block.code for block in typed]),
    )
    said = json.loads(answer.splitlines()[-1])
    for block, got in zip(typed, said, strict=True):
        if block.printed is not None:
            assert agree(got, block.printed), f"{block.code}\nprinted\n{got}"
    assert (tmp_path / "spectrum.png").stat().st_size > 0

    (tmp_path / "read.py").write_text(program.code, encoding="utf-8")
    got = run_python(
        *("read.py", settings.tiled_uri, settings.api_key_file),
        settings=settings,
        cwd=tmp_path,
    )
    assert agree(got, program.printed), got
