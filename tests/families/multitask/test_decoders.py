"""Decoders of heads: fitted once on train and validation, kept with the model, given to every answer."""

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from audiomtl import config
from audiomtl.data import scaling
from audiomtl.data.pauses import pauses_of
from audiomtl.errors import UserError
from audiomtl.families.contract import Fitted, Prepared
from audiomtl.families.multitask import answers, decoders, model
from audiomtl.families.multitask.examples import Example
from audiomtl.families.multitask.network import Known
from audiomtl.nn.decoding import ngram
from tests.whole_settings import whole_settings

NAMES = ("_", "a", "b")
STEPS = 12


def settings(**changes: Any) -> Any:
    raw = whole_settings("multitask_timit")
    numbers = {"language_weight": [0.0, 1.0], "minimum_steps": [1, 2], **changes}
    raw["decoding"] = {"phones": {**raw["decoding"]["phones"], **numbers}}
    return config.settings_of(raw, "test")


def clip(number: int, of: Any) -> tuple[Example, dict[str, np.ndarray]]:
    """Phones of four steps each, in the order "a b a", heard through noise."""
    random = np.random.default_rng(number)
    numbers = np.repeat([1, 2, 1], STEPS // 3)
    step = of.step_seconds
    starts = step * np.array([0, 4, 8])
    row = {"clip_id": f"c{number}", "phones": ["a", "b", "a"], "starts": starts, "ends": starts + 4 * step}
    logits = random.normal(0, 1.0, (STEPS, 3))
    logits[np.arange(STEPS), numbers] += 1.5
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    frames = np.zeros((STEPS * of.stride, of.features.n_bands), np.float32)
    targets = {"phones": numbers, "sex": None}
    example = Example(row["clip_id"], frames, targets, dict.fromkeys(targets, 1.0), None, None, row)
    return example, {"phones": probabilities.astype(np.float32), "sex": np.array([0.5, 0.5], np.float32)}


@pytest.fixture(scope="module")
def undecoded() -> tuple[Fitted, list[Any]]:
    of = settings()
    scaler = scaling.fit([np.zeros((1, of.features.n_bands), np.float32)], of.features.scaling)
    known = Known({"phones": NAMES, "sex": ("f", "m")}, (), scaler)
    network = SimpleNamespace(output={"phones": None, "sex": None})
    return Fitted(network, of, known, None, 0), [clip(number, of) for number in range(10)]


def test_numbers_are_chosen_on_validation_and_every_answer_is_read_alike(undecoded: Any) -> None:
    fitted, found = undecoded
    prepared = Prepared(None, {"train": [one for one, _ in found]}, None, {})  # type: ignore[arg-type]
    decoded = decoders.with_decoder(fitted, prepared, found[:6])
    numbers = decoded.known.decoders["phones"].numbers
    assert (numbers["language_weight"], numbers["minimum_steps"]) == (1.0, 1) or numbers["minimum_steps"] == 2
    assert "sex" not in decoded.known.decoders and not fitted.known.decoders
    before, after = decoders.decoded_scores(fitted, found), decoders.decoded_scores(decoded, found)
    assert after["phones_error_rate"] < 0.3 < before["phones_error_rate"] == after["phones_greedy_error_rate"]
    assert "phones_greedy_error_rate" not in before
    tables = model.predict(decoded, found)
    clips = tables["predictions"]
    assert clips["phones_edits"].sum() / clips["phones_phones"].sum() == after["phones_error_rate"]
    heard = tables["events"].groupby("clip_id")["label"].apply(list)
    pauses = pauses_of(decoded.settings.data)
    for one, outputs in found:
        answer = decoders.answer_of(decoded, "phones", one, outputs)
        said = answers._answer(decoded.settings.heads["phones"], answer, NAMES, 9.0, decoded.settings)
        assert [span.label for span in said.spans] == [
            label for label in heard[one.clip_id] if label not in pauses
        ]


@pytest.mark.parametrize("weight", [1.0, 0.0])
def test_a_bigram_also_counts_clips_whose_transcript_another_trained_head_learns(
    undecoded: Any, weight: float
) -> None:
    fitted, found = undecoded
    raw = whole_settings("multitask_timit")
    raw["heads"]["transcript"] = {"kind": "ctc", "weight": weight}
    both = config.settings_of(raw, "test")
    untimed = [
        replace(one, targets={**one.targets, "phones": None, "transcript": np.array([1, 2, 1])})
        for one, _ in found[3:]
    ]
    timed = [replace(one, targets={**one.targets, "transcript": np.array([2])}) for one, _ in found[:1]]
    timed[0] = replace(timed[0], row={**timed[0].row, "phones": ["b"]})
    prepared = Prepared(None, {"train": [*timed, *untimed]}, None, {})  # type: ignore[arg-type]
    names = {**fitted.known.names, "transcript": NAMES[1:]}
    known = Fitted(fitted.model, both, replace(fitted.known, names=names), None, 0)
    decoder = decoders.with_decoder(known, prepared, []).known.decoders["phones"]
    begins = ngram.log_probability(decoder.language, "a", (ngram.BEGIN,))
    assert (begins > np.log(0.5)) == (weight > 0)  # of seven untimed clips all begin with "a"
    assert decoder.shares.argmax() == 1  # of the steps of the timed clip alone, whose targets are "a b a"


def test_they_come_back_from_json(undecoded: Any) -> None:
    fitted, found = undecoded
    prepared = Prepared(None, {"train": [one for one, _ in found]}, None, {})  # type: ignore[arg-type]
    decoded = decoders.with_decoder(fitted, prepared, found)
    saved = json.loads(json.dumps({"decoders": decoders.to_json(decoded, ["phones"])}))
    back = decoders.from_json(saved, decoded.settings)
    again = Fitted(fitted.model, fitted.settings, Known(**{**vars(fitted.known), "decoders": back}), None, 0)
    for table, other in zip(
        model.predict(decoded, found).values(), model.predict(again, found).values(), strict=True
    ):
        pd.testing.assert_frame_equal(table, other)
    assert decoders.to_json(decoded, []) == {} == decoders.from_json({}, decoded.settings)


@pytest.mark.parametrize(
    "table, message",
    [
        ({"phone": {"method": "greedy"}}, "decoding.phone: no head has this name; did you mean phones?"),
        ({"sex": {"method": "viterbi"}}, "decoding.sex.minimum_steps is missing"),
        ({"phones": {"method": "beam"}}, "decoding.phones.beam_width is missing"),
    ],
)
def test_a_table_that_does_not_fit_the_heads_is_refused(table: Any, message: str) -> None:
    raw = {**whole_settings("multitask_timit"), "decoding": table}
    with pytest.raises(UserError) as refused:
        config.settings_of(raw, "x.toml")
    assert message in str(refused.value)


def test_a_method_of_another_kind_is_refused() -> None:
    raw = whole_settings("multitask_timit")
    raw["decoding"] = {"sex": dict(raw["decoding"]["phones"])}
    with pytest.raises(UserError, match=r'decoding\.sex\.method = "viterbi": heads\.sex of kind clip_class'):
        config.settings_of(raw, "x.toml")
