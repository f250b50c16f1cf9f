"""Decoders of melody, notes and segments: fitted on validation, saved, better than steps alone."""

import json

import numpy as np
import pytest

from audiomtl.errors import UserError
from audiomtl.families.multitask.heads import Answer, kind
from audiomtl.settings.decoding import Decoding
from tests.families.multitask.test_scoring import NAMES, OTHER, ROW, SOME, N, perfect, target_of
from tests.small_multitask import KINDS, settings

HMM = {
    "method": "hmm",
    "minimum_steps": 4,
    "switch_penalty": [4.0, 8.0],
    "leap_penalty": 0.5,
    "onset_weight": 2.0,
    "onset_threshold": 0.2,
}
ONSETS = {
    "method": "onsets",
    "minimum_steps": 3,
    "onset_threshold": [0.6, 0.3],
    "held_threshold": 0.4,
    "gap_steps": 2,
}
SEGMENTS = {
    "method": "segments",
    "beside": "event",
    "minimum_steps": 2,
    "gap_steps": [0, 2],
    "median_steps": [1, 5],
    "class_thresholds": [0.5, 0.2],
    "release": 1.0,
    "clip_weight": [0.0, 1.0],
}
CASES = [
    ("melody", {**HMM, "beside": "voice"}, "onset_f1"),
    ("melody", {**HMM, "beside": ""}, "raw_pitch_accuracy"),
    ("voice", {**HMM, "beside": "melody"}, "offset_f1"),
    ("voice", {**HMM, "beside": ""}, "onset_f1"),
    ("voice", ONSETS, "offset_f1"),
    ("activity", SEGMENTS, "event_f1"),
]


def spoiled(name: str, row) -> np.ndarray:
    """What is perfect, with slips of single steps and scores that are too low."""
    random = np.random.default_rng(len(row["clip_id"]))
    output = 0.8 * perfect(name, row).astype(np.float64) + 0.02 * random.random(perfect(name, row).shape)
    if name == "event":
        return output
    slips = np.arange(24, N - 10, 17)
    if name == "melody":
        output[slips] = 0.01
        output[slips, 3] = 0.9
    else:
        output[slips] *= 0.2
    return output


def answers(name: str, rows=(ROW, OTHER)) -> list[Answer]:
    beside = ("melody", "voice", "event")
    return [
        Answer(
            row["clip_id"], row, target_of(name, row), spoiled(name, row), N,
            outputs={other: spoiled(other, row) for other in beside},
        )
        for row in rows
    ]  # fmt: skip


def fitted(name: str, table, clips):
    of_kind, head = kind(SOME.heads[name].kind), SOME.heads[name]
    decoding = Decoding.model_validate(table)
    return of_kind.fit_decoder(name, head, decoding, (), clips, NAMES.get(name, ()), SOME)


def with_decoder(clips, decoder) -> list[Answer]:
    return [Answer(**{**vars(clip), "decoder": decoder}) for clip in clips]


@pytest.mark.parametrize("name, table, score", CASES)
def test_a_decoder_finds_what_single_steps_miss(name, table, score) -> None:
    of_kind, head, clips = kind(SOME.heads[name].kind), SOME.heads[name], answers(name)
    decoder = fitted(name, table, clips)
    assert not any(isinstance(value, tuple) and len(value) > 1 for value in decoder.numbers.values())
    raw, found = (
        of_kind.scores(head, some, NAMES.get(name, ()), SOME, every_score=True)[score]
        for some in (clips, with_decoder(clips, decoder))
    )
    assert raw < 0.99 or (name, table["beside"]) == ("voice", "")
    assert found == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("name, table, score", CASES)
def test_a_decoder_is_saved_as_plain_values(name, table, score) -> None:
    of_kind, clips = kind(SOME.heads[name].kind), answers(name)
    decoder = fitted(name, table, clips)
    read = of_kind.decoder_from_json(json.loads(json.dumps(of_kind.decoder_to_json(decoder))))
    for once, again in zip(with_decoder(clips, decoder), with_decoder(clips, read), strict=True):
        spans = [of_kind.spans(SOME.heads[name], one, NAMES.get(name, ()), SOME) for one in (once, again)]
        assert spans[0] == spans[1] and spans[0]
        # a clip alone, of one step, is read too
        short = Answer(**{**vars(again), "n_frames": 1, "output": again.output[:1], "outputs": {
            other: value if value.ndim == 1 else value[:1] for other, value in again.outputs.items()}})  # fmt: skip
        of_kind.spans(SOME.heads[name], short, NAMES.get(name, ()), SOME)


@pytest.mark.parametrize("name, table, score", CASES)
def test_without_clips_to_judge_by_the_first_numbers_stay(name, table, score) -> None:
    decoder = fitted(name, table, [])
    for path, value in table.items():
        if path != "class_thresholds":
            assert decoder.numbers[path] == (value[0] if isinstance(value, list) else value)


def test_a_clip_takes_a_class_from_its_segments() -> None:
    """The head of the clip's class weighs the segments: another class that is heard for a while goes."""
    clips = answers("activity")
    for clip in clips:
        clip.output[60:75, 1 - int(clip.outputs["event"].argmax())] = 0.95
    decoder = fitted("activity", SEGMENTS, clips)
    assert decoder.numbers["clip_weight"] == 1.0
    spans = kind("segments").spans(
        SOME.heads["activity"], with_decoder(clips, decoder)[0], NAMES["activity"], SOME
    )
    assert {label for *_, label in spans} == {"dog"}


@pytest.mark.parametrize(
    "tables, message",
    [
        ({"melody": {**HMM, "beside": "voices"}}, "no head of kind notes has this name.*voice"),
        ({"melody": {**HMM, "beside": "event"}}, "no head of kind notes"),
        ({"voice": {**HMM, "beside": "melody"}}, "has weight 0 or is train_only"),
        ({"event": ONSETS}, "is read by greedy"),
        ({"melody": {**HMM, "beside": "", "switch_penalty": 0.0}}, "must be above 0"),
        ({"activity": {**SEGMENTS, "median_steps": [3, 4]}}, "an odd number of steps"),
    ],
)
def test_tables_that_do_not_fit_are_refused(tables, message) -> None:
    heads = {**KINDS, "melody": {"kind": "melody", "weight": 0.0}}
    with pytest.raises(UserError, match=message):
        settings(heads=heads, inputs__allow_leak=True, data__label="event", decoding=tables)
