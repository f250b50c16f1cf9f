"""Create an experiment and a study for a user's table of clips. Contents: `write`."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pandas as pd

from audiomtl import config
from audiomtl.errors import UserError
from audiomtl.settings.family import settings_class
from audiomtl.settings.fields import known_paths
from audiomtl.settings.study import Study
from audiomtl.settings.validation import nearest

TEMPLATES = Path(__file__).parents[1] / "templates"
SOURCES = ("path", "array_path", "embedding_path")
# taken when they are there
GROUPS = (
    "song",
    "artist",
    "album",
    "speaker",
    "singer",
    "sentence",
    "source",
    "src_file",
    "recording",
    "group",
)
SPLIT = """kind = "split"
column = ""
test_share = 0.2
validation_share = 0.2
stratified = true"""
FOLDS = """kind = "folds"
column = "fold"
"""
COLUMN = 35  # of comments
PLAIN = ("model", "description")  # settings without a comment
LONGEST = 120  # characters of a comment that gives the whole description


def write(name: str, *, model: str, table: str, label: str = "", groups: str = "") -> list[Path]:
    """Write ``experiments/NAME.toml`` and ``studies/NAME.toml`` for a CSV or Parquet table of clips.

    Parameters
    ----------
    model : family; one that has a template.
    table : path of the table, relative to the project.
    label : its column of classes; "" is the column label.
    groups : comma-separated column names; "" takes columns with well-known names (`GROUPS`).

    Raises
    ------
    UserError : a file already exists, the family has no template, the table cannot be read or lacks a column.
    """
    known = sorted(path.stem for path in TEMPLATES.glob("*.toml") if not path.stem.endswith("_study"))
    if model not in known:
        raise UserError(f"--model {model}: no template{nearest(model, known)}; available: {', '.join(known)}")
    if not config.NAME.fullmatch(name):
        raise UserError(f"{name}: an experiment name may contain only letters, digits, _ and -")
    places = {"experiments": TEMPLATES / f"{model}.toml", "studies": TEMPLATES / f"{model}_study.toml"}
    for folder in places:
        if (Path(folder) / f"{name}.toml").exists():
            raise UserError(f"{folder}/{name}.toml: already exists; choose another name or remove it")
    columns = list(_read(table).columns)
    if not any(source in columns for source in SOURCES):
        raise UserError(
            f"{table}: needs a column {', '.join(SOURCES[:2])} or {SOURCES[2]}, but has {', '.join(columns)}"
        )
    label = label or "label"
    chosen = [part.strip() for part in groups.split(",") if part.strip()] or [
        column for column in GROUPS if column in columns
    ]
    for column in (label, *chosen):
        if column not in columns:
            raise UserError(
                f"{table}: has no column {column}{nearest(column, columns)}; --label and --groups take"
                " columns of the table"
            )
    folds = "fold" in columns
    values = {
        "NAME": name,
        "TABLE": Path(table).as_posix(),
        "STEM": Path(table).name,
        "LABEL": label,
        "GROUPS": "[" + ", ".join(f'"{column}"' for column in chosen) + "]",
        "PROTOCOL": FOLDS.rstrip() if folds else SPLIT,
        "SEEDS": "[1, 2, 3, 4, 5]",
        "STUDYSEED": "0",
        **config.family("new", model).values(columns),
    }
    written = []
    for folder, template in places.items():
        text = template.read_text(encoding="utf-8")
        for key, value in values.items():
            text = text.replace(f"@{key}@", value)
        Path(folder).mkdir(exist_ok=True)
        place = Path(folder) / f"{name}.toml"
        place.write_text(
            _commented(text, Study if folder == "studies" else settings_class(tomllib.loads(text), name)),
            encoding="utf-8",
        )
        written.append(place)
    try:
        config.load_study(name)
    except UserError:
        for place in written:
            place.unlink()
        raise
    return written


def _commented(text: str, schema: Any) -> str:
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


def _read(table: str) -> pd.DataFrame:
    try:
        return pd.read_parquet(table) if table.endswith(".parquet") else pd.read_csv(table, nrows=5)
    except Exception as error:  # pandas and pyarrow each raise their own
        raise UserError(
            f"--data {table}: cannot be read as CSV or Parquet ({' '.join(str(error).split())[:120]})"
        ) from None
