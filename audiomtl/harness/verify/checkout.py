"""Recorded scores rebuilt by the code that recorded them, in a temporary folder.

Git checks out the commit there, `requirements.lock` of the commit is installed unless it is the one that is
installed here, and every seed is trained; runs and cache are temporary as well. Contents: `verify_there`.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from audiomtl.config import ExperimentFile
from audiomtl.data import catalog
from audiomtl.errors import SurroundingsError
from audiomtl.harness.experiment import family_scores
from audiomtl.harness.record import provenance
from audiomtl.harness.record.store import Tracking
from audiomtl.harness.terminal import show_table
from audiomtl.harness.train.progress import console
from audiomtl.harness.verify import compare, origin
from audiomtl.harness.verify.result import Verified

KEY = (
    "import sys; from audiomtl import config; from audiomtl.harness.record import provenance;"
    " print(provenance.code_version(config.load_experiment(sys.argv[1]).raw))"
)


def verify_there(file: ExperimentFile, *, slots: int, threads: int) -> Verified:
    """Train the experiment as the recording commit has it, and compare with the scores recorded today.

    Raises
    ------
    SurroundingsError : git, or the installation of the packages, fails.
    """
    recorded = file.expected["recorded"]
    commit = origin.commit_of(file, recorded)
    if not commit:
        return Verified(file.name, False, "git knows no commit that recorded these scores")
    with _checked_out(commit) as (folder, temporary):
        console().print(f"{file.name}: commit {commit[:12]} in {folder}", highlight=False)
        environment = {
            **os.environ,
            "PYTHONPATH": str(folder),
            "AUDIOMTL_RUNS": str(temporary / "runs"),
            "AUDIOMTL_CACHE": str(temporary / "cache"),
            "AUDIOMTL_DATA": str(catalog.data_folder()),
        }
        for name in ("MLFLOW_TRACKING_URI", "AUDIOMTL_STORAGE"):
            environment.pop(name, None)
        python = _python(folder, temporary)
        name = file.path.stem
        key = _key(python, name, folder, environment)
        if not key:
            line = f"commit {commit[:12]} computes its code key in another way: its scores alone decide"
            console().print(f"{file.name}: {line}", highlight=False)
        elif key != recorded.get("code"):
            text = f"code: recorded {recorded.get('code')}, commit {commit[:12]} has {key}"
            return Verified(file.name, False, text)
        options = ["--slots", str(slots), "--threads", str(threads)]
        command = [python, "-P", "-m", "audiomtl", "best", name, *options]
        subprocess.run(command, cwd=folder, env=environment, check=False)
        got = _scores(file, temporary / "runs")
    floors = {} if compare.same_bits(recorded, threads) else compare.floors_here(file)
    verdicts = compare.compare(file.expected, got, threads, family_scores(file), floors=floors)
    if moved := [one.score for one in verdicts if not one.reproduced]:
        show_table(compare.table(verdicts))
        text = f"recorded score: not reproduced at commit {commit[:12]}: {', '.join(moved)}"
        return Verified(file.name, False, text)
    text = compare.summary(verdicts, recorded, threads)
    return Verified(file.name, True, f"{text}, at commit {commit[:12]}")


@contextlib.contextmanager
def _checked_out(commit: str) -> Iterator[tuple[Path, Path]]:
    """The project's folder in a worktree of a commit, and a temporary folder beside it."""
    with tempfile.TemporaryDirectory(prefix="audiomtl-verify-") as place:
        tree = Path(place) / "checkout"
        inside = _run(["git", "rev-parse", "--show-prefix"], Path.cwd(), os.environ).strip()
        _run(["git", "worktree", "add", "--quiet", "--detach", str(tree), commit], Path.cwd(), os.environ)
        try:
            yield tree / inside, Path(place)
        finally:
            _run(["git", "worktree", "remove", "--force", str(tree)], Path.cwd(), os.environ)


def _python(folder: Path, temporary: Path) -> str:
    """An interpreter with the packages of the commit's lock file: this one if they are the same."""
    lock = folder / "requirements.lock"
    if not lock.is_file() or provenance.lock_of(lock) == provenance.lock_hash():
        return sys.executable
    console().print("installing the packages of its requirements.lock (about two minutes)")
    _run([sys.executable, "-m", "venv", str(temporary / "venv")], folder, os.environ)
    python = str(temporary / "venv" / "bin" / "python")
    options = ["--quiet", "--require-hashes", "--only-binary", ":all:", "-r", str(lock)]
    _run([python, "-m", "pip", "install", *options], folder, os.environ)
    return python


def _run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> str:
    try:
        done = subprocess.run(
            command, cwd=folder, env=dict(environment), capture_output=True, text=True, check=True
        )
    except OSError as error:
        raise SurroundingsError(f"{command[0]}: {error.strerror}") from error
    except subprocess.CalledProcessError as error:
        last = (error.stderr or error.stdout).strip().splitlines()[-1:]
        raise SurroundingsError(f"{' '.join(command[:4])} ...: {''.join(last)}") from error
    return done.stdout


def _key(python: str, name: str, folder: Path, environment: Mapping[str, str]) -> str:
    """Key of the code in ``folder``; "" for a commit in which it is not where it is today."""
    try:
        return _run([python, "-c", KEY, name], folder, environment).strip().splitlines()[-1]
    except SurroundingsError:
        return ""


def _scores(file: ExperimentFile, folder: Path) -> dict[str, list[float]]:
    """Recorded scores of the runs in a folder, one per seed."""
    before = {name: os.environ.pop(name, None) for name in ("AUDIOMTL_RUNS", "MLFLOW_TRACKING_URI")}
    os.environ["AUDIOMTL_RUNS"] = str(folder)
    try:
        runs = Tracking().runs(file.path.stem, "tags.kind = 'best' and attributes.status = 'FINISHED'")
    finally:
        del os.environ["AUDIOMTL_RUNS"]
        os.environ.update({name: value for name, value in before.items() if value is not None})
    metrics = {int(run.data.tags["seed"]): run.data.metrics for run in runs}
    seeds = file.expected["recorded"]["seeds"]
    found = {}
    for score in file.expected:
        key = score if score.startswith("test/") else f"best/{score}"
        if score != "recorded" and all(key in metrics.get(seed, {}) for seed in seeds):
            found[score] = [metrics[seed][key] for seed in seeds]
    return found
