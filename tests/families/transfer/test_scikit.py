"""A linear head has the probabilities of the scikit-learn classifiers that it is made of, tag by tag."""

import numpy as np
import pytest

from audiomtl.families.transfer import scikit
from audiomtl.settings.classifier import Classifier

CHOSEN = Classifier(name="logistic_regression", inverse_regularization=0.5)
ROWS = np.random.default_rng(0).normal(3, 2, (40, 6))


def test_a_dense_layer_says_what_logistic_regression_says_of_tags() -> None:
    truth = np.stack([ROWS[:, 0] > 3, np.ones(40), ROWS[:, 1] + ROWS[:, 2] > 7, np.zeros(40)], axis=1).astype(
        float
    )
    pipeline = scikit.fitted(CHOSEN, ROWS, truth, 0, several=True, balanced=False)
    mean, deviation, kernel, bias = scikit.linear(pipeline, ROWS)
    found = 1 / (1 + np.exp(-(((ROWS - mean) / deviation) @ kernel + bias)))
    expected = scikit.forward(pipeline, several=True)(ROWS, np.ones(40, int))["clip"]
    np.testing.assert_allclose(found, expected, atol=2e-7)
    assert expected[:, 1].tolist() == [1.0] * 40 and expected[:, 3].tolist() == [0.0] * 40
    assert ((expected[:, 0] > 0.5) == truth[:, 0]).mean() > 0.9


def test_tags_that_all_clips_have_need_no_scaler() -> None:
    pipeline = scikit.fitted(CHOSEN, ROWS, np.ones((40, 1)), 0, several=True, balanced=False)
    mean, deviation, kernel, bias = scikit.linear(pipeline, ROWS)
    assert (
        not mean.any() and (deviation == 1).all() and not kernel.any() and bias == pytest.approx(scikit.SURE)
    )


@pytest.mark.parametrize("name", ["svm", "nearest_neighbours", "random_forest", "logistic_regression"])
def test_bags_have_the_mean_of_their_patches(name) -> None:
    chosen = Classifier(name=name, inverse_regularization=1.0, kernel="linear", neighbours=3, trees=5)
    truth = np.stack([ROWS[:, 0] > 3, ROWS[:, 1] > 3], axis=1).astype(float)
    pipeline = scikit.fitted(chosen, ROWS, truth, 0, several=True, balanced=False)
    found = scikit.forward(pipeline, several=True)(ROWS[:5], np.array([2, 3]))
    assert found["clip"].shape == (2, 2) and found["patches"].shape == (5, 2)
    alone = scikit.forward(pipeline, several=True)(ROWS[:2].mean(axis=0)[None], np.array([1]))
    np.testing.assert_allclose(found["clip"][0], alone["clip"][0], rtol=1e-12)
    assert np.all((found["patches"] >= 0) & (found["patches"] <= 1))
