"""What is recorded, and trainings, in Python: tables of studies, runs, predictions and clips as DataFrames.

Contents: `trials`, `runs`, `predictions`, `clips`, `train`, `Trained`.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from audiomtl import config
from audiomtl.config import ExperimentFile
from audiomtl.data import availability, catalog, protocols, splits
from audiomtl.errors import UserError
from audiomtl.harness.record import runs as recorded
from audiomtl.harness.search import trials as swept
from audiomtl.harness.use.models import Loaded, usable
from audiomtl.harness.use.trained import Model
from audiomtl.names import safe_name
from audiomtl.settings.validation import nearest

SIDES = splits.SIDES


# ---------------------------------------------------------------- what is recorded


def trials(study: str, *, storage: str = "") -> pd.DataFrame:
    """The trials of a study, one row each.

    Parameters
    ----------
    study : a file in ``studies/``, without .toml. storage : of Optuna; "" is the project's.

    Returns
    -------
    DataFrame with the columns number, state (complete, pruned, failed, running, waiting), one for each
    objective, such as validation/loss, epochs (that were reported), seconds, and one for each swept setting

    Raises
    ------
    UserError : no such study, or it has no trials yet.
    """
    return swept.table(config.load_study(study), storage)


def runs(experiment: str) -> pd.DataFrame:
    """All recorded runs of an experiment, oldest first, one row each.

    Returns
    -------
    DataFrame with the columns run_id, name, kind (study, trial, member, best, ablation ...), seed, ablation,
    study, trial, member, outcome, started; then every score and count that was recorded, such as
    test/accuracy, best/validation/loss and cost/seconds; then every setting, such as optimizer.learning_rate

    Raises
    ------
    UserError : no such experiment, or nothing is recorded.
    """
    file = config.load_experiment(experiment)
    found = _recorded(file)
    tags = ("kind", "seed", "ablation", "study", "trial", "member")
    rows = []
    for run in found:
        row: dict[str, Any] = {"run_id": run.info.run_id, "name": run.info.run_name}
        row |= {name: run.data.tags.get(name, "") for name in tags}
        row |= {
            "outcome": recorded.outcome(run),
            "started": pd.Timestamp(run.info.start_time, unit="ms", tz="UTC"),
        }
        settings = {path: recorded.parsed(text) for path, text in run.data.params.items() if path != "seed"}
        rows.append(row | dict(sorted(run.data.metrics.items())) | dict(sorted(settings.items())))
    return pd.DataFrame(rows)


def predictions(experiment: str, *, side: str = "test", table: str = "predictions") -> pd.DataFrame:
    """Predictions of the best runs of an experiment, of every seed.

    Parameters
    ----------
    side : "validation" or "test". table : "predictions", or another that the family writes, such as windows,
        patches, steps or events.

    Returns
    -------
    DataFrame with a column seed, the family's columns, and the plain columns of the clip table

    Raises
    ------
    UserError : no best run, or none with such a table.
    """
    file = config.load_experiment(experiment)
    if side not in ("validation", "test"):
        raise UserError(f'side = "{side}": must be "validation" or "test"{nearest(side, SIDES)}')
    best = recorded.choose(file, _recorded(file))
    if best is None:
        raise UserError(f"{file.path}: no recorded best run; run `audiomtl best {file.name}` first")
    tracking = recorded.existing()
    assert tracking is not None
    name = f"{safe_name(table)}_{side}.parquet"
    tables = []
    for seed, run in best.runs.items():
        files = [item.path for item in tracking.client.list_artifacts(run.info.run_id)]
        if name not in files:
            ending = f"_{side}.parquet"
            known = sorted(one.removesuffix(ending) for one in files if one.endswith(ending))
            raise UserError(
                f'table = "{table}": no such table{nearest(table, known)}; there are {", ".join(known)}'
            )
        with tempfile.TemporaryDirectory() as folder:
            place = tracking.client.download_artifacts(run.info.run_id, name, folder)
            one = pd.read_parquet(place)
        one.insert(0, "seed", seed)
        tables.append(one)
    return pd.concat(tables, ignore_index=True)


def _recorded(file: ExperimentFile) -> list[Any]:
    tracking = recorded.existing()
    found = tracking.runs(file.name) if tracking else []
    if not found:
        raise UserError(f"{file.path}: no recorded runs; run `audiomtl best {file.name}` first")
    return found


# ---------------------------------------------------------------- data and trainings


def clips(experiment: str, seed: int | None = None) -> pd.DataFrame:
    """The clip table of an experiment, and the split that each clip belongs to.

    Parameters
    ----------
    seed : of the split; None is the first of the experiment's seeds.

    Returns
    -------
    DataFrame sorted by clip_id with a column side: train, validation, test, or "" for clips in no split

    Raises
    ------
    UserError : no such experiment; clips that cannot be split as it says.
    """
    file = config.load_experiment(experiment)
    settings: Any = file.settings
    table = catalog.clips(settings.data)
    chosen = settings.seeds[0] if seed is None else seed
    sides = protocols.divide(table, settings.data, settings.protocol, chosen).sides()
    side = {clip: name for name, rows in sides.items() for clip in rows["clip_id"]}
    return table.assign(side=[side.get(clip, "") for clip in table["clip_id"]])


@dataclass(frozen=True)
class Trained:
    """A training in this process, which nothing records."""

    model: Model
    scores: dict[str, float]  # "validation/accuracy", "test/accuracy" ... of the best epoch's weights
    history: pd.DataFrame  # a row per epoch: every score by its name
    predictions: dict[str, pd.DataFrame]  # of each side: validation, test
    facts: dict[str, float]  # counts of the data
    best_epoch: int  # from 1

    def save(self, folder: str | Path) -> None:
        """Write the model, for `audiomtl.load` and ``audiomtl predict``."""
        self.model.loaded.model.save(self.model.loaded.fitted, Path(folder))


def train(settings: str | Path | Mapping[str, Any], seed: int = 1, *, test: bool = True) -> Trained:
    """Train one model in this process, for a notebook. Nothing is recorded, and the numbers are those of
    `audiomtl best` but for their last bits, which depend on the number of TensorFlow's threads.

    Parameters
    ----------
    settings : the name of an experiment, its file, or the settings themselves, as a nested dict such as
        ``config.load_experiment(NAME).raw``.
    seed : of split and training. test : whether the test split is scored as well.

    Raises
    ------
    UserError : settings or data that do not fit.
    """
    from audiomtl.nn.fit import seed_everything

    if isinstance(settings, Mapping):
        raw, name = dict(settings), "settings"
    else:
        file = config.load_experiment(str(settings))
        raw, name = file.raw, file.name
    typed = config.settings_of(raw, name)
    availability.require(typed)
    family = config.family("model", raw["model"])
    seed_everything(seed)
    prepared = family.prepare(typed, seed)
    seed_everything(seed)  # as a training of its own has it: what is read first may draw from the generators
    fitted = family.train(typed, prepared, seed, lambda epoch, scores: True, None)
    scores, tables = dict[str, float](), dict[str, pd.DataFrame]()
    for side in ("validation", "test") if test else ("validation",):
        found = family.outputs(fitted, prepared.examples[side])
        scores |= {f"{side}/{score}": value for score, value in family.evaluate(fitted, found).items()}
        made = family.predict(fitted, found)
        tables[side] = made["predictions"] if isinstance(made, dict) else made
    loaded = Loaded(name, name, fitted, usable(raw["model"], name), family)
    history = pd.DataFrame(fitted.fit.history)
    return Trained(Model(loaded), scores, history, tables, dict(prepared.facts), fitted.fit.best_epoch + 1)
