"""The baselines on half a second of sine, chord or noise: rows of numbers that can be reckoned by hand,
train alone standardises.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

from audiomtl import config
from audiomtl.data import audio, catalog, features
from audiomtl.errors import UserError
from audiomtl.families.baseline import model as baseline
from tests.whole_settings import whole_settings

PROJECT = Path(__file__).parents[3]
RATE = 8000
CLASSIFIERS = ["random_forest", "extra_trees", "svm", "logistic_regression", "nearest_neighbours"]


def sound(random: np.random.Generator, kind: str) -> np.ndarray:
    times = np.arange(int(random.uniform(0.3, 0.6) * RATE)) / RATE
    noise = 0.01 * random.standard_normal(len(times))
    if kind == "noise":
        return np.clip(10 * noise, -1, 1)
    pitch = random.uniform(380, 420)
    return (
        noise
        + 0.3 * np.sin(2 * np.pi * pitch * times)
        + (0.3 * np.sin(10 * np.pi * pitch * times) if kind == "chord" else 0)
    )


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> pd.DataFrame:
    """48 clips in four folds, two clips to a source."""
    folder, random, rows = tmp_path_factory.mktemp("sounds"), np.random.default_rng(0), []
    for number in range(48):
        kind = ("chord", "noise", "sine")[number // 2 % 3]
        path = folder / f"clip_{number:02}.wav"
        audio.save(path, sound(random, kind), sample_rate=RATE)
        rows.append(
            (
                path.stem,
                str(path),
                audio.info(path).seconds,
                kind,
                number // 6 % 4 + 1,
                f"source_{number // 2:02}",
            )
        )
    made = pd.DataFrame(rows, columns=["clip_id", "path", "seconds", "category", "fold", "src_file"])
    made.attrs["left_out"] = {"missing": 3}
    return made


@pytest.fixture
def use(table, monkeypatch, tmp_path_factory):
    """Make the family see a clip table, this module's by default."""
    monkeypatch.setenv("AUDIOMTL_CACHE", str(tmp_path_factory.getbasetemp() / "baseline_cache"))

    def as_clips(other: pd.DataFrame) -> None:
        monkeypatch.setattr(catalog, "clips", lambda data: other)

    as_clips(table)
    return as_clips


def settings(**changes):
    """The settings of baseline_esc10, made small; keyword ``a__b`` is the setting path a.b."""
    raw = whole_settings("baseline_esc10")
    small = {
        "features.sample_rate": RATE,
        "features.window_seconds": 0.032,
        "features.hop_seconds": 0.016,
        "features.n_fft": 256,
        "features.bands": 24,
        "features.high_hz": 4000.0,
        "features.coefficients": 13,
        "features.also": [],
        "statistics.of": ["mean", "deviation"],
        "statistics.deltas": False,
        "statistics.zero_crossings": True,
        "statistics.trim_db": 0.0,
        "classifier.name": "random_forest",
        "classifier.trees": 20,
    }
    return config.settings_of(
        config.override(
            raw, {**small, **{path.replace("__", "."): value for path, value in changes.items()}}
        ),
        "test",
    )


def trained(some, seed: int = 1):
    prepared = baseline.prepare(some, seed)
    return prepared, baseline.train(some, prepared, seed, lambda epoch, scores: True, None)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_classifier_tells_the_sounds_apart(use, name):
    prepared, fitted = trained(settings(classifier__name=name))
    scores = baseline.evaluate(fitted, baseline.outputs(fitted, prepared.examples["test"]))
    assert scores["accuracy"] == scores["balanced_accuracy"] == 1
    assert np.isfinite(scores["loss"])
    assert fitted.parameters == 28  # 13 coefficients and the zero-crossing rate, mean and deviation


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_loss_is_that_of_scikit_learn_and_scores_agree_with_predictions(use, name):
    prepared, fitted = trained(settings(classifier__name=name))
    wrong = [
        replace(one, label=(one.label + (number < 5)) % 3)
        for number, one in enumerate(prepared.examples["test"])
    ]
    scores, predicted = (
        baseline.evaluate(fitted, baseline.outputs(fitted, wrong)),
        baseline.predict(fitted, baseline.outputs(fitted, wrong)),
    )
    columns = [f"probability_{kind}" for kind in fitted.known.classes]
    chances = predicted[columns].to_numpy(np.float64)
    reference = log_loss(predicted["truth"], chances, labels=fitted.known.classes)
    assert scores["loss"] == pytest.approx(reference, abs=1e-5)
    assert scores["accuracy"] == np.mean(predicted["truth"] == predicted["predicted"]) == 7 / 12


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("kinds", [("noise", "sine"), ("chord", "noise", "sine")])
def test_what_is_loaded_predicts_the_same(use, table, tmp_path, name, kinds):
    use(table[table["category"].isin(kinds)])
    prepared, fitted = trained(settings(classifier__name=name))
    assert baseline.evaluate(fitted, baseline.outputs(fitted, prepared.examples["test"]))["accuracy"] == 1
    baseline.save(fitted, tmp_path / "model")
    loaded = baseline.load(tmp_path / "model")
    # no pickle
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [
        "train.npz",
        "use.json",
    ]
    assert json.loads((tmp_path / "model" / "use.json").read_text())["classes"] == list(kinds)
    pd.testing.assert_frame_equal(
        baseline.predict(loaded, baseline.outputs(loaded, prepared.examples["test"])),
        baseline.predict(fitted, baseline.outputs(fitted, prepared.examples["test"])),
        check_exact=True,
    )


def test_predictions_keep_their_names_in_any_order(use, table):
    prepared, fitted = trained(settings())
    examples = prepared.examples["test"]
    predicted = baseline.predict(fitted, baseline.outputs(fitted, examples))
    assert list(predicted) == [
        "clip_id",
        "truth",
        "predicted",
        "margin",
        "probability_chord",
        "probability_noise",
        "probability_sine",
    ]
    assert predicted["clip_id"].tolist() == sorted(table["clip_id"][table["fold"] == 2])
    truth = table.set_index("clip_id")["category"]
    assert (predicted["truth"].to_numpy() == truth[predicted["clip_id"]].to_numpy()).all()
    shares = predicted.filter(like="probability_").to_numpy()
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    np.testing.assert_allclose(predicted["margin"], np.diff(np.sort(shares))[:, -1])
    pd.testing.assert_frame_equal(
        baseline.predict(fitted, baseline.outputs(fitted, examples[::-1])), predicted
    )
    alone = pd.concat(
        [baseline.predict(fitted, baseline.outputs(fitted, [one])) for one in examples], ignore_index=True
    )
    pd.testing.assert_frame_equal(alone, predicted)


def test_a_training_is_a_function_of_clips_and_seed_not_of_the_order_of_rows(use, table):
    some = settings()
    prepared, fitted = trained(some)
    _, other = trained(some, seed=5)  # the same fold, another forest
    use(table.sample(frac=1, random_state=0).reset_index(drop=True))
    again_prepared, again = trained(some)
    expected = baseline.predict(fitted, baseline.outputs(fitted, prepared.examples["test"]))
    pd.testing.assert_frame_equal(
        baseline.predict(again, baseline.outputs(again, again_prepared.examples["test"])),
        expected,
        check_exact=True,
    )
    assert not np.array_equal(
        baseline.predict(other, baseline.outputs(other, prepared.examples["test"]))["margin"],
        expected["margin"],
    )


def test_numbers_are_standardised_by_train_alone(use, table, tmp_path):
    loud = table.copy()
    # seed 1 tests on fold 2, validates on fold 3 and trains on 1 and 4
    for index in loud.index[loud["fold"] > 1]:
        if loud.loc[index, "fold"] < 4:
            y = audio.load(loud.loc[index, "path"], sample_rate=None)
            audio.save(tmp_path / f"{index}.wav", 0.01 * y, sample_rate=RATE)
            loud.loc[index, "path"] = str(tmp_path / f"{index}.wav")
    use(loud)
    prepared, fitted = trained(settings())
    train = np.stack([one.row for one in prepared.examples["train"]])
    assert {one.clip_id for one in prepared.examples["train"]} == set(
        table["clip_id"][table["fold"].isin([1, 4])]
    )
    np.testing.assert_allclose(fitted.model[0].mean_, train.mean(axis=0))
    np.testing.assert_allclose(fitted.model[0].scale_, train.std(axis=0))
    np.testing.assert_allclose(fitted.model[:-1].transform(train).mean(axis=0), 0, atol=1e-9)
    other = np.stack([one.row for one in prepared.examples["validation"]])
    assert abs(train[:, 0].mean() - other[:, 0].mean()) > 20  # the other sides would have moved it


def test_shuffled_labels_are_not_learned(use, table):
    use(table.assign(category=table["category"].sample(frac=1, random_state=3).to_numpy()))
    accuracies = []
    for seed in range(4):
        prepared, fitted = trained(settings(), seed)
        accuracies.append(
            baseline.evaluate(fitted, baseline.outputs(fitted, prepared.examples["test"]))["accuracy"]
        )
    assert np.mean(accuracies) < 0.6  # chance is 1/3


@pytest.mark.parametrize("kind", ["mfcc", "log_mel"])
def test_a_row_is_the_statistics_of_the_frames(use, table, kind):
    of = ("mean", "deviation", "minimum", "maximum", "median")
    some = settings(
        features__kind=kind, statistics__of=of, statistics__deltas=True, statistics__zero_crossings=False
    )
    prepared = baseline.prepare(some, 1)
    one = prepared.examples["train"][3]
    frames = features.extract(
        audio.load(table.set_index("clip_id")["path"][one.clip_id], sample_rate=RATE), some.features
    ).astype(float)
    steps = frames[1:] - frames[:-1]
    expected = [
        number
        for part in (frames, steps)
        for number in (
            part.mean(0),
            part.std(0),
            part.min(0),
            part.max(0),
            np.sort(part, 0)[[(len(part) - 1) // 2, len(part) // 2]].mean(0),
        )
    ]
    np.testing.assert_allclose(one.row, np.concatenate(expected), atol=1e-5)


@pytest.mark.parametrize(
    ("y", "mean", "deviation"),
    [
        # two crossings a period of eight samples
        (
            np.sin(2 * np.pi * 1000 * (np.arange(RATE) + 0.5) / RATE),
            0.25,
            0.002,
        ),
        (np.zeros(RATE), 0.0, 0.0),
        (np.tile([0.5, -0.5], RATE), 1.0, 0.0),
        (np.repeat([0.5, -0.5], 50), 1 / 99, 0.0),  # shorter than a window
        (np.array([0.5]), 0.0, 0.0),
        (np.concatenate([np.zeros(RATE), np.tile([0.5, -0.5], RATE // 2)]), 0.5, 0.5),
    ],
)
def test_zero_crossings_of_sounds_that_anyone_can_picture(tmp_path, y, mean, deviation):
    audio.save(tmp_path / "y.wav", y.astype(np.float32), sample_rate=RATE)
    frames = np.zeros((4, 13), np.float32)
    row = baseline.row_of(
        frames, frames, settings(), lambda: audio.load(tmp_path / "y.wav", sample_rate=None)
    )
    assert row[26:] == pytest.approx([mean, deviation], abs=0.02 * (len(y) > 100))


def test_a_clip_of_one_frame_has_differences_of_zero(tmp_path):
    some = settings(statistics__deltas=True, statistics__zero_crossings=False)
    frames = np.ones((1, 13), np.float32)
    row = baseline.row_of(frames, frames, some, lambda: np.zeros(1))
    assert row.tolist() == [1.0] * 13 + [0.0] * 39


def test_a_training_is_one_epoch_that_can_be_stopped(use):
    some, said = settings(), []
    prepared = baseline.prepare(some, 1)
    fitted = baseline.train(some, prepared, 1, lambda epoch, scores: bool(said.append((epoch, scores))), None)
    [(epoch, scores)] = said
    assert epoch == 0 and sorted(scores) == [
        "validation/accuracy",
        "validation/balanced_accuracy",
        "validation/loss",
    ]
    assert (
        fitted.fit.history == [scores]
        and fitted.fit.best_epoch == 0
        and fitted.fit.best_score == scores["validation/accuracy"]
    )
    assert fitted.fit.stopped and fitted.fit.seconds > 0
    assert not trained(some)[1].fit.stopped


def test_facts_count_sides_and_what_was_left_out(use):
    facts = baseline.prepare(settings(), 1).facts
    assert facts["train/clips"] == 24 and facts["test/src_file"] == 6 and facts["left_out/missing"] == 3


def test_dealing_windows_is_refused():
    with pytest.raises(
        UserError, match=r"protocol\.leaky splits by window, but a baseline uses whole clips only"
    ):
        settings(protocol__leaky=True)


def test_an_unreadable_recording_is_named(use, table, tmp_path):
    bad = table.copy()
    (tmp_path / "broken.wav").write_bytes(b"no sound")
    bad.loc[4, "path"] = str(tmp_path / "broken.wav")
    use(bad)
    with pytest.raises(UserError, match=r"broken.wav: cannot be read as sound"):
        baseline.prepare(settings(), 1)


def test_the_picture_is_drawn(use, tmp_path):
    prepared, fitted = trained(settings())
    baseline.pictures(fitted, baseline.outputs(fitted, prepared.examples["validation"]), tmp_path)
    assert (tmp_path / "confusion.png").stat().st_size > 1000


def test_frames_before_and_behind_the_sound_are_left_out():
    loud = np.full((10, 24), -90.0, np.float32)
    loud[3:7, 5] = [-20, -40, -31, -30]
    for db, expected in ((0.0, (0, 10)), (9.0, (3, 4)), (15.0, (3, 7)), (80.0, (0, 10))):
        some = settings(features__kind="log_mel", statistics__trim_db=db, statistics__zero_crossings=False)
        assert baseline.sounding(loud, some) == expected
        row = baseline.row_of(loud, loud, some, lambda: np.zeros(1))
        assert row[5] == pytest.approx(loud[slice(*expected), 5].mean())


def test_percentiles_are_numpys():
    names = ["percentile_5", "percentile_25", "median", "percentile_75", "percentile_95"]
    some = settings(statistics__of=names, statistics__zero_crossings=False)
    frames = np.random.default_rng(0).normal(size=(31, 13))
    row = baseline.row_of(frames, frames, some, lambda: np.zeros(1))
    assert np.array_equal(row, np.percentile(frames, [5, 25, 50, 75, 95], axis=0).ravel())
