"""The recorded scores for new groups: over all test clips, with an interval for new speakers, songs or
sources, or with the reason why there is none.

``best --record`` writes them into ``[expected."test/..."]``; ``best --intervals`` does so for scores that are
recorded already, from the predictions of the runs that gave them.

Contents: `of_runs`, `recorded_runs`, `differences`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from audiomtl import config
from audiomtl.config import ExperimentFile
from audiomtl.harness import experiment, replicates
from audiomtl.harness.record import runs as records
from audiomtl.harness.record.store import Run, Tracking
from audiomtl.harness.report import group_intervals
from audiomtl.metrics.clusters import Pooled

NOT_BY_CLIP = "it does not follow from predictions clip by clip"
TOLERANCE = 1e-6  # relative: what another order of sums may change


def of_runs(file: ExperimentFile, runs: Mapping[int, Run], tracking: Tracking) -> dict[str, dict[str, Any]]:
    """``new_groups`` of each score on test, by its name (``test/accuracy``); see `settings.expected`.

    Parameters
    ----------
    runs : the best runs, by seed.
    """
    tables = group_intervals.predictions(tracking, list(runs.values()))
    folds = replicates.of_predictions(file.settings, list(runs), tables)
    headline = group_intervals.headline(file, tables, list((folds or {}).values()))
    scores = headline.scores if headline else {}
    return {
        f"test/{name}": _told(scores[name]) if name in scores else {"reason": NOT_BY_CLIP}
        for name in experiment.family_scores(file)
    }


def _told(one: Pooled) -> dict[str, Any]:
    known = math.isfinite(one.low)
    return {
        "score": one.value,
        **({"low": one.low, "high": one.high} if known else {}),
        "clips": one.clips,
        **({"groups": dict(one.groups)} if one.groups else {}),
        **({} if known else {"reason": one.reason}),
    }


def recorded_runs(file: ExperimentFile, runs: Sequence[Run]) -> dict[int, Run]:
    """The best runs that have the recorded scores to the bit and the settings of the file, by seed, the
    newest of each; {} where a seed has none.

    Parameters
    ----------
    runs : all of the experiment, oldest first.
    """
    own, found = config.scored_settings(file.raw), {}
    for place, seed in enumerate(file.expected["recorded"]["seeds"]):
        wanted = {
            name if name.startswith("test/") else f"best/{name}": float(score["per_seed"][place])
            for name, score in file.expected.items()
            if name != "recorded"
        }
        for run in reversed(runs):
            tags, metrics = run.data.tags, run.data.metrics
            if tags.get("kind") != "best" or tags.get("seed") != str(seed):
                continue
            if records.outcome(run) != "complete" or records.trained(run) != own:
                continue
            if all(metrics.get(name) == value for name, value in wanted.items()):
                found[seed] = run
                break
    return found if len(found) == len(file.expected["recorded"]["seeds"]) else {}


def differences(expected: Mapping[str, Any], now: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Names of the scores whose recorded ``new_groups`` is not what the same scores give now; what was not
    recorded is not compared.
    """
    return [
        name
        for name, one in sorted(now.items())
        if (was := expected.get(name, {}).get("new_groups")) is not None and not _same(was, one)
    ]


def _same(was: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    if was.keys() != now.keys():
        return False
    return all(
        math.isclose(value, now[key], rel_tol=TOLERANCE, abs_tol=1e-12)
        if isinstance(value, float)
        else value == now[key]
        for key, value in was.items()
    )
