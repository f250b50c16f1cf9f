"""Joins of several modalities: what each computes, and that what is absent has no influence at all."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from audiomtl.errors import UserError
from audiomtl.families.fusion import joins as fusion
from audiomtl.families.fusion.encoders import ModalityDropout, PoolSteps, encode
from audiomtl.families.fusion.joins import _attention as attention
from audiomtl.families.fusion.joins import aligned
from audiomtl.families.fusion.settings import Join, Modality
from audiomtl.nn.fit import seed_everything

NAMES = ["audio", "score", "words"]
SIZES = [6, 6, 4]
STEPS = [5, 5, 3]
KINDS = [
    "average",
    "weighted",
    "concatenation",
    "gated",
    "bilinear",
    "late",
    "film",
    "cross_attention",
    "aligned",
]


def settings(kind: str, **changes) -> Join:
    values = {
        "kind": kind,
        "size": 8,
        "learn_weights": True,
        "rank": 3,
        "heads": 2,
        "by": "audio",
        "kernel": 3,
    }
    return Join(**{**values, "hidden": [], "dropout": 0.0, "leave_out": [], **changes})


def tensors(clips: int = 4, seed: int = 0) -> list[np.ndarray]:
    """[presence, three vectors, three sequences, three masks]; the last clip has fewer steps."""
    random = np.random.default_rng(seed)
    vectors = [random.normal(size=(clips, size)).astype(np.float32) for size in SIZES]
    steps = [
        random.normal(size=(clips, count, size)).astype(np.float32)
        for count, size in zip(STEPS, SIZES, strict=True)
    ]
    masks = [np.ones((clips, count), bool) for count in STEPS]
    for mask in masks:
        mask[-1, 2:] = False
    return [np.ones((clips, 3), np.float32), *vectors, *steps, *masks]


def joined(kind: str, given: list[np.ndarray], **changes):
    """The join's layer and what it gives."""
    seed_everything(1)
    shapes = [one.shape[1:] if number < 4 else (None, *one.shape[2:]) for number, one in enumerate(given)]
    inputs = [layers.Input(shape, dtype=one.dtype.name) for shape, one in zip(shapes, given, strict=True)]
    vectors = dict(zip(NAMES, inputs[1:4], strict=True))
    sequences = dict(zip(NAMES, zip(inputs[4:7], inputs[7:], strict=True), strict=True))
    extra = {"classes": 5, "weights": [1.0, 2.0, 3.0], "on_grid": ["audio", "score"]}
    model = keras.Model(
        inputs, fusion.join(settings(kind, **changes), inputs[0], vectors, sequences, **extra)
    )
    for variable in model.trainable_variables:  # zeros at the start would hide what flows through them
        variable.assign(variable + 0.1 * np.random.default_rng(2).normal(size=variable.shape))
    return model


# ---------------------------------------------------------------- every join


@pytest.mark.parametrize("missing", [[0], [1], [2], [0, 1], [1, 2], [0, 2]], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_absent_has_no_influence_on_output_or_gradient(kind, missing) -> None:
    given, other = tensors(), tensors(seed=7)
    given[0][0, missing] = 0
    changed = [one.copy() for one in given]
    for number in missing:
        for base in (1, 4):
            changed[base + number][0] = 100 * other[base + number][0]
        changed[7 + number][0] = False
    model, results = joined(kind, given), []
    for one in (given, changed):
        variables = [tf.Variable(part) if part.dtype == np.float32 else tf.constant(part) for part in one]
        with tf.GradientTape() as tape:
            output = model(variables)
            value = tf.reduce_sum(tf.sin(output))
        sources = [part for part in variables[1:7]] + [weight.value for weight in model.trainable_variables]
        results.append((output.numpy(), tape.gradient(value, sources, unconnected_gradients="zero")))
    assert np.isfinite(results[0][0]).all() and np.array_equal(results[0][0], results[1][0])
    for number in missing:
        for gradients in (results[0][1], results[1][1]):
            assert not np.any(gradients[number][0]) and not np.any(gradients[3 + number][0])
    for one, two in zip(results[0][1][6:], results[1][1][6:], strict=True):
        assert np.array_equal(one, two)


@pytest.mark.parametrize("kind", KINDS)
def test_absent_nan_is_as_good_as_none(kind) -> None:
    given = tensors()
    given[0][0, 1] = 0
    given[2][0], given[5][0] = np.nan, np.nan
    assert np.isfinite(joined(kind, given)(given)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_every_present_modality_has_influence(kind) -> None:
    given = tensors()
    model = joined(kind, given)
    before = model(given).numpy()
    for number in range(3):
        changed = [one.copy() for one in given]
        for base in (1, 4):
            changed[base + number] += 1
        assert np.abs(model(changed).numpy() - before).max(axis=1).min() > 1e-4, NAMES[number]


@pytest.mark.parametrize("kind", ["film", "cross_attention", "aligned"])
def test_steps_that_are_masked_or_of_an_absent_modality_are_not_counted(kind) -> None:
    """Four steps more of each modality: behind a clip's end, or of a modality that it lacks."""
    given = tensors()
    given[0][0, 1], given[0][1, 2], given[0][2, 0] = 0, 0, 0
    longer = [one.copy() for one in given]
    for number in range(3):
        steps, mask = given[4 + number], given[7 + number]
        longer[4 + number] = np.concatenate([steps, np.ones((4, 4, steps.shape[2]), np.float32)], axis=1)
        absent = np.repeat(given[0][:, number : number + 1] == 0, 4, axis=1)
        longer[7 + number] = np.concatenate([mask, absent], axis=1)
    model = joined(kind, given)
    assert np.allclose(model(given), model(longer), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_one_clip_does_not_hear_another_and_padding_is_not_read(kind) -> None:
    given = tensors()
    model = joined(kind, given)
    before = model(given).numpy()
    changed = [one.copy() for one in given]
    for base in (1, 4):
        for number in range(3):
            changed[base + number][0] = 9.0
    for number in range(3):
        changed[4 + number][-1, 2:] = np.nan
    assert np.allclose(before[1:], model(changed).numpy()[1:], atol=1e-6) and not np.allclose(
        before[0], model(changed).numpy()[0]
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_clip_without_anything_gives_finite_numbers(kind) -> None:
    given = tensors()
    given[0][:] = 0
    assert np.isfinite(joined(kind, given)(given)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_every_join_is_saved_and_loaded_in_safe_mode(kind, tmp_path) -> None:
    given = tensors()
    model = joined(kind, given)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", safe_mode=True, compile=False)
    assert np.array_equal(model(given), again(given))


# ---------------------------------------------------------------- formulas, by hand


def weights_of(model) -> dict[str, np.ndarray]:
    return {"/".join(one.path.split("/")[-2:]): one.numpy() for one in model.get_layer("join").variables}


def projections(model, given, name: str = "projection") -> np.ndarray:
    """(clips, modalities, units)"""
    known = weights_of(model)
    return np.stack(
        [
            x @ known[f"{name}_{one}/kernel"] + known[f"{name}_{one}/bias"]
            for one, x in zip(NAMES, given[1:4], strict=True)
        ],
        axis=1,
    )


def test_equal_weights_are_the_average() -> None:
    given = tensors()
    given[0][0, 1] = given[0][1, [0, 2]] = 0
    average, weighted = joined("average", given), joined("weighted", given, learn_weights=False)
    for target, source in zip(weighted.trainable_variables, average.trainable_variables, strict=True):
        target.assign(source)
    weighted.get_layer("join").scores.assign(np.full(3, np.log(2.5)))
    assert np.allclose(average(given), weighted(given), atol=1e-6)
    weighted.get_layer("join").scores.assign([0.0, 1.0, 0.0])
    assert not np.allclose(average(given), weighted(given), atol=1e-3)


def test_average_and_weighted_by_hand() -> None:
    given = tensors()
    given[0][0, 1] = 0
    model = joined("average", given)
    each = projections(model, given)
    assert np.allclose(model(given)[1:], each[1:].mean(axis=1), atol=1e-6)
    assert np.allclose(model(given)[0], each[0, [0, 2]].mean(axis=0), atol=1e-6)
    model = joined("weighted", given, learn_weights=False)  # 1, 2, 3
    each = projections(model, given)
    assert np.allclose(model(given)[1:], (each * np.array([1, 2, 3])[:, None] / 6).sum(axis=1)[1:], atol=1e-5)
    assert np.allclose(model(given)[0], (each[0, 0] + 3 * each[0, 2]) / 4, atol=1e-5)


def test_only_learned_weights_are_learned() -> None:
    # three projections of kernel and bias, one of scores
    assert len(joined("weighted", tensors()).trainable_variables) == 7
    assert len(joined("weighted", tensors(), learn_weights=False).trainable_variables) == 6


def test_concatenation_is_side_by_side() -> None:
    given = tensors()
    given[0][2, 0] = 0
    wanted = np.concatenate(given[1:4], axis=1)
    wanted[2, :6] = 0
    assert np.array_equal(joined("concatenation", given)(given), wanted)


def test_gated_units_by_hand() -> None:
    given = tensors()
    given[0][0, 2] = 0
    model = joined("gated", given)
    known, seen = weights_of(model), [one.copy() for one in given]
    seen[3][0] = 0
    together = np.concatenate(seen[1:4], axis=1)
    gates = [
        1 / (1 + np.exp(-(together @ known[f"gate_{one}/kernel"] + known[f"gate_{one}/bias"])))
        for one in NAMES
    ]
    terms = np.stack(gates, axis=1) * np.tanh(projections(model, seen)) * given[0][:, :, None]
    assert np.allclose(model(given), terms.sum(axis=1), atol=1e-5)


def test_bilinear_is_a_product_of_low_rank() -> None:
    given = tensors()
    given[0][0, 2] = 0
    model = joined("bilinear", given)
    factors = np.where(given[0][:, :, None] > 0, projections(model, given, "factor"), 1)
    assert np.allclose(model(given), factors.prod(axis=1).reshape(4, 3, 8).mean(axis=1), atol=1e-5)


def test_late_averages_logits() -> None:
    given = tensors()
    given[0][0, 2] = 0
    model = joined("late", given)
    known, hidden = weights_of(model), np.maximum(projections(model, given, "hidden"), 0)
    each = [
        hidden[:, number] @ known[f"logits_{one}/kernel"] + known[f"logits_{one}/bias"]
        for number, one in enumerate(NAMES)
    ]
    assert model(given).shape == (4, 5)
    assert np.allclose(model(given)[1:], np.mean(each, axis=0)[1:], atol=1e-5)
    assert np.allclose(model(given)[0], (each[0] + each[1])[0] / 2, atol=1e-5)


def test_film_scales_and_shifts_by_one_modality() -> None:
    """Of score, the first modality that is modulated: the columns after those of audio."""
    given = tensors()
    given[0][0, 0] = 0
    model = joined("film", given)
    known = weights_of(model)
    audio = given[1] * given[0][:, :1]
    scale = (audio @ known["scale_score/kernel"] + known["scale_score/bias"]) * given[0][:, :1]
    shift = (audio @ known["shift_score/kernel"] + known["shift_score/bias"]) * given[0][:, :1]
    x = given[5] @ known["projection_score/kernel"] + known["projection_score/bias"]
    x = np.maximum((1 + scale[:, None]) * x + shift[:, None], 0)
    x = np.maximum(x @ known["after_score/kernel"] + known["after_score/bias"], 0)
    wanted = np.stack(
        [
            np.concatenate([one[mask].mean(axis=0), one[mask].max(axis=0)])
            for one, mask in zip(x, given[8], strict=True)
        ]
    )
    assert np.allclose(model(given)[:, 8:24], wanted, atol=1e-5)


def test_attention_finds_what_it_asks_for() -> None:
    query = tf.constant(np.eye(4, dtype=np.float32)[None, :2] * 50)
    key = tf.constant(np.eye(4, dtype=np.float32)[None])
    value = tf.constant(np.arange(16, dtype=np.float32).reshape(1, 4, 4))
    assert np.allclose(attention.attend(query, key, value, tf.ones((1, 4), bool), 1), value[:, :2], atol=1e-4)
    masked = attention.attend(query, key, value, tf.constant([[False, True, True, True]]), 1)
    assert np.allclose(masked[0, 1], value[0, 1], atol=1e-4) and np.allclose(
        masked[0, 0], value[0, 1:].numpy().mean(axis=0), atol=1e-4
    )
    assert not np.any(attention.attend(query, key, value, tf.zeros((1, 4), bool), 1))
    two = attention.attend(query, key, value, tf.ones((1, 4), bool), 2)  # each head sees its own half
    assert np.allclose(two[0, 0, :2], value[0, 0, :2], atol=1e-4)
    assert np.allclose(two[0, 0, 2:], value[0, :, 2:].numpy().mean(axis=0), atol=1e-4)


@pytest.mark.parametrize("kind", ["cross_attention", "aligned"])
def test_sequences_are_compared_in_time(kind) -> None:
    """The same steps of the score in another order are another input, though their mean, their greatest
    and their vector are the same.
    """
    given = tensors(clips=1)
    given[8][:] = given[7][:] = True
    turned = [one.copy() for one in given]
    turned[5] = turned[5][:, ::-1].copy()
    model = joined(kind, given)
    assert np.abs(model(given).numpy() - model(turned).numpy()).max() > 1e-3


def test_aligned_puts_the_grid_side_by_side() -> None:
    """With a kernel of one step, moving the steps of sound and score together moves nothing: each is
    compared with its own neighbour.
    """
    given = tensors(clips=1)
    given[0][0, 2] = 0
    given[7][:] = given[8][:] = True
    turned = [one.copy() for one in given]
    turned[4], turned[5] = turned[4][:, ::-1].copy(), turned[5][:, ::-1].copy()
    model = joined("aligned", given, kernel=1)
    assert np.allclose(model(given), model(turned), atol=1e-5)
    turned[5] = given[5]
    assert not np.allclose(model(given), model(turned), atol=1e-3)


@pytest.mark.parametrize("steps", [3, 8])
def test_aligned_takes_a_shorter_and_a_longer_sequence(steps) -> None:
    """What lies behind the end of the grid is not compared.

    Where a sequence ends before it, it is compared with zeros.
    """
    given = tensors()
    model = joined("aligned", given)
    changed = [one.copy() for one in given]
    changed[5] = np.zeros((4, steps, 6), np.float32)
    changed[5][:, :5] = given[5][:, :steps]
    changed[8] = np.ones((4, steps), bool)
    changed[8][-1, 2:] = False
    padded = [one.copy() for one in given]
    padded[8][:, steps:] = False
    assert np.allclose(model(changed), model(padded), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_each_modality_alone_is_heard(kind) -> None:
    for number in range(3):
        given, other = tensors(), tensors(seed=5)
        given[0][:] = np.eye(3, dtype=np.float32)[number]
        changed = [one.copy() for one in given]
        for base in (1, 4):
            changed[base + number] = other[base + number]
        model = joined(kind, given)
        assert np.abs(model(given).numpy() - model(changed).numpy()).max() > 1e-3, NAMES[number]


# ---------------------------------------------------------------- shapes


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (
            {"image": (222, 222, 64), "text": (64,)},
            (
                r"image \(None, 222, 222, 64\), text \(None, 64\): only vectors .* image has 4 axes: pool"
                r" image over height and width first"
            ),
        ),
        (
            {"audio": (128,), "text": (10, 12), "score": (None, 89)},
            (
                r"audio \(None, 128\), text \(None, 10, 12\), score \(None, None, 89\): .* text has 3 axes:"
                r" pool text over its steps first"
            ),
        ),
    ],
    ids=["picture and text", "audio, text and score"],
)
def test_the_articles_shapes_are_refused_with_their_remedy(shapes, message) -> None:
    tensors = {name: layers.Input(shape) for name, shape in shapes.items()}
    with pytest.raises(UserError, match=message) as error:
        presence = layers.Input((len(shapes),))
        fusion.join(
            settings("concatenation"),
            presence,
            tensors,
            {},
            classes=10,
            weights=[1.0] * len(shapes),
            on_grid=[],
        )
    assert "\n" not in str(error.value)


def test_a_join_of_sequences_refuses_maps_and_vectors() -> None:
    vectors = {"image": layers.Input((64,)), "text": layers.Input((64,))}
    sequences = {
        name: (layers.Input(shape), layers.Input((None,)))
        for name, shape in (("image", (222, 222, 64)), ("text", (9, 64)))
    }
    with pytest.raises(UserError, match="reshape image first: height and width to steps"):
        fusion.join(
            settings("film"),
            layers.Input((2,)),
            vectors,
            sequences,
            classes=2,
            weights=[1.0, 1.0],
            on_grid=[],
        )


def test_attention_of_aligned_keeps_near_the_same_place() -> None:
    """By hand: equal scores, less the trained factor times the squared distance of relative places."""
    zeros, value = np.zeros((1, 4, 2), np.float32), np.arange(8, dtype=np.float32).reshape(1, 4, 2)
    mask = np.array([[True, True, True, False]])
    place = attention.place(tf.constant(mask))
    assert np.allclose(place, [[0, 1 / 3, 2 / 3, 1]])
    less = 30.0 * (np.array([0, 0.25, 0.5, 0.75])[None, None, :, None] - place.numpy()[:, None, None, :]) ** 2
    found = attention.attend(
        tf.constant(zeros),
        tf.constant(zeros),
        tf.constant(value),
        tf.constant(mask),
        1,
        less.astype(np.float32),
    )
    scores = np.exp(-less[0, 0, :, :3])
    assert np.allclose(found[0], (scores / scores.sum(axis=1, keepdims=True)) @ value[0, :3], atol=1e-5)
    model = joined("aligned", tensors())
    narrow = [one for one in model.trainable_variables if one.path.endswith("narrow_words")]
    assert len(narrow) == 1 and narrow[0].numpy() == pytest.approx(aligned.NARROW, abs=1)
    narrow[0].assign(1.0)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(tensors()) ** 2)
    assert abs(float(tape.gradient(loss, narrow[0].value))) > 1e-6


def test_aligned_compares_what_comes_as_it_is_at_first() -> None:
    layer = aligned.Aligned(NAMES, 6, "audio", ["audio", "score"], 1)
    layer.build(
        [
            (None, 3),
            *((None, size) for size in SIZES),
            *((None, None, size) for size in SIZES),
            *[(None, None)] * 3,
        ]
    )
    assert np.array_equal(layer.to_size[0].kernel.numpy(), np.eye(6)) and np.array_equal(
        layer.to_size[2].kernel.numpy(), np.eye(4, 6)
    )


# ---------------------------------------------------------------- encoders


def modality(kind: str, **changes) -> Modality:
    values = {
        "kind": kind,
        "column": "x",
        "shared": False,
        "id_column": "",
        "size": 4,
        "filters": [3, 5],
        "kernel": 3,
        "pool": 2,
        "coordinates": True,
    }
    return Modality(**{**values, "encoder": "lstm", "pooling": "mean", "weight": 1.0, **changes})


SHAPES = {"audio": (None, 7), "score": (None, 88), "text": (None,), "image": (12, 8, 3), "table": (6,)}


def encoder(kind: str, **changes):
    """Model: [x, lengths, presence] -> steps, mask."""
    seed_everything(0)
    x = layers.Input(SHAPES[kind], dtype="int32" if kind == "text" else "float32")
    lengths, presence = layers.Input((), dtype="int32"), layers.Input((1,))
    hertz = np.linspace(50, 7000, 7)
    steps = encode(modality(kind, **changes), "x", 0, x, lengths, presence, vocabulary=9, hertz=hertz)
    return keras.Model([x, lengths, presence], steps)


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("audio", (2, 4, 5)),
        ("score", (2, 4, 5)),
        ("text", (2, 13, 4)),
        ("image", (2, 6, 5)),
        ("table", (2, 1, 4)),
    ],
)
def test_encoders_give_steps_and_own_ones(kind, shape) -> None:
    x = np.random.default_rng(0).integers(1, 9, (2, *[size or 13 for size in SHAPES[kind]]))
    x = x.astype(np.int32 if kind == "text" else np.float32)
    steps, mask = encoder(kind)([x, np.array([13, 6], np.int32), np.array([[1.0], [0.0]], np.float32)])
    assert steps.shape == shape and mask.shape == shape[:2]
    assert mask[0].numpy().all() and not mask[1].numpy().any()  # the second clip lacks it


@pytest.mark.parametrize(
    ("kind", "encoding"), [("audio", "lstm"), ("score", "lstm"), ("text", "lstm"), ("text", "embedding")]
)
def test_padding_has_no_influence_on_steps(kind, encoding) -> None:
    random = np.random.default_rng(0)
    x = random.integers(1, 9, (1, *[size or 10 for size in SHAPES[kind]])).astype(
        np.int32 if kind == "text" else np.float32
    )
    padded = np.concatenate([x, np.zeros_like(x), np.zeros_like(x)], axis=1)
    model, has = encoder(kind, encoder=encoding), np.ones((1, 1), np.float32)
    # biases begin at 0, which would hide what stands behind the end
    for variable in model.trainable_variables:
        variable.assign(variable + random.normal(0, 0.5, variable.shape))
    alone, own = model([x, np.array([10], np.int32), has])
    together, mask = model([padded, np.array([10], np.int32), has])
    count = int(own.numpy().sum())
    assert count == int(mask.numpy().sum()) == alone.shape[1]
    assert np.allclose(alone[0], together[0, :count], atol=1e-6)


@pytest.mark.parametrize("kind", list(SHAPES))
def test_what_stands_where_a_modality_is_absent_is_not_read(kind) -> None:
    shape = (2, *[size or 10 for size in SHAPES[kind]])
    x = np.ones(shape, np.int32) if kind == "text" else np.full(shape, np.nan, np.float32)
    model = encoder(kind)
    with tf.GradientTape() as tape:
        steps, _ = model([x, np.array([10, 10], np.int32), np.zeros((2, 1), np.float32)])
        value = tf.reduce_sum(PoolSteps("mean")([steps, tf.zeros(steps.shape[:2], bool)]))
    assert np.isfinite(steps).all()
    gradients = tape.gradient(
        value, [one.value for one in model.trainable_variables], unconnected_gradients="zero"
    )
    assert all(not np.any(tf.convert_to_tensor(one)) for one in gradients)


@pytest.mark.parametrize(("kind", "wanted"), [("mean", 2.0), ("max", 3.0), ("last", 3.0), ("attention", 2.0)])
def test_pools_look_at_own_steps_only(kind, wanted) -> None:
    x = tf.constant([[[1.0], [3.0], [9.0]], [[5.0], [5.0], [5.0]]])
    pooled = PoolSteps(kind)([x, tf.constant([[True, True, False], [False, False, False]])])
    assert pooled.numpy().ravel().tolist() == [wanted, 0.0]  # attention begins as the mean


def test_attention_pools_by_learned_scores() -> None:
    layer = PoolSteps("attention")
    x, mask = tf.constant([[[0.0], [1.0], [9.0]]]), tf.constant([[True, True, False]])
    layer([x, mask])
    layer.score.kernel.assign([[np.log(3.0)]])
    assert layer([x, mask]).numpy().item() == pytest.approx(3 / 4)  # weights 1 and 3


def test_modality_dropout_drops_its_share_and_never_all() -> None:
    layer = ModalityDropout(0.4, seed=3)
    presence = np.tile([[1.0, 1.0, 0.0]], (4000, 1)).astype(np.float32)
    assert np.array_equal(layer(presence, training=False), presence)
    left = layer(presence, training=True).numpy()
    assert not left[:, 2].any() and left.any(axis=1).all()
    # dropped alone: 0.4 * 0.6 of the clips; both: kept
    assert abs((left[:, 0] == 0).mean() - 0.24) < 0.03 and abs((left[:, 1] == 0).mean() - 0.24) < 0.03


def test_keys_stand_before_what_is_convolved() -> None:
    random = np.random.default_rng(0)
    roll = random.integers(0, 2, (2, 13, 88)).astype(np.float32)
    lengths, has = np.array([13, 8], np.int32), np.ones((2, 1), np.float32)
    roll[1, 8:] = 0
    steps, mask = encoder("score", encoder="keys")([roll, lengths, has])
    assert steps.shape == (2, 4, 88 + 5) and mask.numpy().tolist() == [[True] * 4, [True, True, False, False]]
    assert np.allclose(steps[0, :3, :88], roll[0, :12].reshape(3, 4, 88).mean(axis=1), atol=1e-6)
    frames = random.normal(size=(2, 13, 7)).astype(np.float32)
    model = encoder("audio", encoder="keys")
    for variable in model.trainable_variables:
        variable.assign(variable + 0.1 * random.random(variable.shape))
    steps = model([frames, lengths, has])[0].numpy()
    assert steps.shape == (2, 4, 88 + 5) and steps[:, :, :88].max() > 0
    alone = model([frames[1:, :8], lengths[1:], has[1:]])[0].numpy()
    frames[1, 8:] = 0
    # padding says nothing
    assert np.allclose(model([frames, lengths, has])[0].numpy()[1, :2], alone[0], atol=1e-5)
