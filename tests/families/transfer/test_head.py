"""The head: every operator over probabilities, logits and embeddings, padding and order without
influence, reloadable.
"""

from pathlib import Path

import keras
import numpy as np
import pytest

from audiomtl import config
from audiomtl.families.transfer.head import Pool, head_network
from audiomtl.families.transfer.settings import PatchPooling
from tests.whole_settings import whole_settings

PROJECT = Path(__file__).parents[3]
OPERATORS = [
    "mean",
    "max",
    "quantile",
    "log_sum_exp",
    "exponential_softmax",
    "autopool",
    "top_k",
    "attention",
    "gated_attention",
]
OPERATORS += ["multi_head_attention", "lstm"]
SIZE, CLASSES = 6, 3
COUNTS = np.array([4, 1, 7], np.int32)


def settings(**changes):
    raw = whole_settings("transfer_esc10")
    small = {
        "head.hidden": [5],
        "head.dropout": 0.0,
        "pooling.units": 4,
        "pooling.heads": 2,
        "pooling.evaluation": "same",
        "pooling.name": "mean",
    }
    small |= {"pooling.of": "logits", "head.kind": "dense"}  # a study may have moved them
    return config.settings_of(
        config.override(raw, small | {path.replace("__", "."): value for path, value in changes.items()}),
        "test",
    )


def network(mean=None, deviation=None, **changes) -> keras.Model:
    keras.utils.set_random_seed(0)
    some = settings(**changes)
    mean, deviation = (np.zeros(SIZE), np.ones(SIZE)) if mean is None else (mean, deviation)
    return head_network(some.head, some.pooling, size=SIZE, classes=CLASSES, mean=mean, deviation=deviation)


def rows(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 3, (int(COUNTS.sum()), SIZE)).astype(np.float32)


@pytest.mark.parametrize("of", ["probabilities", "logits", "embeddings"])
@pytest.mark.parametrize("name", OPERATORS)
def test_a_clip_does_not_depend_on_its_neighbours(name, of) -> None:
    model, x = network(pooling__name=name, pooling__of=of), rows()
    together = model([x, COUNTS])
    ends = np.cumsum(COUNTS)
    for bag, (end, count) in enumerate(zip(ends, COUNTS, strict=True)):
        alone = model([x[end - count : end], np.array([count], np.int32)])
        assert np.allclose(alone["clip"][0], together["clip"][bag], atol=1e-6)
        assert np.allclose(alone["weights"][0], together["weights"][bag, :count], atol=1e-6)
        assert not np.any(together["weights"][bag, count:])
    assert np.allclose(np.sum(together["clip"], axis=1), 1, atol=1e-6) and np.allclose(
        np.sum(together["patches"], axis=1), 1, atol=1e-6
    )


@pytest.mark.parametrize("of", ["probabilities", "logits", "embeddings"])
@pytest.mark.parametrize("name", OPERATORS)
def test_one_patch_is_that_patch(name, of) -> None:
    model, x = network(pooling__name=name, pooling__of=of), rows()[:1]
    outputs = model([x, np.array([1], np.int32)])
    assert np.allclose(outputs["clip"], outputs["patches"], atol=1e-6)


def test_the_mean_of_logits_is_the_articles() -> None:
    model, x = network(), rows()
    last = keras.Model(model.inputs[0], model.get_layer("logits").output)(x).numpy()
    expected = np.stack([part.mean(axis=0) for part in np.split(last, np.cumsum(COUNTS)[:-1])])
    expected = np.exp(expected) / np.exp(expected).sum(axis=1, keepdims=True)
    assert np.allclose(model([x, COUNTS])["clip"], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "by_hand"),
    [
        ("max", np.max),
        ("quantile", lambda x, axis: np.quantile(x, 0.75, axis=axis)),
        ("top_k", lambda x, axis: np.sort(x, axis=axis)[:, -3:].mean(axis=axis)),
        (
            "log_sum_exp",
            lambda x, axis: (
                np.logaddexp.reduce(5.0 * x.astype(float), axis=axis) / 5 - np.log(x.shape[axis]) / 5
            ),
        ),
    ],
)
def test_operators_for_probabilities_take_values_of_any_sign(name, by_hand) -> None:
    """Their bounds are those of probabilities; values far below 0 and above 2 must not fall out of them."""
    options = settings(pooling__name=name).pooling.model_dump(mode="json", exclude={"of"})
    values = np.random.default_rng(0).normal(-50, 20, (2, 5, 3)).astype(np.float32)
    padded = np.concatenate([values, np.full((2, 3, 3), np.nan, np.float32)], axis=1)
    pooled, _ = Pool(options)([padded, padded, np.array([5, 5], np.int32)])
    assert np.allclose(pooled, by_hand(values, axis=1), rtol=1e-5)


def test_standardising_is_by_the_numbers_given() -> None:
    mean, deviation = np.arange(SIZE, dtype=float), np.array([1, 2, 3, 0, 5, 6.0])
    x = rows()
    by_hand = (x - mean) / np.where(deviation > 0, deviation, 1)
    got = network(mean, deviation)([x, COUNTS])["clip"]
    assert np.allclose(got, network()([by_hand.astype(np.float32), COUNTS])["clip"], atol=1e-5)


@pytest.mark.parametrize("name", ["mean", "quantile", "attention", "autopool"])
def test_it_reloads_in_safe_mode(name, tmp_path) -> None:
    model, x = (
        network(
            np.ones(SIZE), np.full(SIZE, 2.0), pooling__name=name, pooling__of="embeddings", head__dropout=0.3
        ),
        rows(),
    )
    model.save(tmp_path / "head.keras")
    again = keras.models.load_model(tmp_path / "head.keras", safe_mode=True)
    for output in ("clip", "patches", "weights"):
        assert np.array_equal(model([x, COUNTS])[output], again([x, COUNTS])[output])


@pytest.mark.parametrize("name", ["noisy_or", "linear_softmax"])
def test_operators_of_probabilities_refuse_others(name) -> None:
    raw = settings().pooling.model_dump(mode="json") | {"name": name}
    with pytest.raises(ValueError, match="pools probabilities only"):
        PatchPooling.model_validate(raw | {"of": "logits"})
    assert PatchPooling.model_validate(raw | {"of": "probabilities"}).name == name
