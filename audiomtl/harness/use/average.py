"""The mean of several trained models: the class probabilities of the best runs of all seeds, averaged.

Conventions: an `Average` stands in the place of a family's `Fitted`, and `use_of` and `family_of` in that of
its modules ``use`` and ``model``, so that every command takes it like a single model. Each model reads a
recording with what it has learned itself (scaler, vocabulary); what is averaged are its answers: the
probabilities of a clip's classes, and those of its windows. Probabilities are averaged, not logits.

On disk an average is a folder with ``average.json`` and, for each seed, the folder that `Family.save` wrote.

Contents: `Average`, `checked`, `refuse_family`; `use_of`, `family_of`; `load`, `saved`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from audiomtl import config
from audiomtl.data.answers import Answer, Classes, Recording, Response, Segments, Stream, segments
from audiomtl.errors import UserError

FILE = "average.json"


@dataclass(frozen=True)
class Average:
    """Trained models of one family, equal settings and equal classes."""

    members: tuple[Any, ...]  # `families.contract.Fitted`
    seeds: tuple[int, ...]
    runs: tuple[str, ...]  # ids of their runs

    @property
    def settings(self) -> Any:
        return self.members[0].settings

    @property
    def told(self) -> str:
        """For people, after the name of the experiment."""
        return f"mean of seeds {', '.join(map(str, self.seeds))}"


@dataclass(frozen=True)
class _Clip:
    """A labelled clip as each model reads it."""

    clip_id: str
    parts: tuple[Any, ...]  # examples of the family, one per model


def checked(average: Average, place: str) -> Average:
    """The average, if its models can be averaged.

    Raises
    ------
    UserError : one model alone; a family, or answers, whose mean means nothing; models with different
        settings or classes.
    """
    use = config.family("use", average.settings.model)
    refuse_family(average.settings.model, place)
    if len(average.members) < 2:
        raise UserError(f"{place}: one model has no average; at least two are needed")
    first, *others = average.members
    own, classes = _flat(first.settings), use.averaged_classes(first)
    for seed, other in zip(average.seeds[1:], others, strict=True):
        flat = _flat(other.settings)
        differ = [path for path in sorted(own.keys() | flat.keys()) if own.get(path) != flat.get(path)]
        if differ:
            path, values = differ[0], (own.get(differ[0]), flat.get(differ[0]))
            raise UserError(
                f"{place}: {path} = {values[0]!r} of seed {average.seeds[0]}, but {values[1]!r} of seed"
                f" {seed}: only models with the same settings are averaged"
            )
        for name, known in use.averaged_classes(other).items():
            if known != classes[name]:
                raise UserError(
                    f"{place}: {name}: seed {average.seeds[0]} knows {', '.join(classes[name])}, but seed"
                    f" {seed} {', '.join(known)}: only models with the same classes are averaged"
                )
    return average


def refuse_family(model: str, place: str) -> None:
    """Refuse a family whose answers have no mean.

    Raises
    ------
    UserError
    """
    if not hasattr(config.family("use", model), "averaged_classes"):
        raise UserError(
            f'{place}: model = "{model}": the answers of this family are not probabilities of a clip\'s'
            " classes, so they have no mean; export one seed"
        )


def _flat(settings: Any) -> dict[str, Any]:
    """Settings that decided what was trained, by path."""
    return config.scored_settings(settings.model_dump(mode="json", exclude_none=True))


# ---------------------------------------------------------------- in the place of a family's modules


def use_of(own: ModuleType) -> SimpleNamespace:
    """`contract.Use` for averages of models of a family, whose module ``use`` is ``own``."""
    functions: dict[str, Any] = {
        "respond": _respond,
        "examples": _examples,
        "adapted": _adapted,
        "stream": _stream,
    }
    return SimpleNamespace(
        sample_rate=own.sample_rate,
        columns=own.columns,
        gives=own.gives,
        LACKING=getattr(own, "LACKING", False),
        **{name: partial(function, own) for name, function in functions.items() if hasattr(own, name)},
    )


def family_of(own: ModuleType) -> SimpleNamespace:
    """The part of `contract.Family` that scores and saves, for averages of models of the family ``own``."""
    return SimpleNamespace(
        outputs=partial(_outputs, own),
        evaluate=partial(_evaluate, own),
        predict=lambda average, found: own.predict(average.members[0], found),
        save=partial(_save, own),
    )


def _respond(own: ModuleType, average: Average, recordings: Sequence[Recording]) -> list[Response]:
    each = [own.respond(member, recordings) for member in average.members]
    return [_mean_response(of_one) for of_one in zip(*each, strict=True)]


def _mean_response(responses: Sequence[Response]) -> Response:
    first = responses[0]
    answers = {
        name: _mean_answer([one.answers[name] for one in responses], first.seconds) for name in first.answers
    }
    remarks = dict.fromkeys(remark for one in responses for remark in one.remarks)
    return replace(first, answers=answers, remarks=tuple(remarks))


def _mean_answer(answers: Sequence[Any], until: float) -> Answer:
    first = answers[0]
    if isinstance(first, Classes):
        return replace(first, probabilities=_mean([one.probabilities for one in answers]))
    assert isinstance(first, Segments)
    scores = _mean([one.scores for one in answers])
    return segments(first.names, first.starts, first.seconds, scores, until=until)


def _mean(arrays: Sequence[Any]) -> np.ndarray:
    return np.mean(np.stack([np.asarray(array) for array in arrays]), axis=0)


def _adapted(own: ModuleType, average: Average, recordings: Iterable[Recording]) -> Average:
    """``recordings`` are walked once for every model."""
    return replace(average, members=tuple(own.adapted(member, recordings) for member in average.members))


def _stream(own: ModuleType, average: Average, path: str | Path) -> Stream:
    streams = [own.stream(member, path) for member in average.members]
    return replace(streams[0], scores=_mean_scores([one.scores for one in streams]))


def _mean_scores(scores: Sequence[Iterator[tuple[float, np.ndarray]]]) -> Iterator[tuple[float, np.ndarray]]:
    for windows in zip(*scores, strict=True):
        yield windows[0][0], _mean([row for _, row in windows])


def _examples(own: ModuleType, average: Average, table: pd.DataFrame) -> list[_Clip]:
    each = [{one.clip_id: one for one in own.examples(member, table)} for member in average.members]
    return [_Clip(clip, tuple(examples[clip] for examples in each)) for clip in each[0]]


def _outputs(own: ModuleType, average: Average, clips: Sequence[_Clip]) -> list[tuple[Any, Any]]:
    """Each clip, as the first model reads it, with the mean of the outputs; logits are left out."""
    each = []
    for number, member in enumerate(average.members):
        found = own.outputs(member, [clip.parts[number] for clip in clips])
        each.append({example.clip_id: output for example, output in found})
    return [(clip.parts[0], _mean_output([found[clip.clip_id] for found in each])) for clip in clips]


def _mean_output(outputs: Sequence[Any]) -> Any:
    if isinstance(outputs[0], Mapping):
        names = [name for name in outputs[0] if not name.endswith("logits")]
        return {name: _mean([output[name] for output in outputs]) for name in names}
    return _mean(outputs)


def _evaluate(own: ModuleType, average: Average, found: Sequence[tuple[Any, Any]]) -> dict[str, float]:
    evaluate = getattr(own, "evaluate_outputs", own.evaluate)
    return evaluate(average.members[0], found)


# ---------------------------------------------------------------- on disk


def _save(own: ModuleType, average: Average, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    models = []
    for member, seed, run in zip(average.members, average.seeds, average.runs, strict=True):
        own.save(member, folder / f"seed_{seed}")
        models.append({"folder": f"seed_{seed}", "seed": seed, "run": run})
    text = json.dumps({"model": average.settings.model, "models": models}, indent=1)
    (folder / FILE).write_text(text, encoding="utf-8")


def saved(folder: Path) -> bool:
    """Whether an average is in this folder."""
    return (folder / FILE).is_file()


def load(folder: Path, source: str) -> Average:
    """Read what was saved.

    Parameters
    ----------
    source : begins a message.

    Raises
    ------
    UserError : a file that is not an average's; what `checked` refuses.
    """
    try:
        written = json.loads((folder / FILE).read_text(encoding="utf-8"))
        model = str(written["model"])
        rows = [(str(row["folder"]), int(row["seed"]), str(row["run"])) for row in written["models"]]
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{folder / FILE}: is not that of an averaged model; export it again") from None
    for name, _, _ in rows:
        if Path(name).name != name or not (folder / name / "use.json").is_file():
            raise UserError(f"{folder / FILE}: {name}: no saved model in this folder; export it again")
    if not rows:
        raise UserError(f"{folder / FILE}: names no models; export it again")
    own = config.family("model", model)
    members = tuple(own.load(folder / name) for name, _, _ in rows)
    return checked(Average(members, tuple(row[1] for row in rows), tuple(row[2] for row in rows)), source)
