"""Templates of settings files, filled in and commented.

Contents: `names`, `filled`, `comment`, `commented`.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from audiomtl.settings.fields import known_paths

TEMPLATES = Path(__file__).parents[1] / "templates"
STUDY = "_study"  # at the end of a study's template
COLUMN = 35  # of comments
PLAIN = ("model", "description")  # settings without a comment
LONGEST = 120  # characters of a comment that gives the whole description
WIDTH = 116  # characters of a comment above the settings


def names() -> list[str]:
    """Families that have a template, sorted."""
    return sorted(path.stem for path in TEMPLATES.glob("*.toml") if not path.stem.endswith(STUDY))


def filled(template: str, values: Mapping[str, str]) -> str:
    """The text of a template with its values in the places of their names, ``@NAME@``."""
    text = (TEMPLATES / template).read_text(encoding="utf-8")
    return re.sub(r"@([A-Z]+)@", lambda place: values[place[1]], text)


def comment(note: str) -> str:
    """A note as comment lines, with a dash before the first."""
    words, lines = note.split(), ["#  "]
    for word in words:
        if len(lines[-1]) + len(word) + 1 > WIDTH:
            lines.append("#    ")
        lines[-1] += f" {word}"
    return "\n".join(lines).replace("#   ", "# - ", 1) + "\n"


def commented(text: str, schema: Any) -> str:
    """The text of a file with a comment on each setting at the end of its line."""
    known, table, lines = known_paths(schema, tomllib.loads(text)), "", []
    for line in text.splitlines():
        if found := re.match(r"\[(.*?)\]", line):
            table = f"{found[1]}."
        key = line.partition(" = ")[0]
        if (
            f"{table}{key}" in known
            and key not in PLAIN
            and "  #" not in line
            and not table.startswith("ablation")
        ):
            line = f"{line:<{COLUMN - 1}} # {_short(known[f'{table}{key}'].field.description or '')}"
        lines.append(line)
    return "\n".join(lines) + "\n"


def _short(description: str) -> str:
    """A description without its full stop; only the first part of a long one."""
    if len(description) <= LONGEST:
        return description.removesuffix(".")
    return re.split(r"; |\. |\.$", description)[0]
