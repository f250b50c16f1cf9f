"""The record of one training, as a run of MLflow or a frozen study holds it, and what of it has changed.

It is the settings (the file ``settings.toml`` and the parameters), the seed, the tags data, code, lock,
commit and dirty, the key ``fingerprint``, the scores and the digest of the weights.

Contents: `Record`, `KINDS`, `read`, `changes_of`, `group_of`.
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from audiomtl import config
from audiomtl.data import availability, text
from audiomtl.errors import UserError
from audiomtl.harness.experiment import DECODED
from audiomtl.harness.record import parts, provenance, runs
from audiomtl.harness.record.store import Run
from audiomtl.harness.search.records import NESTED
from audiomtl.harness.verify.origin import Change, changed_data

KINDS = ("best", "ablation", "trial", "member", "optimism", "nested", "refit", DECODED)
SIDES = ("test/", "best/validation/")  # of the scores of a run


@dataclass(frozen=True)
class Record:
    """A training as it is recorded."""

    name: str  # for people
    raw: dict[str, Any]  # its settings, complete
    params: dict[str, str]  # the same as MLflow's parameters, without those that change no score
    tags: dict[str, str]
    scores: dict[str, float]  # "test/..." and "best/validation/..."

    @property
    def seed(self) -> int:
        return int(self.tags["seed"])

    @property
    def threads(self) -> int:
        return int(self.tags.get("threads", 1))

    @property
    def computed(self) -> dict[str, Any]:
        """Where it was computed, as `compare` reads it."""
        return {"machine": self.tags.get("machine", "of unknown name"), "threads": self.threads}


def read(run: Run, settings: str) -> Record:
    """The record of a run; ``settings`` is the text of its ``settings.toml``.

    Raises
    ------
    UserError : a run that is no training, or one without final scores.
    """
    refuse(run)
    tags, name = dict(run.data.tags), name_of(run)
    scores = {key: value for key, value in run.data.metrics.items() if key.startswith(SIDES)}
    if not scores and not tags.get("weights"):
        raise UserError(f"{name}: it was trained on every clip and has neither scores nor weights to compare")
    tags["seed"] = str(tags.get("seed", run.data.params.get("seed")))
    params = {
        path: text for path, text in run.data.params.items() if path != "seed" and config.is_scored(path)
    }
    return Record(name, tomllib.loads(settings), params, tags, dict(sorted(scores.items())))


def refuse(run: Run) -> None:
    """Raise an error for a run that cannot be rebuilt: it is no training, or did not come to an end."""
    kind, name = run.data.tags.get("kind", "none"), name_of(run)
    if kind == "study" and run.data.params.get("study.decode_only") == "true":
        raise UserError(
            f"{name}: its trials are no trainings: they read the outputs of one, the run of kind {DECODED},"
            f" which can be verified; `audiomtl study {run.data.tags.get('study')}` repeats the trials"
        )
    if kind == "study":
        raise UserError(f"{name}: a study is no training: give the ids of its trials")
    if kind not in KINDS:
        raise UserError(
            f"{name}: its kind is {kind}: only runs of the kinds {', '.join(KINDS)} are trainings"
        )
    if runs.outcome(run) != "complete":
        raise UserError(f"{name}: {runs.outcome(run)}: it has no final scores to rebuild")


def name_of(run: Run) -> str:
    """A run in a line for people."""
    return f"run {run.info.run_id[:8]} ({run.info.run_name})"


def as_params(raw: Mapping[str, Any]) -> dict[str, str]:
    """Settings that affect scores, as `Tracking.log_params` writes them."""
    return {
        path: value if isinstance(value, str) else json.dumps(value)
        for path, value in config.scored_settings(raw).items()
    }


def changes_of(record: Record) -> list[Change]:
    """What the training depends on and is not as recorded here.

    Raises
    ------
    MissingData : the data set is not on this machine.
    """
    raw, tags, found = record.raw, record.tags, list[Change]()
    if tags.get("dirty") == "true":
        found.append(Change("commit", f"{tags.get('commit', '')[:12]} with changed files", "no such commit"))
    written = as_params(raw)
    for path in sorted({*written, *record.params}):
        if written.get(path) != record.params.get(path):
            logged = record.params.get(path, "nothing")
            found.append(
                Change(f"settings ({path})", logged, f"{written.get(path, 'nothing')} in settings.toml")
            )
    if record.seed not in (*raw["seeds"], raw["study_seed"]):
        found.append(Change("seeds", tags["seed"], f"{[*raw['seeds'], raw['study_seed']]} in settings.toml"))
    settings = config.settings_of(raw, record.name)
    data = text.fingerprint(availability.require(settings), raw)
    found += _data(tags, data, raw, settings)
    code = {
        "code of the settings": (parts.SETTINGS_CODE, provenance.settings_version(raw)),
        "code": ("code", provenance.code_version(raw)),
        "lock": ("lock", provenance.lock_hash()),
    }
    for what, (tag, value) in code.items():
        if tags.get(tag, value) != value:
            found.append(Change(what, tags[tag], value))
    if any(one.what == "code of the settings" for one in found):  # it is a part of the code
        found = [one for one in found if one.what != "code"]
    if not found:  # then the key of the run must come out as well: its settings and seed are part of it
        device = tags.get("device", "CPU")
        training = provenance.training_key(raw, record.seed, data, record.threads, device)
        # however its outputs are read
        key = training if tags.get("kind") == DECODED else provenance.scores_key(training, raw)
        if key != tags.get("fingerprint"):
            found.append(Change("settings or seed", f"key {tags.get('fingerprint')}", f"key {key}"))
    return found


def _data(tags: Mapping[str, str], data: str, raw: Mapping[str, Any], settings: Any) -> list[Change]:
    """What of the data has changed: the columns, where the run says their keys."""
    found = list[Change]()
    if parts.COLUMNS in tags:
        found = changed_data(json.loads(tags[parts.COLUMNS]), parts.data_of(raw, settings))
    if not found and tags.get("data", data) != data:
        found.append(Change("data", tags["data"], data))
    return found


def group_of(record: Record) -> str:
    """What a training is one of, in words: scores are tested for equivalence over all of a group.

    It is the seeds of one experiment or ablation, the trials of one study, the outer folds of a nested study,
    or the new seeds of one trial.
    """
    tags = record.tags
    kind, study = tags.get("kind", ""), tags.get("study", "")
    if kind in ("trial", "member"):
        return f"trials of study {study}"
    if kind == "nested":
        return f"outer folds of study {study.partition(NESTED)[0]}"
    if kind == "optimism":
        return f"new seeds of trial {tags.get('trial')} of study {study}"
    return f"seeds of {tags.get('ablation') or kind} {config.digest(config.scored_settings(record.raw))}"
