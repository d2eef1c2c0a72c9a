"""The page of all truths is complete and says what the program says."""

import re
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from ioc_sim.sample import SampleError, load_sample
from ioc_sim.truth_table import describe_truth

PAGE = Path(__file__).parents[3] / "docs/reference/truth-file.md"
TABLES = tomllib.loads(files("ioc_sim").joinpath("sample.toml").read_text())
KEYS = [(table, key) for table, values in TABLES.items() for key in values]
ROW = re.compile(r"\| `(\w+)` \| `(.+?)` \| (.*?) \| (.*?) \| (.*?) \| (.*?) \|")


@pytest.fixture(scope="module")
def rows():
    """Default, unit, range, meaning and source of each key on the page."""
    found = {}
    table = ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if heading := re.match(r"## `\[(\w+)\]`", line):
            table = heading[1]
        elif row := ROW.match(line):
            found[table, row[1]] = row.groups()[1:]
    return found


def test_the_page_is_what_the_program_prints():
    assert describe_truth() in PAGE.read_text(encoding="utf-8")


def test_every_key_is_on_the_page(rows):
    assert list(rows) == KEYS


def test_every_key_has_default_unit_range_meaning_and_source(rows):
    empty = [key for key, cells in rows.items() if not all(cells)]

    assert empty == []


def test_the_defaults_are_those_of_the_bench(rows):
    sample = load_sample().model_dump(mode="json")

    wrong = [
        (table, key)
        for (table, key), cells in rows.items()
        if tomllib.loads(f"value = {cells[0]}")["value"] != sample[table][key]
    ]
    assert wrong == []


@pytest.mark.parametrize(("table", "key"), KEYS)
def test_a_value_beyond_its_range_is_refused(rows, tmp_path, table, key):
    words = rows[table, key][2]
    bounds = re.findall(r"(from|above|to|below) (\S+)", words)
    default = TABLES[table][key]
    for word, text in bounds:
        beyond = float(text) + (-1.0 if word in {"from", "above"} else 1.0)
        value = [beyond] * len(default) if isinstance(default, list) else beyond
        path = tmp_path / "beyond.toml"
        path.write_text(f"[{table}]\n{key} = {value}\n", encoding="utf-8")

        with pytest.raises(SampleError, match=rf"{table}\.{key}"):
            load_sample(path)
    assert bounds or isinstance(default, list)
