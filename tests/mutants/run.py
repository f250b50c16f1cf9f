"""Each mutant against its nearest tests, in a copy of the project.

Conventions: a process that has imported the packages of others (TensorFlow ...) forks one process per
mutant, which imports the package from the copy and runs pytest. A mutant is *killed* when a test fails or its
CPU time is used up (`BOUND` times that of the tests without a mutant), and it *survives* when all pass. What
computes the same in every case is listed in ``equivalent.toml`` with the reason, and is not run.

Contents: `Target`, `targets_of`, `Outcome`, `run`, `table`.
"""

import compileall
import importlib.util
import os
import resource
import shutil
import signal
import sys
import time
import tomllib
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.mutants.rules import EVERYWHERE, Mutant, mutants_of

HERE = Path(__file__).parent
COPIED = (
    "audiomtl",
    "tests",
    "experiments",
    "studies",
    "docs",
    "pyproject.toml",
    "requirements.lock",
    "Makefile",
)
BOUND = 4  # times the CPU time of the tests without a mutant, and
SECONDS = 20  # this much more


@dataclass(frozen=True)
class Target:
    """A file of the package, what in it is changed, and the tests that should notice."""

    file: str
    tests: list[str]  # arguments of pytest
    functions: list[str] = field(default_factory=list)
    rules: list[str] = field(default_factory=lambda: list(EVERYWHERE))
    most: int = 10**6  # of its mutants, evenly spaced from top to bottom
    imports: list[str] = field(default_factory=list)  # of other packages, in the process that forks


@dataclass
class Outcome:
    """What became of the mutants of one target."""

    target: Target
    killed: list[Mutant] = field(default_factory=list)
    survived: list[Mutant] = field(default_factory=list)
    equivalent: list[Mutant] = field(default_factory=list)
    seconds: float = 0.0  # of CPU


def targets_of(path: Path) -> tuple[list[Target], list[str]]:
    """The targets of a file, and the packages that are imported once."""
    given = tomllib.loads(path.read_text(encoding="utf-8"))
    return [Target(**one) for one in given["target"]], given.get("imports", [])


def chosen(target: Target, project: Path, equivalent: Sequence[str]) -> tuple[list[Mutant], list[Mutant]]:
    """The mutants of a target that are run, and those that are listed as equivalent."""
    source = (project / target.file).read_text(encoding="utf-8")
    every = mutants_of(target.file, source, target.functions, target.rules)
    listed = [mutant for mutant in every if mutant.name in equivalent]
    left = [mutant for mutant in every if mutant.name not in equivalent]
    if len(left) > target.most:
        left = [left[number * len(left) // target.most] for number in range(target.most)]
    return left, listed


def run(
    project: Path,
    folder: Path,
    targets: Sequence[Target],
    equivalent: Sequence[str],
    imports: Sequence[str] = (),
) -> Iterator[Outcome]:
    """The outcome of each target, as soon as it is known; ``folder`` takes the copy.

    Raises
    ------
    RuntimeError : the tests of a target fail without a mutant.
    """
    for name in imports:
        importlib.import_module(name)
    copy = folder / "copy"
    for name in COPIED:
        if (project / name).is_dir():
            shutil.copytree(
                project / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "_build")
            )
        elif (project / name).is_file():
            copy.mkdir(exist_ok=True)
            shutil.copy(project / name, copy / name)
    compileall.compile_dir(copy / "audiomtl", quiet=2)  # not again in every process
    for target in targets:
        for name in target.imports:
            importlib.import_module(name)
        outcome, place = Outcome(target), copy / target.file
        Path(importlib.util.cache_from_source(str(place))).unlink(missing_ok=True)
        mutants, outcome.equivalent = chosen(target, project, equivalent)
        source = place.read_bytes()
        code, needed = _tested(copy, target.tests)
        if code:
            log = (folder / "log").read_text(encoding="utf-8", errors="replace")
            raise RuntimeError(
                f"{target.file}: its tests fail without a mutant (exit code {code}):\n{log[-3000:]}"
            )
        outcome.seconds = needed
        for mutant in mutants:
            place.write_bytes(mutant.applied(source))
            code, seconds = _tested(copy, target.tests, bound=int(BOUND * needed + SECONDS))
            outcome.seconds += seconds
            (outcome.killed if code else outcome.survived).append(mutant)
        place.write_bytes(source)
        yield outcome


def _tested(copy: Path, tests: Sequence[str], bound: int = 0) -> tuple[int, float]:
    """pytest's exit code, 0 where all tests pass, and its CPU seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    sys.stdout.flush()
    if not (pid := os.fork()):
        code = 3
        try:
            code = _pytest(copy, tests, bound)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return status, (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


def _pytest(copy: Path, tests: Sequence[str], bound: int) -> int:
    import pytest

    log = os.open(copy.parent / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number in (1, 2):
        os.dup2(log, number)
    if bound:
        resource.setrlimit(resource.RLIMIT_CPU, (bound, bound))
        signal.alarm(20 * bound)  # it may wait for ever, and use no CPU
    sys.dont_write_bytecode = True  # a mutant of the same size and second would be taken for its neighbour
    os.chdir(copy)
    os.environ["PYTHONPATH"] = str(copy)
    sys.path[:] = [
        str(copy),
        *(one for one in sys.path if one not in ("", str(copy)) and not _holds_package(one)),
    ]
    for name in [name for name in sys.modules if name.partition(".")[0] in ("audiomtl", "tests")]:
        del sys.modules[name]
    options = ["-x", "-q", "-p", "no:cacheprovider", f"--basetemp={copy.parent / 'tmp'}"]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # hypothesis is imported already
    return int(pytest.main([*options, *tests]))


def _holds_package(folder: str) -> bool:
    return (Path(folder) / "audiomtl").is_dir()


def table(outcomes: Sequence[Outcome]) -> str:
    """One row per file, then every survivor."""
    rows = [f"{'file':52} mutants  killed  survived  equivalent  CPU s"]
    totals = [0, 0, 0, 0, 0.0]
    for outcome in outcomes:
        numbers = [len(outcome.killed) + len(outcome.survived), len(outcome.killed), len(outcome.survived)]
        numbers += [len(outcome.equivalent), outcome.seconds]
        totals = [total + number for total, number in zip(totals, numbers, strict=True)]
        rows.append(_row(outcome.target.file, numbers))
    rows.append(_row("all", totals))
    if totals[0]:
        rows.append(f"{100 * totals[1] / totals[0]:.1f} % killed")
    return "\n".join(rows + [_survivor(mutant) for outcome in outcomes for mutant in outcome.survived])


def _survivor(mutant: Mutant) -> str:
    place = f"{mutant.file}:{mutant.line} {mutant.function}"
    return f"survived: {place} ({mutant.rule}): {mutant.before} -> {mutant.after}"


def _row(name: str, numbers: Sequence[float]) -> str:
    mutants, killed, survived, equivalent, seconds = numbers
    return f"{name:52} {mutants:7} {killed:7} {survived:9} {equivalent:11} {seconds:6.0f}"


def told(outcome: Outcome, began: float) -> str:
    """A line of progress, and one per survivor."""
    line = (
        f"{time.monotonic() - began:5.0f} s  {outcome.target.file}: {len(outcome.killed)} killed,"
        f" {len(outcome.survived)} survived"
    )
    return "\n".join([line, *map(_survivor, outcome.survived)])
