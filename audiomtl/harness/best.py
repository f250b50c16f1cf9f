"""Best runs on every seed, compared with the recorded scores.

Contents: `best`, `record`, `compare`, `came_back`.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import mean, median, stdev
from typing import Any

from rich.table import Table

from audiomtl import surroundings
from audiomtl.config import ExperimentFile
from audiomtl.data import catalog
from audiomtl.harness import replicates, score_tables
from audiomtl.harness.experiment import rates_beside, scores_beside, scores_of, train_runs
from audiomtl.harness.record import provenance
from audiomtl.harness.train.progress import console
from audiomtl.settings.toml import write

LEAST_TOLERANCE = 0.02  # for another machine


def best(
    file: ExperimentFile, *, record_it: bool, again: bool, exact: bool, slots: int, threads: int
) -> bool:
    """Train the experiment on all its seeds and record its scores, or compare them with the recorded ones.

    Parameters
    ----------
    exact : every score of every seed must be bit-identical, whatever machine recorded it.

    Returns
    -------
    Whether every training completed and every recorded score was reproduced.
    """
    runs = train_runs(file, [""], again=again, slots=slots, threads=threads)
    missing = [seed for seed in file.settings.seeds if ("", seed) not in runs]
    if missing:
        console().print(
            f"{file.name}: no scores for seeds {missing}: their trainings failed; see the tag `reason` in"
            " MLflow"
        )
        return False
    by_seed = {seed: runs["", seed] for seed in file.settings.seeds}
    trained = list(by_seed.values())
    got, beside = scores_of(file, trained), rates_beside(trained) | scores_beside(file, trained)
    if record_it:
        seconds = median(run.data.metrics["cost/cpu_seconds"] for run in runs.values())
        settings: Any = file.settings
        folds = replicates.of_clips(settings, list(by_seed), catalog.clips(settings.data))
        record(file, got, seconds, threads, trained[0].data.tags.get("device", "CPU"), folds)
        console().print(f"{file.path}: [expected] recorded for seeds {list(file.settings.seeds)}")
        score_tables.show(file, by_seed, {**got, **beside})
        return True
    score_tables.show(file, by_seed, {**got, **beside})
    if not file.expected:
        console().print(
            f"{file.path}: no recorded scores to compare with; `audiomtl best {file.name} --record` writes"
            " [expected]"
        )
        return not exact
    if list(file.expected["recorded"]["seeds"]) != list(file.settings.seeds):
        console().print(
            f"{file.path}: [expected] was recorded for different seeds; `audiomtl best {file.name} --record`"
            " records it again"
        )
        return False
    rows = compare(file.expected, got, threads, exact=exact)
    moved = [row for row in rows if not row[-1]]
    if unrecorded := sorted(got.keys() - file.expected.keys()):
        console().print(
            f"{file.path}: [expected] has no {', '.join(unrecorded)}: not checked", highlight=False
        )
    table = Table("score", "seed", "recorded", "now", "difference", "allowed")
    for name, seed, was, now, allowed, _ in moved:
        table.add_row(name, seed, f"{was:.6f}", f"{now:.6f}", f"{now - was:+.6f}", f"{allowed:g}")
    if moved:
        console().print(table)
        console().print(f"{file.name}: {len(moved)} of {len(rows)} scores were not reproduced")
        return False
    console().print(f"{file.name}: {came_back(rows, file.expected['recorded'], threads)}", highlight=False)
    return not (exact and unrecorded)


def came_back(
    rows: Sequence[tuple[str, str, float, float, float, bool]], origin: Mapping[str, Any], threads: int
) -> str:
    """Summary when every score was reproduced: how many are bit-identical, and how this machine differs from
    the one that recorded them.
    """
    equal = sum(was == now for _, _, was, now, _, _ in rows)
    differs = []
    if origin["machine"] != provenance.machine():
        differs.append(f"on a different processor ({origin['machine']})")
    if origin.get("threads", 1) != threads:
        differs.append(f"with {origin.get('threads', 1)} TensorFlow threads instead of {threads}")
    where = f", recorded {' and '.join(differs)}" if differs else ""
    if equal == len(rows):
        return f"all {equal} recorded scores were reproduced bit for bit{where}"
    return (
        f"all {len(rows)} recorded scores were reproduced within their tolerances, {equal} of them bit for"
        f" bit{where}"
    )


def record(
    file: ExperimentFile,
    got: Mapping[str, Sequence[float]],
    cpu_seconds_per_training: float,
    threads: int,
    device: str,
    folds: Mapping[int, int] | None = None,
) -> None:
    """Write ``[expected]`` at the end of the experiment file; everything else in it is left unchanged.

    The tolerance for other machines is three standard deviations over the seeds, at least 0.02.
    """
    import tomlkit

    document = tomlkit.parse(file.path.read_text(encoding="utf-8"))
    if "expected" in document:
        document.remove("expected")
    expected = tomlkit.table(is_super_table=True)
    origin = tomlkit.table()
    origin.add("machine", provenance.machine())
    origin.add("device", device)
    origin.add("keras", surroundings.keras_text())
    origin.add("code", provenance.code_version(file.raw))
    origin.add("lock", provenance.lock_hash())
    origin.add("threads", threads)
    origin.add("seeds", list(file.settings.seeds))
    if folds:
        origin.add("folds", [folds[seed] for seed in file.settings.seeds])
    origin.add("cpu_seconds_per_training", round(cpu_seconds_per_training, 1))
    expected.add("recorded", origin)
    for name, values in sorted(got.items()):
        table = tomlkit.table()
        table.add("mean", mean(values))
        table.add("per_seed", list(values))
        spread = 3 * stdev(values) if len(values) > 1 else 0.0
        table.add("tolerance", round(max(LEAST_TOLERANCE, spread), 4))
        expected.add(tomlkit.key(name), table)
    text = tomlkit.dumps(document).rstrip("\n") + "\n\n"
    addition = tomlkit.document()
    addition.add("expected", expected)
    write(file.path, text + tomlkit.dumps(addition))


def _same_bits(origin: Mapping[str, Any], threads: int) -> bool:
    return bool(origin["machine"] == provenance.machine() and origin.get("threads", 1) == threads)


def compare(
    expected: Mapping[str, Any], got: Mapping[str, Sequence[float]], threads: int, *, exact: bool = False
) -> list[tuple[str, str, float, float, float, bool]]:
    """Rows (score, seed, recorded, now, allowed difference, reproduced?).

    On the machine that recorded them, with as many TensorFlow threads, every seed's score must be equal, and
    with ``exact`` on any; else within the tolerance, seed by seed.
    """
    origin = expected["recorded"]
    same = exact or _same_bits(origin, threads)
    rows = []
    for name, entry in sorted(expected.items()):
        if name == "recorded":
            continue
        allowed = 0.0 if same else float(entry["tolerance"])
        now = list(got.get(name, [math.nan] * len(entry["per_seed"])))
        for seed, was, value in zip(origin["seeds"], entry["per_seed"], now, strict=False):
            rows.append((name, str(seed), float(was), value, allowed, abs(value - was) <= allowed))
        if len(now) != len(entry["per_seed"]):
            rows.append((name, "number of seeds", float(len(entry["per_seed"])), float(len(now)), 0.0, False))
    return rows
