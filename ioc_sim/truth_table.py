"""The list of all truths of the bench, as a page in Markdown."""

import re
import tomllib
from importlib.resources import files
from typing import Any, NamedTuple

from ioc_sim.sample import Sample

__all__ = ["describe_truth"]

HEADER = """\
| Key | Default | Unit | Range | What it is | Source |
|---|---|---|---|---|---|
"""

LINE = re.compile(r"(?P<key>\w+) = [^#]+# +(?P<unit>\S+) +(?P<words>.+)")
"""A line of the file: key, value, unit, and the rest in words."""

SOURCE = re.compile(r";(?![^(]*\)) ")
"""What the words are divided by: a semicolon outside parentheses."""


class _Words(NamedTuple):
    unit: str
    meaning: str
    source: str


def describe_truth() -> str:
    """Describe every key of the truth file in one row of the table that it is in.

    Returns
    -------
    :
        For each table of the file a heading, what it is about and its keys.
    """
    text = files("ioc_sim").joinpath("sample.toml").read_text(encoding="utf-8")
    words = _read_words(text)
    schema = Sample.model_json_schema()
    parts = []
    for table, values in tomllib.loads(text).items():
        about = schema["$defs"][schema["properties"][table]["$ref"].rpartition("/")[2]]
        rows = "".join(
            _row(key, value, words[table, key], about["properties"][key])
            for key, value in values.items()
        )
        parts.append(f"## `[{table}]`\n\n{about['description']}\n\n{HEADER}{rows}")
    return "\n".join(parts)


def _read_words(text: str) -> dict[tuple[str, str], _Words]:
    """Read the comments, by table and key."""
    found = {}
    table = ""
    for line in text.splitlines():
        if line.startswith("["):
            table = line[1 : line.index("]")]
        elif match := LINE.match(line):
            *meaning, source = SOURCE.split(match["words"])
            unit = match["unit"]
            found[table, match["key"]] = _Words(unit, "; ".join(meaning), source)
    return found


def _row(key: str, value: Any, words: _Words, rules: dict[str, Any]) -> str:
    cells = (f"`{key}`", f"`{value}`", words.unit, _range(rules), *words[1:])
    return f"| {' | '.join(cells)} |\n"


def _range(rules: dict[str, Any]) -> str:
    """Say between which values a key may be."""
    if items := rules.get("prefixItems"):
        return f"{len(items)} numbers{_each(items[0])}"
    kind = "whole number" if rules["type"] == "integer" else ""
    return f"{kind} {_between(rules)}".strip() or "any number"


def _each(rules: dict[str, Any]) -> str:
    between = _between(rules)
    return f", each {between}" if between else ""


def _between(rules: dict[str, Any]) -> str:
    bounds = (
        ("minimum", "from"),
        ("exclusiveMinimum", "above"),
        ("maximum", "to"),
        ("exclusiveMaximum", "below"),
    )
    return " ".join(f"{word} {rules[key]:g}" for key, word in bounds if key in rules)
