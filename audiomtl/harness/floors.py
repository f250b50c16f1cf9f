"""The floor of every score of an experiment: the best that can be had without the network.

A family whose scores are not those of clips with one label or several has a module ``floors`` with
``floors(settings, table, seed, sound) -> data.floors.Scores`` and, if there are any, ``ceilings(settings,
table, seed)`` of the same form. Floors are functions of clips, split and code: they are computed once and
kept in ``cache/floors``. They are means over the seeds; splits that repeat are computed once.

Contents: `Floor`, `floors`, `log`, `above`.
"""

import importlib
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import pandas as pd

from audiomtl import config, definitions
from audiomtl.config import ExperimentFile
from audiomtl.data import catalog, protocols, text
from audiomtl.data import floors as common
from audiomtl.data.store import FeatureStore
from audiomtl.errors import MissingData, UserError
from audiomtl.harness.record.store import Run, Tracking
from audiomtl.system import replacing


@dataclass(frozen=True)
class Floor:
    """The floors of one score, such as ``test/accuracy``, and its ceilings."""

    value: float  # mean over the seeds of the best floor, in the direction of the score
    by: str  # which one that is
    per_seed: tuple[float, ...]  # of it
    all: dict[str, float]  # means over the seeds of every floor
    ceilings: dict[str, float]  # the same of oracles


def floors(file: ExperimentFile) -> dict[str, Floor]:
    """``{"test/accuracy": Floor, ...}`` of the reported scores that have one.

    Raises
    ------
    MissingData : the data set is not on this machine.
    """
    settings: Any = file.settings
    table = catalog.clips(settings.data)
    path = catalog.cache_folder() / "floors" / f"{_key(file, table)}.json"
    if path.is_file():
        known = json.loads(path.read_text(encoding="utf-8"))
        return {name: Floor(**{**one, "per_seed": tuple(one["per_seed"])}) for name, one in known.items()}
    found = _computed(file, table)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as copy:
        copy.write(json.dumps({name: asdict(one) for name, one in found.items()}).encode())
    return found


def log(file: ExperimentFile, runs: Mapping[int, Run]) -> dict[str, Floor]:
    """The floors, after they were put on the best runs, by seed: metrics ``floor/test/accuracy`` and, of an
    oracle, ``ceiling/...``; what they are is in the tags ``floor_by/...`` and ``ceiling_by/...``.
    """
    found, tracking = floors(file), Tracking()
    tags = {f"floor_by/{name}": one.by for name, one in found.items()}
    tags |= {f"ceiling_by/{name}": min(one.ceilings) for name, one in found.items() if one.ceilings}
    for number, seed in enumerate(file.settings.seeds):
        metrics = {f"floor/{name}": one.per_seed[number] for name, one in found.items()}
        metrics |= {
            f"ceiling/{name}": one.ceilings[min(one.ceilings)] for name, one in found.items() if one.ceilings
        }
        known = runs[seed].data.metrics
        if metrics and any(known.get(key) != value for key, value in metrics.items()):
            tracking.add(runs[seed].info.run_id, metrics, tags)
    return found


def above(value: float, floor: float, direction: str) -> bool:
    """Whether a score is better than its floor; one that is equal is not."""
    return value < floor if direction == "minimize" else value > floor


def _key(file: ExperimentFile, table: pd.DataFrame) -> str:
    package = config.package_of(file.raw["model"])
    code = definitions.key([f"{__name__}._computed", f"{package}.floors", "audiomtl.data.floors"])
    scores = dict(config.scores(file.raw))
    data = text.fingerprint(table, file.raw)
    return config.digest([config.scored_settings(file.raw), scores, list(file.settings.seeds), data, code])


def _computed(file: ExperimentFile, table: pd.DataFrame) -> dict[str, Floor]:
    settings: Any = file.settings
    model = file.raw["model"]
    own = _module(model)
    sound = _sound(table)
    made: dict[Any, tuple[common.Scores, common.Scores]] = {}
    by_seed = []
    for seed in file.settings.seeds:
        sides = protocols.divide(table, settings.data, settings.protocol, seed)
        key = tuple(tuple(sorted(rows["clip_id"])) for rows in sides.sides().values())
        if key not in made:
            if own is not None:
                low = own.floors(settings, table, seed, sound)
                high = own.ceilings(settings, table, seed) if hasattr(own, "ceilings") else {}
            else:
                data = settings.data
                low = common.OF[data.labels](sides, data.label, sound) if data.label else {}
                high = {}
            made[key] = (low, high)
        by_seed.append(made[key])
    found = {}
    for score, direction in config.scores(file.raw).items():
        for side in reversed(common.JUDGED):
            each = [low.get(side, {}).get(score, {}) for low, _ in by_seed]
            names = [name for name in each[0] if all(name in one for one in each)]
            if not names:
                continue
            means = {name: fmean(one[name] for one in each) for name in names}
            best = (min if direction == "minimize" else max)(means, key=lambda name: means[name])
            tops = [high.get(side, {}).get(score, {}) for _, high in by_seed]
            ceilings = {
                name: fmean(one[name] for one in tops) for name in tops[0] if all(name in one for one in tops)
            }
            per_seed = tuple(one[best] for one in each)
            found[f"{side}/{score}"] = Floor(means[best], best, per_seed, means, ceilings)
    return found


def _module(model: str) -> Any:
    """The family's own module ``floors``; None if it has none."""
    name = f"{config.package_of(model)}.floors"
    return importlib.import_module(name) if importlib.util.find_spec(name) else None


def _sound(table: pd.DataFrame) -> common.Sound | None:
    """None where clips are not all recordings: arrays, pictures, stored embeddings."""
    if "path" not in table.columns or not all(isinstance(path, str) for path in table["path"]):
        return None
    try:
        return common.listen(table, FeatureStore(catalog.cache_folder() / "features"))
    except MissingData:
        raise
    except UserError:
        return None
