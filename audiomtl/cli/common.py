"""Functions shared by several subcommands.

Contents: `quiet_tensorflow`, `with_data`, `fit_to_train`, `all_experiments`, `folders_of`, `Faults`,
`name_broken`, `count`.
"""

import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer


def quiet_tensorflow() -> None:
    """Redirect messages of TensorFlow's C++ code to the log of the runs.

    Python's own stderr stays the terminal.
    """
    from audiomtl.harness.record.store import server_log
    from audiomtl.redaction import guard_streams

    server_log().parent.mkdir(parents=True, exist_ok=True)
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    guard_streams()
    with server_log().open("a") as log:
        os.dup2(log.fileno(), 2)


def with_data(settings: Any) -> Any:
    """Generate or find the data and pretrained weights before anything heavy is imported; the clip table.

    Raises
    ------
    MissingData : they are not on this machine; the text says how to tell where they are.
    """
    from audiomtl.data import availability
    from audiomtl.errors import MissingData

    try:
        return availability.require(settings)
    except MissingData as error:
        if os.environ.get("AUDIOMTL_DATA"):
            raise
        remedy = "set AUDIOMTL_DATA=FOLDER if your data sets are in a folder other than data/"
        raise MissingData(f"{error}; {remedy}") from None


def fit_to_train(file: Any, arms: Sequence[str] = ("",), study: Any = None) -> None:
    """Find the data of an experiment and refuse, all at once, what the data tell before any training.

    Parameters
    ----------
    file : the experiment. arms : its ablations that are to be trained; "" is the experiment itself.
    study : a study file, whose trials are to be trained in place of the experiment.

    Raises
    ------
    MissingData : the data are not on this machine.
    UserError : trainings that cannot succeed, such as splits that lack a class; too few validation clips.
    """
    from audiomtl import config
    from audiomtl.data import inner, preflight, small_validation, subset

    tables: dict[str, Any] = {}
    splits: dict[str, dict[str, Any]] = {}
    for arm in arms:
        raw = file.arm(arm)
        settings = config.settings_of(raw, str(file.path))
        key = config.digest(raw["data"])
        if key not in tables:
            tables[key] = with_data(settings)
            if not arm and (other := subset.other_clips(file.expected, tables[key], settings)):
                print(f"{file.name}: {other}", flush=True)
        place = f"{file.path}{f': ablation.{arm}' if arm else ''}"
        seen = preflight.refuse(settings, tables[key], place, splits.setdefault(key, {}))
        chosen = {
            f"seed {one.seed}": [one.sides]
            for one in seen.divisions
            if one.sides is not None and one.seed != settings.study_seed
        }
        remedy = "enlarge it"
        if study is not None:
            own = [one.sides for one in seen.divisions if one.sides is not None]
            if study.judge.over == "folds":
                asked = (seen.table, settings.data, settings.protocol, settings.study_seed)
                own = inner.inner_splits(*asked, most=study.judge.n)
            else:
                own, remedy = own[:1], 'enlarge it, judge trials by [judge] over = "folds"'
            chosen = {"the study": own} if own else {}
        elif len(arms) == 1 and "training" not in raw:  # no epoch is chosen
            continue
        for line in small_validation.check(
            settings, chosen, place, acknowledged=file.small_validation, remedy=remedy
        ):
            print(line, flush=True)


def all_experiments() -> list[str]:
    """Names of all experiments; an error in a folder that has none."""
    from audiomtl import config
    from audiomtl.errors import UserError

    if not (found := config.names("experiments")):
        raise UserError(
            f"{os.getcwd()}: no experiments/*.toml in this folder; run audiomtl in the folder of the project"
        )
    return found


def folders_of(name: str) -> list[str]:
    """Folders that have a settings file of this name: experiments, studies or both."""
    from audiomtl import config
    from audiomtl.errors import UserError
    from audiomtl.settings.validation import nearest

    if name.endswith(".toml"):
        return ["studies" if Path(name).resolve().parent.name == "studies" else "experiments"]
    folders = ("experiments", "studies")
    if not (found := [folder for folder in folders if name in config.names(folder)]):
        known = sorted({each for folder in folders for each in config.names(folder)})
        raise UserError(
            f"{name}: no such file in experiments/ or studies/{nearest(name, known)}; they contain"
            f" {', '.join(known) or 'no files'}"
        )
    return found


class Faults:
    """Mistakes in some of several files: each is printed when it is found, and the others go on.

    A bug, such as one in a family of the user, is named by its type and line where there are several files.
    """

    def __init__(self) -> None:
        self.count = 0
        self.said = set[str]()  # a study has the mistakes of its experiment: each is printed once

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Print what goes wrong with ``name``."""
        from audiomtl.cli.mistakes import in_one_line

        try:
            yield
        except Exception as error:
            text, _ = in_one_line(error)
            if not text:
                last: Any = traceback.extract_tb(error.__traceback__)[-1]
                last = error if isinstance(error, SyntaxError) else last
                what = " ".join(str(error).split())
                text = f"{name}: {type(error).__name__}: {what} ({last.filename}, line {last.lineno})"
            if text not in self.said:
                print(f"audiomtl: {text}", file=sys.stderr, flush=True)
            self.said.add(text)
            self.count += 1

    def end(self) -> None:
        """Exit with code 1 if there was a fault."""
        if self.count:
            raise typer.Exit(1)


def name_broken(names: Sequence[str] | None) -> Faults:
    """The experiments that a command without names leaves out, because their files are broken, each named."""
    from audiomtl import config

    faults = Faults()
    for name in [] if names else all_experiments():
        with faults.of(f"experiments/{name}"):
            config.load_experiment(name)
    return faults


def count(names: list[str], one: str, many: str) -> str:
    return f"{len(names)} {one if len(names) == 1 else many}"
