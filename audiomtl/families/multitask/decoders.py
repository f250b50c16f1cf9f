"""Decoders of heads: fitted after the training, kept with the model, and given to every answer that is read.

Contents: `with_decoder`, `chosen_decoding`, `decoded_scores`; `by_head`, `answer_of`; `to_json`, `from_json`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from audiomtl.families.contract import Fitted, Output, Prepared
from audiomtl.families.multitask.examples import Example
from audiomtl.families.multitask.heads import LOGITS, Answer, kind


def with_decoder(fitted: Fitted, prepared: Prepared, found: Sequence[Output]) -> Fitted:
    """The network with the decoders of ``[decoding.HEAD]``, fitted on the train split, their numbers chosen
    on the outputs ``found`` of the validation split.
    """
    settings, names, decoders = fitted.settings, fitted.known.names, dict[str, Any]()
    undecoded = by_head(replace(fitted, known=replace(fitted.known, decoders={})), found)
    for name, decoding in settings.decoding.items():
        if decoding.method == "greedy" or name not in fitted.model.output:
            continue
        head, nothing, told_by = settings.heads[name], np.zeros(0), _told_by(name, settings)
        train = [
            Answer(one.clip_id, one.row, one.targets[name], nothing, len(one.frames))
            for one in prepared.examples["train"]
            if any(one.targets[other] is not None for other in told_by)
        ]
        validation = [one for one in undecoded[name] if one.target is not None]
        fit_decoder = kind(head.kind).fit_decoder  # type: ignore[attr-defined]
        decoders[name] = fit_decoder(name, head, decoding, train, validation, names[name], settings)
    return replace(fitted, known=replace(fitted.known, decoders=decoders))


def _told_by(name: str, settings: Any) -> list[str]:
    """The head and, where it learns phones, trained heads that learn the same column: a clip with the label
    of any of them tells the order of the phones, whether or not it has their times.
    """
    head = settings.heads[name]
    if head.about.produces != "phones":
        return [name]
    column = head.reads(settings.data.label)
    alike = [
        other
        for other, own in settings.heads.items()
        if own.weight and own.about.produces == "phones" and own.reads(settings.data.label) == column
    ]
    return list(dict.fromkeys([name, *alike]))


def chosen_decoding(fitted: Fitted) -> dict[str, Any]:
    """Setting path and value of every number of ``[decoding.HEAD]`` that validation has chosen; of thresholds
    of classes the one in the middle.
    """
    found = dict[str, Any]()
    for name, decoder in fitted.known.decoders.items():
        numbers = dict(decoder.numbers)
        if thresholds := getattr(decoder, "thresholds", ()):
            numbers["class_thresholds"] = [sorted(thresholds)[len(thresholds) // 2]]
        found |= {f"decoding.{name}.{number}": value for number, value in numbers.items()}
    return found


def decoded_scores(fitted: Fitted, found: Sequence[Output]) -> dict[str, float]:
    """Scores of the heads that ``[decoding.HEAD]`` reads, without losses."""
    settings, others, answers = fitted.settings, dict[str, float](), by_head(fitted, found)
    for name in settings.decoding:
        head, known = settings.heads[name], [one for one in answers.get(name, ()) if one.target is not None]
        if known:
            scores = kind(head.kind).scores(head, known, fitted.known.names[name], settings, every_score=True)
            others |= {f"{name}_{score}": value for score, value in scores.items()}
    return others


def by_head(fitted: Fitted, found: Sequence[Output]) -> dict[str, list[Answer]]:
    """Outputs of each head, clip by clip; heads by name, since a model that is read again has them so."""
    return {
        name: [answer_of(fitted, name, one, answers) for one, answers in found]
        for name in sorted(fitted.settings.heads)
        if name in fitted.model.output
    }


def answer_of(fitted: Fitted, name: str, one: Example, answers: Mapping[str, np.ndarray]) -> Answer:
    """What a head says of one clip, of which ``answers`` has what every head says."""
    decoder, frames, logits = fitted.known.decoders.get(name), len(one.frames), answers.get(name + LOGITS)
    return Answer(one.clip_id, one.row, one.targets[name], answers[name], frames, decoder, answers, logits)


def to_json(fitted: Fitted, kept: Collection[str]) -> dict[str, Any]:
    """The decoders of some heads as plain values."""
    return {
        name: kind(fitted.settings.heads[name].kind).decoder_to_json(decoder)  # type: ignore[attr-defined]
        for name, decoder in fitted.known.decoders.items()
        if name in kept
    }


def from_json(use: Mapping[str, Any], settings: Any) -> dict[str, Any]:
    """The decoders that a saved model has."""
    return {
        name: kind(settings.heads[name].kind).decoder_from_json(saved)  # type: ignore[attr-defined]
        for name, saved in use.get("decoders", {}).items()
    }
