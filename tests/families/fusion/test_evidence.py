"""join likelihood: what a text and a score cost under recognisers of the sound, what the recognisers learn
from, and what is refused.
"""

from itertools import groupby, product

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from audiomtl.data.scores import KEYS
from audiomtl.errors import UserError
from audiomtl.families import contract
from audiomtl.families.fusion import model as fusion
from audiomtl.families.fusion.evidence import evidence_of
from audiomtl.families.fusion.joins import likelihood
from tests.families.fusion.test_model import settings, table, trained, use

__all__ = ["table", "use"]

NAMES = ["score", "sound", "text"]
SOUND = KEYS + 4  # salience, and what convolutions give
CHANGES = {
    "join__kind": "likelihood",
    "join__by": "audio",
    "join__evidence_weight": 1.0,
    "modalities__audio__encoder": "keys",
    "modalities__score__encoder": "keys",
    "modalities__score__filters": [],
    "modalities__score__pool": 1,
    "modalities__audio__pool": 1,
    "modalities__text__encoder": "one_hot",
    "modalities__text__agrees": ["same"],
    "modalities__score__agrees": ["same", "other"],
}
THREE = {"audio": "path", "score": "notes", "text": "words"}


def given(tokens: list[list[int]], steps: list[int], vocabulary: int = 4, seed: int = 0) -> list[np.ndarray]:
    """[presence, three vectors, three sequences, three masks] of clips with these tokens and lengths."""
    random, clips, most = np.random.default_rng(seed), len(tokens), max(steps)
    sound = random.normal(size=(clips, most, SOUND)).astype(np.float32)
    held = np.zeros((clips, most, KEYS), np.float32)
    held[:, : most // 2, 40] = 1
    text = np.zeros((clips, max(map(len, tokens), default=1) or 1, vocabulary), np.float32)
    for row, own in enumerate(tokens):
        text[row, range(len(own)), own] = 1
    masks = [np.arange(most) < np.array(steps)[:, None]] * 2 + [text.any(axis=2)]
    vectors = [np.zeros((clips, x.shape[2]), np.float32) for x in (held, sound, text)]
    return [np.ones((clips, 3), np.float32), *vectors, held, sound, text, *masks]


def made(inputs: list[np.ndarray]) -> keras.layers.Layer:
    layer = likelihood.Likelihood(NAMES, "sound", ["sound", "score"])
    layer(inputs)
    random = np.random.default_rng(3)
    for variable in layer.trainable_variables:
        variable.assign(random.normal(size=variable.shape) * 0.5)
    return layer


def test_costs_are_those_of_all_alignments_and_of_the_keys_of_notes() -> None:
    inputs = given([[2, 3], [3, 3, 1], [1]], [5, 4, 3])
    layer = made(inputs)
    found = layer(inputs).numpy()
    assert found.shape == (3, 6) and likelihood.costs(NAMES, "sound") == {"score": 0, "text": 3}
    for row, (tokens, steps) in enumerate([([2, 3], 5), ([3, 3, 1], 4), ([1], 3)]):
        sound = tf.constant(inputs[5][row, :steps])
        log = tf.nn.log_softmax(layer.tokens["text"](sound[None])[0]).numpy()
        paths = [  # every path that gives the text: repeats merged, then blanks removed
            path
            for path in product(range(4), repeat=steps)
            if [symbol for symbol, _ in groupby(path) if symbol] == tokens
        ]
        total = np.logaddexp.reduce([log[range(steps), list(path)].sum() for path in paths])
        least = -log.max(axis=1).sum()
        expected = np.array([-total, least, -total - least]) / len(tokens)
        np.testing.assert_allclose(found[row, 3:], expected, rtol=1e-4)
        keys = np.pad(sound[:, :KEYS], [(0, 0), (0, 1)]) + layer.keys["score"](sound).numpy()
        keys = tf.nn.log_softmax(keys).numpy()
        own = slice(0, 2)  # half of five steps holds key 40
        np.testing.assert_allclose(found[row, 0], -keys[own, 40].mean(), rtol=1e-4)
        np.testing.assert_allclose(found[row, 1], -keys[own].max(axis=1).mean(), rtol=1e-4)


@pytest.mark.parametrize(
    ("absent", "zero"), [([0], range(3)), ([1], range(6)), ([2], range(3, 6)), ([0, 2], range(6))]
)
def test_what_is_absent_costs_nothing_and_has_no_influence(absent, zero) -> None:
    inputs = given([[2, 3], [1]], [5, 4])
    layer, results = made(inputs), []
    for other in (1.0, np.nan):
        changed = [part.copy() for part in inputs]
        changed[0][0, absent] = 0
        for number in absent:
            changed[4 + number][0] *= other
        with tf.GradientTape() as tape:
            found = layer(changed)
            value = tf.reduce_sum(found)
        gradient = tape.gradient(value, layer.trainable_variables, unconnected_gradients="zero")
        results.append((found.numpy(), [part.numpy() for part in gradient]))
    for found, gradient in results:
        assert np.isfinite(found).all() and not found[0, list(zero)].any() and found[1].all()
        assert all(np.isfinite(part).all() for part in gradient)
    np.testing.assert_array_equal(results[0][0], results[1][0])


def test_a_text_of_more_tokens_than_steps_costs_nothing() -> None:
    inputs = given([[2, 2, 2], [2, 3, 2]], [4, 4])  # equal neighbours need a blank between them
    found = made(inputs)(inputs).numpy()
    assert not found[0, 3:].any() and found[1, 3] > 0 and np.isfinite(found).all()


def test_the_recognisers_learn_where_the_class_says_that_text_and_score_agree(use) -> None:
    some = settings(THREE, **CHANGES)
    prepared = fusion.prepare(some, 1)
    assert prepared.known.classes == ("other", "same")
    model = fusion.network(some, prepared.known, 1)
    batch = fusion._collate(prepared.examples["train"][:8], some, prepared.known)
    labels = tf.constant(batch["labels"])
    inputs = {name: value for name, value in batch.items() if name not in ("labels", "clip_ids")}
    answers, more = evidence_of(model, some, prepared.known)(inputs, labels)
    vector = keras.Model(model.inputs, model.get_layer("join").output)(inputs).numpy()
    agree = batch["labels"] == 1
    assert 0 < agree.sum() < 8
    np.testing.assert_allclose(more, vector[:, 0].mean() + vector[agree, 3].mean(), rtol=1e-5)
    # a clip that lacks the text costs nothing, and the mean is over the others
    lacking = int(np.flatnonzero(agree)[0])
    presence = np.array(inputs["presence"])
    presence[lacking, list(some.used).index("text")] = 0
    _, fewer = evidence_of(model, some, prepared.known)(inputs | {"presence": presence}, labels)
    heard = agree & (np.arange(8) != lacking)
    np.testing.assert_allclose(fewer, vector[:, 0].mean() + vector[heard, 3].mean(), rtol=1e-5)
    for name, value in model(inputs).items():
        np.testing.assert_allclose(answers[name], value, rtol=1e-4, atol=1e-5)
    for change in ({"join__evidence_weight": 0.0}, {"join__leave_out": ["audio"]}):
        assert evidence_of(model, settings(THREE, **{**CHANGES, **change}), prepared.known) is None
    assert evidence_of(model, settings(THREE), prepared.known) is None


def test_it_trains_and_comes_back_from_its_files(use, tmp_path) -> None:
    seen = []
    fitted, prepared = trained(
        settings(THREE, **CHANGES, modality_dropout=0.2, training__epochs=3),
        on_epoch=lambda epoch, scores: seen.append(scores["train/loss"]) or True,
    )
    assert seen[-1] < seen[0]
    found = fusion.outputs(fitted, prepared.examples["test"])
    contract_path = tmp_path / "model"
    contract_path.mkdir()
    fusion.save(fitted, contract_path)
    again = fusion.outputs(fusion.load(contract_path), prepared.examples["test"])
    for (_, one), (_, two) in zip(found, again, strict=True):
        np.testing.assert_array_equal(one["clip_logits"], two["clip_logits"])
    assert isinstance(fitted, contract.Fitted)
    for left in (["audio"], ["text"], ["score"]):  # arms without one of them
        trained(settings(THREE, **CHANGES, join__leave_out=left, training__epochs=1))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"join__by": "text"}, 'join.by = "text": join.kind = "likelihood" needs a modality of kind audio'),
        ({"modalities__text__encoder": "lstm"}, 'modalities.text: join.kind = "likelihood" needs encoder = "one_hot" here'),
        ({"modalities__audio__pool": 2}, "compares keys step by step"),
        ({"modalities__score__encoder": "embedding", "modalities__score__filters": [4]}, 'needs encoder = "keys" here'),
        ({"modalities__score__encoder": "embedding"}, "needs at least one convolution"),
        ({"join__evidence_weight": -1.0}, "join.evidence_weight"),
    ],
)  # fmt: skip
def test_what_it_cannot_join_is_refused_in_one_line(changes, said) -> None:
    with pytest.raises(UserError) as error:
        settings(THREE, **{**CHANGES, **changes})
    assert said in str(error.value) and "\n" not in str(error.value)


def test_a_class_that_is_none_is_refused(use) -> None:
    some = settings(THREE, **{**CHANGES, "modalities__text__agrees": ["sane"]})
    with pytest.raises(
        UserError, match=r'modalities.text.agrees: "sane" is no class of verdict .*did you mean same\?'
    ):
        fusion.prepare(some, 1)


def test_one_hot_text_is_zero_behind_its_end() -> None:
    from audiomtl.families.fusion.encoders import OneHot

    tokens, mask = layers.Input((None,), dtype="int32"), layers.Input((None,), dtype="bool")
    model = keras.Model([tokens, mask], OneHot(3)([tokens, mask]))
    found = model([np.array([[1, 2, 0]]), np.array([[True, True, False]])]).numpy()
    np.testing.assert_array_equal(found[0], [[0, 1, 0], [0, 0, 1], [0, 0, 0]])
