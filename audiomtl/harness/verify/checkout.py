"""Recorded scores rebuilt by the code that recorded them, in a temporary folder.

Git checks out the commit there, `requirements.lock` of the commit is installed unless it is the one that is
installed here, and every seed of an experiment, or the one of a run, is trained; runs and cache are temporary
as well. Contents: `verify_there`, `verify_record_there`.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from audiomtl.config import ExperimentFile
from audiomtl.data import catalog
from audiomtl.errors import SurroundingsError
from audiomtl.harness.experiment import family_scores
from audiomtl.harness.record import provenance
from audiomtl.harness.record.store import Run, Tracking
from audiomtl.harness.terminal import show_table
from audiomtl.harness.train.progress import console
from audiomtl.harness.verify import compare, origin
from audiomtl.harness.verify.record import Record
from audiomtl.harness.verify.result import Verified
from audiomtl.settings.toml import as_toml

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
    name = file.path.stem
    with _checked_out(commit) as (folder, temporary):
        if fault := _train(
            file.name, name, str(recorded.get("code")), commit, folder, temporary, slots, threads
        ):
            return Verified(file.name, False, fault)
        got = _scores(file, temporary / "runs")
    floors = {} if compare.same_bits(recorded, threads) else compare.floors_here(file)
    verdicts = compare.compare(file.expected, got, threads, family_scores(file), floors=floors)
    if moved := [one.score for one in verdicts if not one.reproduced]:
        show_table(compare.table(verdicts))
        text = f"recorded score: not reproduced at commit {commit[:12]}: {', '.join(moved)}"
        return Verified(file.name, False, text)
    text = compare.summary(verdicts, recorded, threads)
    return Verified(file.name, True, f"{text}, at commit {commit[:12]}")


def verify_record_there(record: Record, *, threads: int) -> Verified:
    """Train one run with the code of its commit: an experiment of its settings and its seed alone, whose best
    run has the same scores.

    Raises
    ------
    SurroundingsError : git, or the installation of the packages, fails.
    """
    commit = record.tags.get("commit", "none")
    if commit == "none":
        return Verified(record.name, False, "it was recorded outside git: there is no commit to check out")
    name = f"run_{record.tags['fingerprint']}"
    raw = {**record.raw, "seeds": [record.seed], "study_seed": record.seed + 1}
    own = str(record.tags.get("mlflow.source.name", ""))
    with _checked_out(commit) as (folder, temporary):
        path = folder / "experiments" / f"{name}.toml"
        raw |= _acknowledged(path.parent / own) if own else {}
        path.parent.mkdir(exist_ok=True)
        path.write_text(as_toml(raw, record.seed), encoding="utf-8")
        code = record.tags.get("code", "")
        if fault := _train(record.name, name, code, commit, folder, temporary, 1, threads):
            return Verified(record.name, False, fault)
        trained = [
            one for one in _runs(name, temporary / "runs") if one.data.tags["seed"] == str(record.seed)
        ]
    if not trained:
        return Verified(record.name, False, f"the training failed at commit {commit[:12]}")
    now = trained[-1].data
    moved = [score for score, value in record.scores.items() if now.metrics.get(score) != value]
    weights = record.tags.get("weights", "")
    if moved:
        text = (
            f"recorded score: {len(moved)} of {len(record.scores)} scores differ at commit {commit[:12]}:"
            f" {moved[0]} recorded {record.scores[moved[0]]:.6f}, now"
            f" {now.metrics.get(moved[0], float('nan')):.6f}"
        )
        if not compare.same_bits(record.computed, threads):
            text += "; another processor recorded it, and one run alone cannot be tested for equivalence"
        return Verified(record.name, False, text)
    if weights and weights != now.tags.get("weights") and compare.same_bits(record.computed, threads):
        return Verified(record.name, False, f"weights: not those of commit {commit[:12]}")
    return Verified(
        record.name,
        True,
        f"all {len(record.scores)} scores were reproduced bit for bit at commit {commit[:12]}",
    )


def _acknowledged(path: Path) -> dict[str, Any]:
    """What the experiment file of a run acknowledges, which is none of its settings."""
    if not path.is_file():
        return {}
    found = tomllib.loads(path.read_text(encoding="utf-8")).get("acknowledged")
    return {"acknowledged": found} if found else {}


def _train(
    shown: str,
    name: str,
    code: str,
    commit: str,
    folder: Path,
    temporary: Path,
    slots: int,
    threads: int,
) -> str:
    """Train the experiment ``name`` of a checked-out folder; what speaks against it, "" if nothing does.

    Parameters
    ----------
    shown : its name for people. code : the recorded key of the code, which the commit must have.
    """
    console().print(f"{shown}: commit {commit[:12]} in {folder}", highlight=False)
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "AUDIOMTL_RUNS": str(temporary / "runs"),
        "AUDIOMTL_CACHE": str(temporary / "cache"),
        "AUDIOMTL_DATA": str(catalog.data_folder()),
    }
    for variable in ("MLFLOW_TRACKING_URI", "AUDIOMTL_STORAGE"):
        environment.pop(variable, None)
    python = _python(folder, temporary)
    key = _key(python, name, folder, environment)
    if not key:
        line = f"commit {commit[:12]} computes its code key in another way: its scores alone decide"
        console().print(f"{shown}: {line}", highlight=False)
    elif key != code:
        return f"code: recorded {code}, commit {commit[:12]} has {key}"
    options = ["--slots", str(slots), "--threads", str(threads)]
    command = [python, "-P", "-m", "audiomtl", "best", name, *options]
    subprocess.run(command, cwd=folder, env=environment, check=False)
    return ""


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


def _runs(name: str, folder: Path) -> list[Run]:
    """Finished best runs of an experiment in a folder of runs."""
    before = {name: os.environ.pop(name, None) for name in ("AUDIOMTL_RUNS", "MLFLOW_TRACKING_URI")}
    os.environ["AUDIOMTL_RUNS"] = str(folder)
    try:
        return Tracking().runs(name, "tags.kind = 'best' and attributes.status = 'FINISHED'")
    finally:
        del os.environ["AUDIOMTL_RUNS"]
        os.environ.update({name: value for name, value in before.items() if value is not None})


def _scores(file: ExperimentFile, folder: Path) -> dict[str, list[float]]:
    """Recorded scores of the runs in a folder, one per seed."""
    metrics = {int(run.data.tags["seed"]): run.data.metrics for run in _runs(file.path.stem, folder)}
    seeds = file.expected["recorded"]["seeds"]
    found = {}
    for score in file.expected:
        key = score if score.startswith("test/") else f"best/{score}"
        if score != "recorded" and all(key in metrics.get(seed, {}) for seed in seeds):
            found[score] = [metrics[seed][key] for seed in seeds]
    return found
