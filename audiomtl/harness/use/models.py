"""Load recorded models for use on new recordings.

Contents: `Loaded`, `opened`, `averaged`, `recorded_model`, `part`, `checked_place`.
"""

import importlib
import importlib.util
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from audiomtl import config
from audiomtl.config import ExperimentFile
from audiomtl.errors import UserError
from audiomtl.harness import experiment
from audiomtl.harness import refit as refitting
from audiomtl.harness.record import registry, runs
from audiomtl.harness.record.store import Run, Tracking
from audiomtl.harness.use import average
from audiomtl.harness.use.average import Average
from audiomtl.settings.validation import nearest


@dataclass(frozen=True)
class Loaded:
    """A trained model, wherever it came from."""

    name: str  # of its experiment, or of its folder
    place: str  # that begins a message: the experiment file, the folder, the address in the registry
    fitted: Any  # `families.contract.Fitted`, or `average.Average`
    use: Any  # `families.contract.Use`
    model: Any  # `families.contract.Family`
    file: ExperimentFile | None = None
    run: Run | None = None  # of an average: that of its first model
    runs: tuple[Run, ...] = ()  # of an average

    @property
    def settings(self) -> Any:
        return self.fitted.settings

    @property
    def sample_rate(self) -> int:
        """Hz of the sound it reads; 0 if it reads none."""
        return self.use.sample_rate(self.settings)

    @property
    def gives(self) -> dict[str, str]:
        """Kinds of its answers, by name."""
        return self.use.gives(self.settings)

    @property
    def told(self) -> str:
        """Its name and its seed, for people."""
        if isinstance(self.fitted, Average):
            return f"{self.name}, {self.fitted.told}"
        return f"{self.name}, seed {self.run.data.tags['seed']}" if self.run else self.name


def opened(source: str, seed: int | None = None, *, refit: bool = False) -> Loaded:
    """The trained model that a name stands for.

    Parameters
    ----------
    source : an experiment (its best run); if there is none of this name, the folder of a saved model;
        ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION`` of MLflow's registry.
    seed : of the experiment's best runs; None takes the best one.
    refit : take the experiment's refit in the place of its best runs.

    Raises
    ------
    UserError : there is no such model, or its family cannot be used on new recordings.
    """
    named = source in config.names("experiments") or source.endswith(".toml")
    elsewhere = source.startswith("models:/") or (Path(source).is_dir() and not named)
    if elsewhere and seed is not None:
        raise UserError(f"--seed {seed}: {source} is one model; seeds are those of an experiment's best runs")
    if source.startswith("models:/"):
        with tempfile.TemporaryDirectory() as folder:
            return _of_folder(registry.fetched(source, Path(folder)), source)
    if elsewhere:
        return _of_folder(Path(source), source)
    file = config.load_experiment(source)
    use = part(file, "use", "respond")
    fitted, run = recorded_model(file, seed, refit=refit)
    return _checked(Loaded(file.name, str(file.path), fitted, use, _family(file.raw["model"]), file, run))


def averaged(file: ExperimentFile, *, refit: bool = False) -> Loaded:
    """The mean of the models of all seeds of an experiment.

    Parameters
    ----------
    refit : take the refits in the place of the best runs.

    Raises
    ------
    UserError : a seed has no such run; what `average.checked` refuses.
    """
    use = part(file, "use", "respond")
    average.refuse_family(file.raw["model"], str(file.path))
    tracking = runs.existing()
    best = runs.choose(file, tracking.runs(file.name)) if tracking else None
    found = refitting.of_seeds(file) if refit else best.runs if best else {}
    if missing := [seed for seed in file.settings.seeds if seed not in found]:
        raise UserError(
            f"{file.path}: --average: no recorded {'refit' if refit else 'best run'} of seed"
            f"{'' if len(missing) == 1 else 's'} {', '.join(map(str, missing))}; run `audiomtl best"
            f" {file.name}{' --refit' if refit else ''}` first"
        )
    assert tracking is not None
    chosen = [found[seed] for seed in file.settings.seeds]
    members = [_model_of(file, run, tracking)[0] for run in chosen]
    fitted = Average(tuple(members), tuple(file.settings.seeds), tuple(run.info.run_id for run in chosen))
    loaded = _averaged(file.name, str(file.path), fitted, use, _family(file.raw["model"]))
    return replace(loaded, file=file, run=chosen[0], runs=tuple(chosen))


def _averaged(name: str, place: str, fitted: Average, use: ModuleType, model: ModuleType) -> Loaded:
    for member in fitted.members:
        _checked(Loaded(name, place, member, use, model))
    checked = average.checked(fitted, place)
    return Loaded(name, place, checked, average.use_of(use), average.family_of(model))


def _family(name: str) -> ModuleType:
    return config.family("model", name)


def _checked(loaded: Loaded) -> Loaded:
    """The model, if its parts fit each other, which a family may look at (``use.check_model``)."""
    if hasattr(loaded.use, "check_model"):
        loaded.use.check_model(loaded.fitted, f"run {loaded.run.info.run_id}" if loaded.run else loaded.place)
    return loaded


def _of_folder(folder: Path, source: str) -> Loaded:
    """The model, or the average, that was saved in a folder, or in a folder ``model`` in it."""
    called = folder.resolve().name if source == str(folder) else source
    within = (folder, folder / "model")
    if mean := next((one for one in within if average.saved(one)), None):
        fitted = average.load(mean, source)
        name = fitted.settings.model
        return _averaged(called, source, fitted, usable(name, source), _family(name))
    place = next((one for one in within if (one / "use.json").is_file()), None)
    if place is None:
        raise UserError(f"{source}: no saved model there: a folder with use.json is needed")
    try:
        name = json.loads((place / "use.json").read_text(encoding="utf-8"))["settings"]["model"]
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{place / 'use.json'}: is not a saved model's; export or train it again") from None
    use, model = usable(name, source), _family(name)
    return _checked(Loaded(called, source, model.load(place), use, model))


def usable(model: str, place: str) -> ModuleType:
    """The module ``use`` of a family.

    Raises
    ------
    UserError : the family has none.
    """
    use = _module(model, "use")
    if use is None or not hasattr(use, "respond"):
        raise UserError(
            f'{place}: model = "{model}": this family has no function respond in a module use, so its models'
            " are not used on new recordings"
        )
    return use


def recorded_model(file: ExperimentFile, seed: int | None = None, *, refit: bool = False) -> tuple[Any, Run]:
    """The trained model, of any family, of the best run with the best score on validation, or of one seed.

    Raises
    ------
    UserError : there is no best run, or none of that seed.
    """
    tracking = runs.existing()
    if refit and tracking:
        return _model_of(file, refitting.chosen(file, seed), tracking)
    chosen = runs.choose(file, tracking.runs(file.name)) if tracking else None
    if not chosen or not tracking:
        raise UserError(f"{file.path}: no recorded best run; run `audiomtl best {file.name}` first")
    name, direction = experiment.main_score(file), experiment.family_scores(file)[experiment.main_score(file)]
    scores = chosen.values(f"best/validation/{name}")
    if seed is not None and seed not in chosen.runs:
        raise UserError(
            f"--seed {seed}: no such best run of {file.name}; available seeds: {sorted(chosen.runs)}"
        )
    sign = -1 if direction == "maximize" else 1
    if seed is None:  # runs that are trained on validation have no score there: the first seed
        seed = min(scores or chosen.runs, key=lambda one: (sign * scores.get(one, 0.0), one))
    return _model_of(file, chosen.runs[seed], tracking)


def _model_of(file: ExperimentFile, run: Run, tracking: Tracking) -> tuple[Any, Run]:
    with tempfile.TemporaryDirectory() as folder:
        place = tracking.client.download_artifacts(run.info.run_id, "model", folder)
        return config.family("model", file.raw["model"]).load(Path(place)), run


def part(file: ExperimentFile, name: str, *offers: str) -> ModuleType:
    """The module ``name`` of an experiment's family that offers some functions.

    Raises
    ------
    UserError : the family has no such module, or it lacks one of them; the text says which families have
        them.
    """
    own = _module(file.raw["model"], name)
    if own is None or not all(hasattr(own, offer) for offer in offers):
        able = [
            model
            for model in config.families()
            if (one := _module(model, name)) and all(hasattr(one, offer) for offer in offers)
        ]
        raise UserError(
            f'{file.path}: model = "{file.raw["model"]}": this family does not support the command;'
            f" supported by: {', '.join(able)}"
        )
    return own


def _module(model: str, name: str) -> ModuleType | None:
    module = f"{config.package_of(model)}.{name}"
    return importlib.import_module(module) if importlib.util.find_spec(module) else None


def checked_place(path: Path, endings: Sequence[str], force: bool) -> Path:
    """Validate the output path before any work."""
    if path.suffix not in endings:
        raise UserError(f"--to {path}: must end in {', '.join(endings)}{nearest(path.suffix, endings)}")
    if not path.parent.is_dir():
        raise UserError(f"--to {path}: no such folder {path.parent}; create it first")
    if path.is_dir() or (path.exists() and not force):
        raise UserError(f"{path}: already exists; use --force to overwrite it, or --to to name another file")
    return path
