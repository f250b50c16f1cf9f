"""A table whose clips are rows of one ``.npz``, as in the article: audio, mel and score in one file."""

import numpy as np
import pandas as pd
import pytest

from audiomtl.errors import UserError
from audiomtl.families.multitask import model as multitask
from audiomtl.nn.fit import seed_everything
from tests.small_multitask import settings

FRAMES, BANDS, CLIPS = 40, 16, 40


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOMTL_CACHE", str(tmp_path / "cache"))
    random = np.random.default_rng(0)
    score = np.repeat(random.integers(40, 44, (CLIPS, 4)), FRAMES // 4, axis=1)  # a key for each quarter
    audio = 0.1 * random.standard_normal((CLIPS, FRAMES, BANDS, 1)) + np.eye(BANDS)[score - 40][..., None] * 3
    np.savez(tmp_path / "multi-task.npz", audio=audio, mel=audio[..., 0], score=score)
    rows = [(f"clip {row}", "multi-task.npz", row, "ab"[row % 2], f"song {row // 2}") for row in range(CLIPS)]
    pd.DataFrame(rows, columns=["clip_id", "array_path", "array_row", "kind", "song"]).to_csv(
        tmp_path / "clips.csv", index=False
    )
    return tmp_path


def small(folder):
    return settings(
        heads={"melody": {"kind": "melody", "column": "score"}, "clean": {"kind": "mel", "column": "mel"}},
        data={
            "dataset": "manifest",
            "label": "kind",
            "groups": ["song"],
            "table": str(folder / "clips.csv"),
            "on_bad": "error",
        },
        features__bands=BANDS,
        encoder__kind="recurrent",
        encoder__filters=[4, 4],
        encoder__pool_frames=[2, 1],
        encoder__pool_bands=[1, 1],
        encoder__units=16,
        protocol__column="",
        protocol__folds=5,
        training__epochs=12,
        training__batch_size=4,
        optimizer__learning_rate=0.01,
    )


@pytest.mark.slow
def test_the_arrays_are_learned(folder) -> None:
    some = small(folder)
    seed_everything(1)
    prepared = multitask.prepare(some, 1)
    assert prepared.examples["train"][0].frames.shape == (FRAMES, BANDS)
    fitted = multitask.train(some, prepared, 1, lambda epoch, scores: True, None)
    scores = multitask.evaluate(fitted, multitask.outputs(fitted, prepared.examples["test"]))
    assert scores["melody_frame_accuracy"] > 0.85 and scores["clean_l1"] < 0.6


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"audio": (CLIPS, BANDS, FRAMES, 1)},
            r"the array audio has shape \(16, 40, 1\), but frames x 16 are needed",
        ),
        ({"score": (CLIPS, FRAMES, 89)}, r"heads.melody: clip .* 40 frames and an array of shape \(40, 89\)"),
        ({"kind": (CLIPS, 2)}, "an array and a column of the table are both named kind"),
    ],
)
def test_arrays_of_other_shapes_are_refused(folder, changed, message) -> None:
    with np.load(folder / "multi-task.npz") as file:
        arrays = dict(file)
    np.savez(folder / "multi-task.npz", **arrays | {name: np.ones(shape) for name, shape in changed.items()})
    with pytest.raises(UserError, match=message):
        multitask.prepare(small(folder), 1)
