"""The head of phones without times: its loss, targets, spans, and clips that lack a transcript or times."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from audiomtl.errors import UserError
from audiomtl.families.multitask.heads import Answer, ctc, phones
from audiomtl.nn.ctc import ctc_loss
from audiomtl.settings.decoding import Decoding

NAMES = ("a", "b", "c")
HEAD = SimpleNamespace(kind="ctc", reads=lambda label: "phones")
SETTINGS = SimpleNamespace(
    stride=2,
    step_seconds=0.02,
    features=SimpleNamespace(seconds_per_frame=0.01),
    inputs=None,
    data=SimpleNamespace(pauses=["_"]),
)


def row(said: list[str] | None, **more: object) -> dict:
    return {"clip_id": "x", "phones": said, "starts": None, "ends": None, **more}


def target(said: list[str], steps: int = 8) -> np.ndarray:
    return ctc.target("text", HEAD, row(said), 2 * steps, NAMES, SETTINGS, None)


def answer(classes: list[int], said: list[str]) -> Answer:
    output = 5 * np.eye(4)[classes]
    return Answer("x", row(said), target(said), output, 2 * len(classes))


def loss(logits: np.ndarray, targets: list, weights: list[float], steps: list[int]) -> float:
    labels = ctc.batch(targets, logits.shape[1], classes=3, bands=1)
    return float(ctc.loss(tf.constant(logits), labels, np.array(weights, np.float32), np.array(steps)))


def test_the_loss_is_that_of_ctc_per_phone_and_mean_over_weighted_clips() -> None:
    logits = np.random.default_rng(0).normal(size=(3, 8, 4)).astype(np.float32)
    targets, steps = [target(["a", "_", "b"]), target(["c", "c", "a"]), None], [8, 6, 7]
    each = ctc_loss(logits[:2], steps[:2], [[1, 2, 0], [3, 3, 1]], [2, 3]).numpy() / [2, 3]
    assert loss(logits, targets, [1, 1, 0], steps) == pytest.approx(each.mean(), rel=1e-5)
    assert loss(logits, targets, [1, 3, 0], steps) == pytest.approx((each[0] + 3 * each[1]) / 4, rel=1e-5)
    logits[0, 8:], logits[2] = 9.0, -3.0  # behind the end, and of a clip without transcript: no influence
    assert loss(logits, targets, [1, 1, 0], steps) == pytest.approx(each.mean(), rel=1e-5)


def test_without_transcripts_loss_and_gradient_are_0() -> None:
    logits = tf.Variable(np.random.default_rng(0).normal(size=(2, 5, 4)).astype(np.float32))
    with tf.GradientTape() as tape:
        value = ctc.loss(
            logits, ctc.batch([None, None], 5, classes=3, bands=1), np.zeros(2), np.array([5, 3])
        )
    assert float(value) == 0 and not np.any(tape.gradient(value, logits).numpy())


def test_a_persistent_tape_in_a_graph_gives_the_same_gradient() -> None:
    """As when a multi-task network is trained: twice, by the balancing and by the optimizer."""
    logits = tf.constant(np.random.default_rng(0).normal(size=(2, 8, 4)).astype(np.float32))
    labels, weight, steps = ctc.batch([target(["a", "b"]), None], 8, classes=3, bands=1), np.ones(2), [8, 6]
    weight[1] = 0

    @tf.function
    def both(x: tf.Tensor) -> tuple:
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            value = ctc.loss(x, labels, weight, tf.constant(steps))
        return tape.gradient(value, x), tape.gradient(value, x)

    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = ctc_loss(logits, [8, 6], [[1, 2], [1, 1]], [2, 1])[0] / 2
    expected = tape.gradient(value, logits)
    for found in both(logits):
        np.testing.assert_allclose(found, expected, atol=1e-6)
        assert np.any(found[0]) and not np.any(found[1])


def test_a_transcript_of_pauses_alone_is_all_blank() -> None:
    logits = np.zeros((1, 4, 4), np.float32)
    assert loss(logits, [target(["_"])], [1.0], [4]) == pytest.approx(4 * np.log(4), rel=1e-5)


def test_targets_leave_out_pauses_and_phones_that_train_lacks() -> None:
    assert target(["_", "a", "zz", "c", "_", "c"]).tolist() == [1, 3, 3]
    assert ctc.classes("text", HEAD, {"phones": pd.Series([["_", "b"], None, ["a"]])}, SETTINGS) == (
        "a",
        "b",
    )
    with pytest.raises(UserError, match=r"heads\.text: clip x: 3 phones .* the recording's 2 steps"):
        target(["a", "a"], steps=2)


def test_phones_last_until_the_next_but_not_for_long() -> None:
    found = ctc.spans(HEAD, answer([0, 1, 1, 0, 2, *[0] * 12, 2], ["a", "b", "b"]), NAMES, SETTINGS)
    assert [label for *_, label in found] == ["a", "b", "b"]
    # a step of 20 ms stands for the middle of its two frames, which is 5 ms behind the first one's
    expected = [(0.015, 0.075), (0.075, 0.245), (0.335, 0.355)]
    np.testing.assert_allclose([span[:2] for span in found], expected, atol=1e-9)
    assert ctc.spans(HEAD, answer([0, 0, 0], ["a"]), NAMES, SETTINGS) == []
    # the same phone twice, with a blank between, is two
    assert ctc.scores(HEAD, [answer([1, 0, 1], ["a", "a"])], NAMES, SETTINGS, every_score=True) == {
        "error_rate": 0.0
    }
    assert ctc.per_clip("text", HEAD, answer([1, 0, 2], ["a", "a", "_"]), NAMES, SETTINGS) == {
        "text_edits": 1.0,
        "text_phones": 2.0,
    }


def test_a_beam_with_a_bigram_reads_what_single_steps_do_not() -> None:
    """Fitted on transcripts, its numbers chosen on validation; scores, counts and spans read alike."""
    unclear = answer([1, 0, 2, 0, 1], ["a", "b", "a"])
    unclear.output[2, 3] = unclear.output[2, 2] + 0.1  # "c" a little likelier than "b"
    numbers = {"beam_width": 8, "language_order": 2, "insertion_bonus": 0.0, "language_weight": [0.0, 1.0]}
    decoding = Decoding.model_validate({"method": "beam", **numbers})
    train = [answer([0] * 5, ["_", "a", "b", "a"])] * 9
    decoder = ctc.fit_decoder("text", HEAD, decoding, train, [unclear], NAMES, SETTINGS)
    assert decoder.numbers["language_weight"] == 1.0
    read = replace(unclear, decoder=decoder)
    assert ctc.scores(HEAD, [read], NAMES, SETTINGS, every_score=True) == {
        "error_rate": 0.0,
        "greedy_error_rate": 1 / 3,
    }
    assert "greedy_error_rate" not in ctc.scores(HEAD, [read], NAMES, SETTINGS, every_score=False)
    assert ctc.per_clip("text", HEAD, read, NAMES, SETTINGS)["text_edits"] == 0.0
    assert ctc.per_clip("text", HEAD, unclear, NAMES, SETTINGS)["text_edits"] == 1.0
    found = ctc.spans(HEAD, read, NAMES, SETTINGS)
    assert [label for *_, label in found] == ["a", "b", "a"]
    assert [span[0] for span in found] == [span[0] for span in ctc.spans(HEAD, unclear, NAMES, SETTINGS)]
    again = ctc.decoder_from_json(ctc.decoder_to_json(decoder))
    assert ctc.spans(HEAD, replace(unclear, decoder=again), NAMES, SETTINGS) == found


def test_probabilities_have_the_blank_first() -> None:
    found = ctc.probabilities(np.array([[0.0, np.log(3), 0.0, 0.0]]))
    np.testing.assert_allclose(found, [[1 / 6, 1 / 2, 1 / 6, 1 / 6]], rtol=1e-6)


def test_a_clip_without_times_has_no_target_of_phones_in_time() -> None:
    untimed = phones.target("p", HEAD, row(["a"]), 8, NAMES, SETTINGS, None)
    timed = phones.target("p", HEAD, row(["a"], starts=[0.0], ends=[0.05]), 8, NAMES, SETTINGS, None)
    assert untimed is None and timed.tolist() == [0, 0, 0, -1]
