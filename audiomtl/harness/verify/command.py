"""`audiomtl verify`: which kind of record its argument names, and what is printed.

Contents: `Request`, `verify`.
"""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from audiomtl import config
from audiomtl.config import ExperimentFile
from audiomtl.errors import MissingData, UserError
from audiomtl.harness.record.store import server_log
from audiomtl.harness.train.forkserver import start_forkserver
from audiomtl.harness.train.progress import console
from audiomtl.harness.verify import checkout, experiment, frozen, machines, run
from audiomtl.harness.verify.result import Verified

RUN = re.compile(r"[0-9a-f]{32}")  # id of an MLflow run


@dataclass(frozen=True)
class Request:
    """Options of `audiomtl verify`."""

    quick: bool = False
    checkout: bool = False
    record: bool = False
    append: str = ""
    slots: int = 1
    threads: int = 1


def verify(names: Sequence[str], request: Request) -> bool:
    """Rebuild recorded numbers, print one line about each record, and return whether all came back.

    Parameters
    ----------
    names : experiments, ids of MLflow runs, files that end in ``.zip``; none: every experiment with recorded
        scores.

    Raises
    ------
    UserError : a name that is none of these.
    """
    began, results, files = time.monotonic(), list[Verified](), list[ExperimentFile]()
    slots, threads = request.slots, request.threads
    ids = [name for name in dict.fromkeys(names) if RUN.fullmatch(name)]
    for name in names:
        if RUN.fullmatch(name) or name.endswith(".zip"):
            _check(name, request)
    if ids:
        results += run.verify_runs(ids, slots=slots, threads=threads, there=request.checkout)
    for name in names:
        if RUN.fullmatch(name):
            continue
        if name.endswith(".zip"):
            results += frozen.verify_frozen(Path(name), quick=request.quick, slots=slots, threads=threads)
        else:
            files.append(_recorded(config.load_experiment(name)))
    if not names:
        files = [file for file in config.load_experiments([]) if file.expected]
        if not files:
            raise UserError(
                "experiments/: no recorded scores; `audiomtl best NAME --record` writes [expected]"
            )
    if files:
        start_forkserver(files[0].raw["model"], server_log())  # imports TensorFlow while the data are read
    checked = list[experiment.Checked]()
    for file in files:
        try:
            checked.append(experiment.examine(file, fingerprint=request.quick))
        except MissingData as error:
            results.append(Verified(file.name, False, str(error)))
    if request.quick:
        results += experiment.quick(checked, record=request.record, slots=slots, threads=threads)
    else:
        for one in checked:
            there = request.checkout and one.changes and one.only_code
            results.append(
                checkout.verify_there(one.file, slots=slots, threads=threads)
                if there
                else experiment.whole(one, slots=slots, threads=threads)
            )
    for result in results:
        console().print(str(result), highlight=False)
    if len(results) > 1:
        good = sum(one.reproduced for one in results)
        console().print(f"{good} of {len(results)} reproduced, {time.monotonic() - began:.0f} s")
    if request.append:
        words = ["audiomtl verify", *names, *(["--quick"] if request.quick else [])]
        machines.append(Path(request.append), " ".join(words), results)
        console().print(f"{request.append}: row of this machine written", highlight=False)
    return all(one.reproduced for one in results)


def _check(name: str, request: Request) -> None:
    """Refuse options that a run or a frozen study has no use for."""
    frozen_study = name.endswith(".zip")
    if request.record:
        raise UserError(f"{name}: --record writes into experiment files; give the name of an experiment")
    if request.quick and not frozen_study:
        raise UserError(f"{name}: a run has no recorded first steps; leave out --quick")
    if request.checkout and frozen_study:
        raise UserError(
            f"{name}: --checkout rebuilds experiments and runs; for a frozen study, check out the commit that"
            " `audiomtl verify` names and run it there"
        )


def _recorded(file: ExperimentFile) -> ExperimentFile:
    if not file.expected:
        raise UserError(
            f"{file.path}: no recorded scores to rebuild; `audiomtl best {file.name} --record` writes"
            " [expected]"
        )
    return file
