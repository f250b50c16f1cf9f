"""Pictures: what is shown of many scores, and that others' pictures stay as they are."""

from pathlib import Path

import numpy as np
import pytest

from audiomtl import pictures
from audiomtl.pictures import clips, scores


@pytest.fixture
def drawn(monkeypatch):
    """Axes of the figures that were drawn, with their titles."""
    kept, original = [], pictures.figure

    def spy(path, rows=1, columns=1, **sizes):
        kept.append((rows, columns))
        return original(path, rows, columns, **sizes)

    for part in (clips, scores):
        monkeypatch.setattr(part, "figure", spy)
    return kept


def history(train: int, validation: int) -> list[dict[str, float]]:
    sides = {"train": train, "validation": validation}
    return [
        {f"{side}/score_{number}": epoch + number for side, count in sides.items() for number in range(count)}
        for epoch in range(3)
    ]


@pytest.mark.parametrize(
    ("kinds", "shape"), [(0, (1, 1)), (1, (1, 1)), (5, (1, 5)), (6, (2, 5)), (46, (3, 5))]
)
def test_learning_curves_wrap_after_five_panels(drawn, tmp_path, kinds, shape) -> None:
    pictures.learning_curves(history(1, kinds) if kinds else [{}], tmp_path / "curves.png", best_epoch=1)
    assert drawn == [shape] and (tmp_path / "curves.png").stat().st_size > 1000


def test_the_same_history_gives_the_same_bytes(tmp_path) -> None:
    for name in ("one", "two"):
        pictures.learning_curves(history(2, 6), tmp_path / f"{name}.png", best_epoch=1)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_the_most_telling_scores_come_first() -> None:
    names = [
        "train/loss",
        "train/a_weight",
        "train/learning_rate",
        "validation/b_f1",
        "validation/a_loss",
        "validation/loss",
    ]
    names += ["validation/a_f1"]
    assert scores._most_telling(names, []) == ["loss", "a_loss", "b_f1", "a_f1", "a_weight"]
    assert scores._most_telling(names, ["a_f1", "c_f1"]) == ["loss", "a_loss", "a_f1", "b_f1", "a_weight"]


def test_how_many_scores_are_left_out_is_said(monkeypatch, tmp_path) -> None:
    from matplotlib.figure import Figure

    said = []
    monkeypatch.setattr(Figure, "suptitle", lambda self, text, **how: said.append(text))
    pictures.learning_curves(history(0, 15), tmp_path / "curves.png", best_epoch=-1)
    assert said == []
    pictures.learning_curves(history(0, 46), tmp_path / "curves.png", best_epoch=-1)
    assert said == ["15 scores; the other 31 are in history.json"]


def test_a_clip_is_drawn_whatever_of_it_is_known(drawn, tmp_path) -> None:
    frames = np.random.default_rng(0).normal(size=(100, 16))
    spans, scores = [(0.1, 0.4, "a"), (0.4, 0.9, "ʃ")], np.full((10, 3), 0.02)
    everything = {
        "texts": {"text": (spans, []), "phones": ([], spans)},
        "notes": {"voice": ([(0.1, 0.4, 60)], []), "piano": ([], [])},
        "activities": {"known": (np.eye(10, 3), scores, "abc"), "unknown": (None, scores, "abc")},
    }
    for number, chosen in enumerate((everything, {kind: {} for kind in everything})):
        path = tmp_path / f"{number}.png"
        pictures.heard(
            frames, seconds_per_frame=0.01, seconds_per_step=0.1, title="clip", path=path, **chosen
        )
        assert path.stat().st_size > 1000
    assert drawn == [(7, 1), (1, 1)]


def test_a_class_is_shown_where_it_is_true_or_likely() -> None:
    scores = np.array([[0.0, 0.05, 0.3, 0.01]])
    assert clips._shown(np.array([[0.0, 1.0, 0.0, 0.0]]), scores, "abcd") == [1, 2]
    assert clips._shown(None, scores[:, :2], "ab") == [1]


@pytest.mark.parametrize("weights", [[1.0, 1.0], [0.5, 0.0]])
def test_weights_of_tasks_are_drawn(tmp_path: Path, weights) -> None:
    scores = [{"train/a_weight": weight, "train/a_loss": weight, "train/b_loss": 0.0} for weight in weights]
    pictures.trajectories(scores, ["a", "b"], tmp_path / "weights.png")
    assert (tmp_path / "weights.png").stat().st_size > 1000


# mathtext would raise on the first two, and draw the third as an italic x
DOLLARS = ("$$", r"$\nothing{$", "$x$", r"a\b_{c}^2", "price: 5$")


def test_texts_are_drawn_as_they_are(tmp_path) -> None:
    """A class or a clip may be called anything."""
    names = list(DOLLARS)
    pictures.confusion({(one, other): 1 for one in names for other in names}, tmp_path / "a.png")
    frames = np.random.default_rng(0).uniform(size=(20, 4))
    scores = frames[:, :1].repeat(len(names), axis=1)
    pictures.posteriors(frames, scores, names, seconds=1.0, truth=names, title="$$", path=tmp_path / "b.png")
    pictures.scores_over_time(np.arange(20.0), scores, names, title="$$", path=tmp_path / "c.png")
    points = {0: (1.0, 2.0), 1: (2.0, 1.0)}
    pictures.front(points, [0], tmp_path / "d.png", names=names[:2], title="$$")
    pictures.trajectories([{"train/$$_weight": 1.0, "train/$$_loss": 0.1}], ["$$"], tmp_path / "e.png")
    assert all((tmp_path / f"{name}.png").stat().st_size > 1000 for name in "abcde")


def test_numbers_at_a_logarithmic_axis_are_no_formulas(tmp_path) -> None:
    with pictures.figure(tmp_path / "x.png") as axes:
        axes.plot([0, 1], [1e-3, 1e3])
        axes.set_yscale("log")
    shown = [label.get_text() for label in axes.get_yticklabels()]
    assert "1e−03" in shown and "10" in shown and "$" not in "".join(shown)


def test_a_picture_that_fails_is_logged_and_costs_nothing(capsys) -> None:
    def fails(what: str) -> None:
        raise ValueError(f"no {what}")

    pictures.tried(fails, "colour")
    said = capsys.readouterr()
    assert "this picture failed and was left out" in said.out and "ValueError: no colour" in said.out
    assert "Traceback" in said.err


def test_the_leak_bill_is_drawn_with_and_without_intervals(tmp_path):
    rows = [("random split", 0.99, 0.97, 1.0), ("unseen speaker", 0.59, float("nan"), float("nan"))]
    for name in ("one.png", "again.png"):
        pictures.leak_bill(
            rows, chance=0.1, score="balanced accuracy", title="$ digits", path=tmp_path / name
        )
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "again.png").read_bytes()
    pictures.leak_bill(
        [("random split", -0.2, -0.4, 0.1)], chance=0.0, score="R^2", title="", path=tmp_path / "r.png"
    )
    assert (tmp_path / "r.png").stat().st_size > 1000
