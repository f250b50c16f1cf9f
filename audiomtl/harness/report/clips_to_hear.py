"""Test clips among the artifacts of best runs, which MLflow's pages play: the best, the worst, those
with the most frequent confusions and those that the network is least sure of.

Contents: `log`.
"""

import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import soundfile

from audiomtl.config import ExperimentFile
from audiomtl.errors import UserError
from audiomtl.harness.record.store import Run, Tracking
from audiomtl.harness.report import group_intervals
from audiomtl.harness.report.html import clips, listening, sound
from audiomtl.names import safe_name

FOLDER = "clips"  # among the artifacts


def log(tracking: Tracking, file: ExperimentFile, best: Mapping[int, Run]) -> None:
    """Put the beginnings of some test clips of each run among its artifacts, as FLAC of at most 16 kHz.

    Runs that have them, that keep no predictions, and clips whose recordings are not here are left out.

    Parameters
    ----------
    best : runs by seed.
    """
    known: Mapping[str, Mapping[str, object]] = {}
    for seed, run in best.items():
        places = {item.path for item in tracking.client.list_artifacts(run.info.run_id)}
        predicted = group_intervals.predictions(tracking, [run]) if FOLDER not in places else []
        if not predicted:
            continue
        known = known or listening.clip_table(file)
        with tempfile.TemporaryDirectory() as folder:
            _write(clips.chosen(file, {seed: predicted[0]}), known, Path(folder))
            if any(Path(folder).iterdir()):
                tracking.client.log_artifacts(run.info.run_id, folder, FOLDER)


def _write(chosen: list[clips.Chosen], known: Mapping[str, Mapping[str, object]], folder: Path) -> None:
    numbers = Counter[str]()
    for one in chosen:
        path = known.get(one.clip_id, {}).get("path") or one.row.get("path")
        if not isinstance(path, str) or not path:
            continue
        try:
            heard = sound.heard(path, listening.LONGEST)
        except UserError:  # the page to listen to says why
            continue
        numbers[one.why] += 1
        name = f"{one.why.replace(' ', '_')}_{numbers[one.why]}_{safe_name(one.clip_id)}.flac"
        soundfile.write(folder / name, sound.integers(heard.y), heard.rate, format="FLAC", subtype="PCM_16")
