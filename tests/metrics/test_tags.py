"""Scores of tags are scikit-learn's; classes that all clips have, or none, are in no mean."""

import numpy as np
import pytest

from audiomtl.metrics import tags


def random(seed: int, clips: int = 40, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Truth and scores, with ties, that say something of it."""
    rng = np.random.default_rng(seed)
    truth = (rng.random((clips, classes)) < rng.uniform(0.1, 0.6, classes)).astype(float)
    truth[0], truth[1] = 1, 0
    return truth, np.round(truth * 0.3 + rng.random((clips, classes)), 1)


@pytest.mark.parametrize("seed", range(5))
def test_means_are_scikit_learn_s(seed) -> None:
    from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

    truth, scores = random(seed)
    assert tags.mean_average_precision(truth, scores) == pytest.approx(
        average_precision_score(truth, scores, average="macro"), abs=1e-12
    )
    assert tags.macro_roc_auc(truth, scores) == pytest.approx(
        roc_auc_score(truth, scores, average="macro"), abs=1e-12
    )
    assert tags.macro_f1(truth, scores > 0.6) == pytest.approx(
        f1_score(truth, scores > 0.6, average="macro"), abs=1e-12
    )
    of_class = tags.by_class(truth, scores, "abcde")
    each = average_precision_score(truth, scores, average=None)
    assert [of_class[name]["average_precision"] for name in "abcde"] == pytest.approx(
        each.tolist(), abs=1e-12
    )


def test_a_class_of_all_clips_or_none_is_left_out() -> None:
    truth, scores = random(0)
    truth[:, 1], truth[:, 3] = 0, 1
    assert tags.scored(truth).tolist() == [0, 2, 4]
    kept = [0, 2, 4]
    for mean in (tags.mean_average_precision, tags.macro_roc_auc, tags.macro_f1):
        assert mean(truth, scores > 0.6) == mean(truth[:, kept], scores[:, kept] > 0.6)
    found = tags.scores(truth, scores, "abcde", threshold=0.5, every_score=True)
    assert {name for name in found if name.startswith("roc_auc_")} == {"roc_auc_a", "roc_auc_c", "roc_auc_e"}
    assert "roc_auc_a" not in tags.scores(truth, scores, "abcde", threshold=0.5, every_score=False)
    many = [np.tile(array[:, :1], (1, tags.MOST + 1)) for array in (truth, scores)]
    found = tags.scores(*many, [str(n) for n in range(tags.MOST + 1)], threshold=0.5, every_score=True)
    assert set(found) == {"mean_average_precision", "roc_auc", "macro_f1"}


def test_what_has_no_score_is_refused_or_left_out() -> None:
    nothing = np.zeros((3, 2))
    assert tags.scores(nothing, nothing, "ab", threshold=0.5, every_score=True) == {}
    with pytest.raises(ValueError, match="truth must have a class that some of its 3 clips have and others"):
        tags.mean_average_precision(nothing, nothing)
    with pytest.raises(
        ValueError, match=r"must have one shape \(clips, classes\), but got \(3, 2\) and \(3,\)"
    ):
        tags.macro_roc_auc(nothing, np.zeros(3))


def test_names_of_scores_are_mlflow_s_and_never_become_one() -> None:
    assert tags.metric_name("rain 2.0-x_ä") == "rain 2.0-x_ä"
    names = [tags.metric_name(name) for name in ("a,b", "a;b", "a/b", "a" * 200, "a" * 201)]
    assert len(set(names)) == 5 and all(len(name) < 120 and "/" not in name for name in names)
