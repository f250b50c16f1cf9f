"""The family of multiple-instance learning on sounds of two seconds: no id is lost, evidence is found,
bad input is refused.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from audiomtl import config
from audiomtl.data import audio, catalog
from audiomtl.errors import UserError
from audiomtl.families.mil import model as mil
from audiomtl.nn.fit import seed_everything
from tests.whole_settings import whole_settings

PROJECT = Path(__file__).parents[3]
RATE = 8000
PITCHES = {"high": 2000.0, "low": 500.0, "middle": 1100.0}


def sound(
    random: np.random.Generator, style: str, seconds: float
) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """Noise with one passage of a tone; the passage tells the style."""
    y = 0.02 * random.standard_normal(round(seconds * RATE))
    start = float(random.uniform(0, max(0.0, seconds - 0.7)))
    end = min(seconds, start + 0.6)
    inside = slice(round(start * RATE), round(end * RATE))
    times = np.arange(len(y))[inside] / RATE
    y[inside] += 0.3 * np.sin(2 * np.pi * PITCHES[style] * random.uniform(0.97, 1.03) * times)
    return y, [(start, end)]


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> pd.DataFrame:
    """36 clips of 0.9 to 3 s, 12 artists; a copy of the project's cache folder for this module."""
    folder, random, rows = tmp_path_factory.mktemp("tones"), np.random.default_rng(0), []
    for number in range(36):
        style = sorted(PITCHES)[number % 3]
        y, passages = sound(random, style, float(random.uniform(0.9, 3.0)))
        path = folder / f"clip_{number:02}.wav"
        audio.save(path, y, sample_rate=RATE)
        artist = f"artist_{number // 3:02}"
        rows.append((path.stem, str(path), len(y) / RATE, style, artist, passages, number * 1.5))
    return pd.DataFrame(
        rows, columns=["clip_id", "path", "seconds", "style", "artist", "passages", "my_number"]
    )


@pytest.fixture
def use(table, monkeypatch, tmp_path_factory):
    """Make the family see a clip table, this module's by default."""
    monkeypatch.setenv("AUDIOMTL_CACHE", str(tmp_path_factory.getbasetemp() / "mil_cache"))

    def as_clips(other: pd.DataFrame | None = None) -> None:
        monkeypatch.setattr(catalog, "clips", lambda data: table if other is None else other)

    as_clips()
    return as_clips


def settings(**changes):
    """The settings of mil_songs, made small; keyword ``a__b`` is the setting path a.b."""
    raw = whole_settings("mil_songs")
    small = {
        "features.sample_rate": RATE,
        "features.window_seconds": 0.032,
        "features.hop_seconds": 0.016,
        "features.n_fft": 256,
        "features.bands": 24,
        "features.high_hz": 4000.0,
        "windows.seconds": 0.5,
        "windows.tail": "pad",
        "protocol.test_values": [2],
        "protocol.validation_values": [2],
        "optimizer.name": "adam",
        "optimizer.learning_rate": 0.01,
        "features.scaling": "per_band_train",
        "pooling.name": "mean",
        "network.window": "statistics",
        "training.epochs": 12,
        "training.batch_size": 5,
    }
    return config.settings_of(
        config.override(
            raw, {**small, **{path.replace("__", "."): value for path, value in changes.items()}}
        ),
        "test",
    )


def trained(some, seed: int = 1):
    seed_everything(seed)
    prepared = mil.prepare(some, seed)
    return prepared, mil.train(some, prepared, seed, lambda epoch, scores: True, None)


def test_the_style_is_learned_from_a_passage_and_the_passage_is_found(use):
    prepared, fitted = trained(settings(pooling__name="linear_softmax"))
    scores = mil.evaluate(fitted, mil.outputs(fitted, prepared.examples["validation"]))
    assert scores["accuracy"] >= 0.8
    assert scores["evidence_probability_auc"] > 0.8  # 0.5 is chance
    assert scores["evidence_weight_auc"] > 0.8


def test_the_answer_is_reproduced(use):
    import keras

    from audiomtl.families.mil.network import mil_network

    raw = whole_settings("mil_songs")
    # the network of the answer, whatever a study promoted since
    answer = {
        "network.window": "answer",
        "network.hidden": 32,
        "network.dropout": 0.0,
        "network.batch_normalization": False,
    }
    answer |= {
        "windows.seconds": 5.0,
        "windows.hop_share": 0.5,
        "windows.tail": "drop",
        "pooling.name": "mean",
        "features.kind": "mfcc",
    }
    some = config.settings_of(config.override(raw, answer), "test")
    clip = mil.Example("a", np.zeros((1 + 60 * 22050 // 512, 13), np.float32), np.zeros(0, int), 0, None)
    from audiomtl.data import windows
    from audiomtl.data.scaling import Scaler

    first = windows.starts(len(clip.frames), some.windows, some.features)
    clips = [mil.Example(str(number), clip.frames, first, 0, None) for number in range(8)]
    batch = mil._collate(clips, [np.arange(23)] * 8, Scaler("none", np.empty(0), np.empty(0)), 216)
    assert (
        batch["windows"].reshape(8, 23, 13, 216, 1).shape == (8, 23, 13, 216, 1)
        and batch["counts"].tolist() == [23] * 8
    )
    model = mil_network(some.network, some.pooling, bands=13, frames=216, classes=3)
    assert model.count_params() == 21075
    assert isinstance(model, keras.Model)


def test_two_classes_have_a_loss_and_the_answers_form_has_none():
    """One sigmoid under categorical cross-entropy: normalised over one class it is always 1, and the loss
    is 0 whatever is said.
    """
    import keras
    import tensorflow as tf

    said = tf.constant([[0.1], [0.9], [0.5]])
    with pytest.warns(SyntaxWarning, match="num_classes > 1"):  # Keras 3 says so; the answer's Keras did not
        theirs = keras.losses.categorical_crossentropy(tf.constant([[1.0], [0.0], [1.0]]), said)
    np.testing.assert_allclose(theirs, 0, atol=1e-6)
    ours = [
        mil.clip_loss({"clip_logits": tf.math.log([[p, 1 - p]])}, {"labels": tf.constant([0])}).numpy()
        for p in (0.1, 0.5, 0.9)
    ]
    np.testing.assert_allclose(ours, -np.log([0.1, 0.5, 0.9]), atol=1e-5)


@pytest.mark.parametrize("hop_share", [0.3, 1.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_id_comes_back_once_with_its_own_truth_and_windows(use, table, monkeypatch, seed, hop_share):
    # ragged batches with remainders; many clips have more windows than that
    monkeypatch.setattr(mil, "EVALUATION_WINDOWS", 7)
    use(table.sample(frac=1, random_state=seed).reset_index(drop=True))
    some = settings(training__epochs=1, windows__hop_share=hop_share)
    prepared, fitted = trained(some, seed)
    for side in ("train", "validation", "test"):
        examples = list(prepared.examples[side])
        np.random.default_rng(seed).shuffle(examples)
        tables = mil.predict(fitted, mil.outputs(fitted, examples))
        clips, windows_of = tables["predictions"], tables["windows"]
        assert sorted(clips["clip_id"]) == sorted(prepared.splits.sides()[side]["clip_id"])
        truth = table.set_index("clip_id")["style"]
        assert (clips["truth"].to_numpy() == truth[clips["clip_id"]].to_numpy()).all()
        counts = windows_of.groupby("clip_id").size()
        assert (counts[clips["clip_id"]].to_numpy() == clips["windows"].to_numpy()).all()
        for one in examples:
            mine = windows_of[windows_of["clip_id"] == one.clip_id]
            assert mine["window"].tolist() == list(range(len(one.first)))
            np.testing.assert_allclose(mine["start_seconds"], one.first * 0.016)
            np.testing.assert_allclose(mine["weight"].sum(), 1, atol=1e-5)
            shares = mine[[f"probability_{name}" for name in fitted.known.classes]].to_numpy()
            np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)
            row = clips.set_index("clip_id").loc[one.clip_id]
            # mean pooling
            np.testing.assert_allclose(
                shares.mean(axis=0), [row[f"probability_{name}"] for name in fitted.known.classes], atol=1e-5
            )


def test_a_clip_gets_the_same_prediction_alone_and_among_others(use):
    prepared, fitted = trained(settings(training__epochs=2, pooling__name="attention"))
    examples = prepared.examples["train"]
    together = mil.predict(fitted, mil.outputs(fitted, examples))["predictions"].set_index("clip_id")
    for one in examples[:5]:
        alone = mil.predict(fitted, mil.outputs(fitted, [one]))["predictions"].iloc[0]
        assert abs(alone["margin"] - together.loc[one.clip_id, "margin"]) < 1e-5


def test_window_loss_is_the_mean_over_windows_then_clips():
    import tensorflow as tf

    shares = np.random.default_rng(0).dirichlet(np.ones(3), 5).astype(np.float32)
    batch = {"labels": tf.constant([2, 0]), "counts": tf.constant([4, 1])}
    expected = (np.mean([-np.log(shares[row, 2]) for row in range(4)]) - np.log(shares[4, 0])) / 2
    np.testing.assert_allclose(
        mil.window_loss({"window_logits": tf.math.log(shares)}, batch), expected, rtol=1e-3
    )


def test_leaky_split_has_songs_on_every_side_and_no_window_twice(use):
    prepared = mil.prepare(
        settings(protocol__leaky=True, protocol__test_share=0.3, protocol__validation_share=0.2), 1
    )
    seen = [
        (one.clip_id, int(first))
        for some in prepared.examples.values()
        for one in some
        for first in one.first
    ]
    assert len(seen) == len(set(seen))
    train = {one.clip_id for one in prepared.examples["train"]}
    assert len(train & {one.clip_id for one in prepared.examples["test"]}) > 10


def test_scaler_and_classes_are_trains(use):
    prepared = mil.prepare(settings(), 1)
    values = np.concatenate([one.frames for one in prepared.examples["train"]])
    np.testing.assert_allclose(prepared.known.scaler.mean, values.mean(axis=0), rtol=1e-4, atol=1e-4)
    assert prepared.known.classes == ("high", "low", "middle")


def test_saved_model_gives_the_same_tables(use, tmp_path):
    prepared, fitted = trained(settings(training__epochs=1, pooling__name="gated_attention"))
    mil.save(fitted, tmp_path)
    again = mil.load(tmp_path)
    for name, table in mil.predict(fitted, mil.outputs(fitted, prepared.examples["test"])).items():
        pd.testing.assert_frame_equal(
            table, mil.predict(again, mil.outputs(again, prepared.examples["test"]))[name]
        )


def test_pictures_are_drawn(use, tmp_path):
    prepared, fitted = trained(settings(training__epochs=1))
    mil.pictures(fitted, mil.outputs(fitted, prepared.examples["validation"]), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "confusion.png",
        "evidence_best.png",
        "evidence_worst.png",
    }


def test_stored_embeddings_are_windows(use, table, tmp_path):
    random, paths = np.random.default_rng(0), []
    for row in table.itertuples():
        vectors = random.normal(size=(random.integers(1, 6), 10)).astype(np.float32)
        vectors[0, sorted(PITCHES).index(row.style)] += 6
        np.save(tmp_path / f"{row.clip_id}.npy", vectors)
        paths.append(str(tmp_path / f"{row.clip_id}.npy"))
    use(table.assign(embedding_path=paths, path=paths).drop(columns="passages"))
    some = settings(network__window="embedding", features__scaling="none", pooling__name="max")
    prepared, fitted = trained(some)
    assert mil.evaluate(fitted, mil.outputs(fitted, prepared.examples["train"]))["accuracy"] > 0.9
    assert (
        mil.predict(fitted, mil.outputs(fitted, prepared.examples["test"]))["windows"]["start_seconds"]
        .isna()
        .all()
    )
    with pytest.raises(UserError, match=r"need each other"):
        mil.prepare(settings(), 1)


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"windows__tail": "drop", "windows__seconds": 2.0},
            r'windows.tail = "drop": \d+ clips have no window',
        ),
        ({"network__window": "embedding"}, "embedding_path"),
    ],
)
def test_bad_input_is_refused_with_a_line(use, changes, message):
    with pytest.raises(UserError, match=message):
        mil.prepare(settings(**changes), 1)


def test_one_class_only_is_refused(use, table):
    use(table.assign(style="low"))
    with pytest.raises(UserError, match="class"):
        mil.prepare(settings(), 1)


def test_a_clip_shorter_than_a_window_is_one_padded_window(use):
    prepared = mil.prepare(settings(windows__seconds=10.0), 1)
    assert all(len(one.first) == 1 for some in prepared.examples.values() for one in some)
