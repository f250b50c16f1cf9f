"""Baselines on made-up clips: they learn, know nothing of test, and come back from disk."""

import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from audiomtl import config
from audiomtl.data import audio, catalog
from audiomtl.models import baseline

PROJECT = Path(__file__).parents[2]
NAMES = ["random_forest", "svm", "logistic_regression", "nearest_neighbours"]


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> pd.DataFrame:
    """40 clips: a tone or noise, of 20 sources in 4 folds."""
    folder, rows = tmp_path_factory.mktemp("sounds"), []
    for number in range(40):
        random = np.random.default_rng(number)
        times = np.arange(8000) / 8000
        tone = np.sin(2 * np.pi * random.uniform(300, 900) * times) if number % 2 else random.standard_normal(8000)
        path = folder / f"{number:02}.wav"
        audio.save(path, 0.2 * np.clip(tone, -3, 3), sample_rate=8000)
        rows.append((path.stem, str(path), 1.0, "tone" if number % 2 else "noise", f"source_{number // 2}", number // 2 % 4))
    return pd.DataFrame(rows, columns=["clip_id", "path", "seconds", "category", "src_file", "fold"])


@pytest.fixture
def settings(table, monkeypatch, tmp_path):
    monkeypatch.setattr(catalog, "clips", lambda data: table)
    monkeypatch.setenv("AUDIOMTL_CACHE", str(tmp_path / "cache"))

    def make(**changes):
        raw = tomllib.loads((PROJECT / "experiments" / "baseline_esc10.toml").read_text(encoding="utf-8"))
        raw.pop("ablation"), raw.pop("expected", None)
        small = {"features.sample_rate": 8000, "features.window_seconds": 0.032, "features.hop_seconds": 0.016, "features.bands": 20}
        small |= {"features.n_fft": 256, "features.high_hz": 4000.0, "classifier.trees": 20}
        return config.settings_of(config.override(raw, {**small, **{key.replace("__", "."): one for key, one in changes.items()}}), "test")

    return make


def fitted_on(some, seed: int = 1):
    prepared = baseline.prepare(some, seed)
    return prepared, baseline.train(some, prepared, seed, lambda epoch, scores: True, None)


@pytest.mark.parametrize("name", NAMES)
def test_each_classifier_learns_predicts_with_ids_and_comes_back(settings, tmp_path, name):
    prepared, fitted = fitted_on(settings(classifier__name=name))
    assert baseline.evaluate(fitted, prepared.examples["test"])["accuracy"] >= 0.7
    predicted = baseline.predict(fitted, prepared.examples["test"])
    assert predicted["clip_id"].tolist() == sorted(prepared.splits.test["clip_id"])
    np.testing.assert_allclose(predicted[["probability_noise", "probability_tone"]].sum(axis=1), 1, atol=1e-6)
    assert predicted["margin"].between(0, 1).all()
    baseline.save(fitted, tmp_path / "model")
    again = baseline.predict(baseline.load(tmp_path / "model"), prepared.examples["test"])
    pd.testing.assert_frame_equal(again, predicted)


def test_standardisation_is_trains(settings):
    prepared, fitted = fitted_on(settings())
    rows = np.stack([one.row for one in prepared.examples["train"]])
    np.testing.assert_allclose(fitted.pipeline[0].mean_, rows.mean(axis=0))
    everything = np.stack([one.row for some in prepared.examples.values() for one in some])
    assert np.abs(fitted.pipeline[0].mean_ - everything.mean(axis=0)).max() > 1e-4


def test_shuffled_labels_are_not_learned(settings, table, monkeypatch):
    shuffled = table.assign(category=table["category"].sample(frac=1, random_state=3).to_numpy())
    monkeypatch.setattr(catalog, "clips", lambda data: shuffled)
    accuracies = []
    for seed in range(4):
        prepared, fitted = fitted_on(settings(), seed)
        accuracies.append(baseline.evaluate(fitted, prepared.examples["test"])["accuracy"])
    assert np.mean(accuracies) < 0.8


def test_a_row_is_the_statistics_of_its_frames(settings):
    some = settings(statistics__of=["minimum", "median"], statistics__deltas=True, statistics__zero_crossings=False)
    frames = np.random.default_rng(0).normal(size=(7, 3))
    deltas = np.diff(frames, axis=0)
    expected = [frames.min(axis=0), np.median(frames, axis=0), deltas.min(axis=0), np.median(deltas, axis=0)]
    np.testing.assert_allclose(baseline._row(frames, "", some), np.concatenate(expected))


def test_zero_crossings_of_a_tone_are_twice_its_periods(settings):
    y = np.sin(2 * np.pi * 500 * (np.arange(8000) + 0.5) / 8000)
    np.testing.assert_allclose(baseline._zero_crossings(y, settings()).mean(), 2 * 500 / 8000, rtol=0.05)


def test_a_training_that_is_told_to_stop_says_so(settings):
    some = settings()
    prepared = baseline.prepare(some, 1)
    assert baseline.train(some, prepared, 1, lambda epoch, scores: False, None).fit.stopped
