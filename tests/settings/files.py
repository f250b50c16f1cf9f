"""A valid experiment and study as texts, ways to edit them, and a check of what the command says of them."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.command import run

PROJECT = Path(__file__).parents[2]
SHIPPED = (PROJECT / "experiments" / "quickstart.toml").read_text(encoding="utf-8")
EXPERIMENT = re.sub(  # tests put ranges around it: the shipped number of epochs is chosen by its minutes
    r"(?m)^epochs = \d+$",
    "epochs = 10",
    re.split(r"^\[(?:ablation|expected)", SHIPPED, flags=re.MULTILINE)[0],
    count=1,
)
EXPERIMENT += '[ablation.unscaled]\nfeatures.scaling = "none"\n'
STUDY = """\
experiment = "one"
description = "A study."
metric = "validation/phone_error_rate"
direction = "minimize"
prune_on = "validation/loss"
prune_direction = "minimize"
prune_after_epochs = 3
trials = 8
sampler = "random"
sampler_seed = 1

[search]
optimizer.learning_rate = { low = 1e-4, high = 1.0, log = true }
optimizer.name = { choices = ["sgd", "adam", "rmsprop"] }
optimizer.momentum = { low = 0.0, high = 0.99, when = { "optimizer.name" = ["sgd"] } }
"""

Edit = Callable[[str], str]


def put(path: str, value: str) -> Edit:
    """Replace the value at a setting path, in its line."""
    table, _, key = path.rpartition(".")

    def edit(text: str) -> str:
        section, lines, done = "", text.splitlines(), 0
        for index, line in enumerate(lines):
            if found := re.match(r"\[(.*)\]", line):
                section = found[1]
            elif section == table and re.match(rf"{re.escape(key)}\s*=", line):
                lines[index] = value and f"{key} = {value}"
                done += 1
        assert done == 1, f"{path} is {done} times in the file"
        return "\n".join(lines) + "\n"

    return edit


def drop(path: str) -> Edit:
    return put(path, "")


def add(table: str, line: str) -> Edit:
    """A new line at the beginning of a table; at the top for ``""``."""
    return lambda text: (
        re.sub(rf"(?m)^\[{re.escape(table)}\].*\n", lambda found: found[0] + line + "\n", text)
        if table
        else f"{line}\n{text}"
    )


def append(text: str) -> Edit:
    return lambda old: old + text


def search(path: str, value: str, *more: Edit) -> Edit:
    """The study with one more swept setting, in place of its own where it has one."""

    def edit(text: str) -> str:
        kept = [line for line in text.splitlines() if not line.startswith(f"{path} = ")]
        text = "\n".join([*kept, f"{path} = {value}"]) + "\n"
        for one in more:
            text = one(text)
        return text

    return edit


def whole(path: str, of: str, to: str) -> Edit:
    return lambda text: text.replace(of, to, 1)


def several(metrics: str, directions: str, *more: Edit) -> Edit:
    """The study judged by several scores in place of its one; "" leaves a list out."""

    def edit(text: str) -> str:
        lines = [
            f"metrics = {metrics}" if metrics else "",
            f"directions = {directions}" if directions else "",
        ]
        for one in (drop("metric"), drop("direction"), add("", "\n".join(lines)), *more):
            text = one(text)
        return text

    return edit


BOTH = '["validation/phone_error_rate", "validation/frame_accuracy"]'


def check_slip(path: Path, edit: Edit, part: str, monkeypatch: Any, capsys: Any) -> None:
    old = path.read_text(encoding="utf-8")
    new = edit(old)
    assert new != old, "the slip changes nothing"
    path.write_text(new, encoding="utf-8")
    code, out, err = run(monkeypatch, capsys, "check")
    # the other files are checked all the same
    assert code == 1 and re.fullmatch(r"[01] experiments? and [01] stud(y|ies) (is|are) valid\n", out)
    assert part in err
    assert err.startswith(f"audiomtl: {path.parent.name}/one.toml: ")  # the file comes first
    assert err.count("\n") == 1 and err.endswith("\n") and len(err) < 400
    for strange in (
        "Traceback",
        "pydantic",
        "Input should",
        "valid dictionary",
        "tuple",
        "NoneType",
        "german_speech.",
    ):
        assert strange not in err
