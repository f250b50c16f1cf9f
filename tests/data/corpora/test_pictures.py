"""Pictures with questions: bytes from settings, objects where the table says, sources and folds apart.

One input alone decides nothing.
"""

from collections import Counter
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pytest

from audiomtl.data import catalog
from audiomtl.data.corpora import generated, pictures
from audiomtl.data.corpora.pictures import Settings as Pictures
from audiomtl.errors import UserError


def settings(**changes) -> Pictures:
    values = {
        "dataset": "pictures",
        "label": "corner",
        "groups": ["source"],
        "corpus_seed": 1,
        "sources": 20,
        "takes": 10,
    }
    return Pictures(**{**values, "objects": 2, "noise": 0.05, "shape_share": 0.5, **changes})


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> pd.DataFrame:
    return pictures.clips(settings(), tmp_path_factory.mktemp("pictures"))


def objects(row) -> list[tuple[str, str, str]]:
    """(colour, shape, corner) of every object."""
    return [tuple(one.split(" ", 2)) for one in row.objects.split(", ")]


def test_the_table_says_what_was_made(table) -> None:
    assert list(table.columns) == [
        "clip_id",
        "path",
        "caption",
        "corner",
        "asked",
        "objects",
        "source",
        "fold",
    ]
    assert len(table) == 200 and table["clip_id"].is_unique and set(table["corner"]) == set(pictures.CORNERS)
    assert 0.3 < (table["asked"] == "shape").mean() < 0.7
    for row in table.itertuples():
        assert matplotlib.image.imread(row.path).shape[:2] == (32, 32) and len(objects(row)) == 2
        for part in zip(*objects(row), strict=True):
            assert len(set(part)) == 2  # colours, shapes, corners


def test_objects_stand_in_their_corners_in_their_colours(tmp_path) -> None:
    table = pictures.clips(settings(noise=0.0, takes=4), tmp_path)
    lower, right = np.mgrid[:32, :32] >= 16
    for row in table.itertuples():
        pixels = matplotlib.image.imread(row.path)[:, :, :3]
        ground = pixels[15, 15]
        seen = np.abs(pixels - ground).max(axis=2) > 0.05
        for colour, _, corner in objects(row):
            below, beside = pictures.CORNERS[corner]
            inside = seen & (lower == below) & (right == beside)
            assert inside.sum() > 12, row.clip_id
            assert np.abs(pixels[inside].mean(axis=0) - pictures.COLOURS[colour]).max() < 0.25, row.clip_id
        empty = set(pictures.CORNERS) - {corner for _, _, corner in objects(row)}
        for below, beside in (pictures.CORNERS[corner] for corner in empty):
            assert not (seen & (lower == below) & (right == beside)).any(), row.clip_id


def test_the_caption_asks_for_the_object_in_the_corner(table) -> None:
    for row in table.itertuples():
        (colour, shape, _), *_ = [one for one in objects(row) if one[2] == row.corner]
        wanted = shape if row.asked == "shape" else f"{colour} one"
        assert any(question.format(wanted) in row.caption for question in pictures.QUESTIONS), row.clip_id


def test_neither_the_picture_nor_the_caption_alone_decides(tmp_path) -> None:
    """The best guess from the captions, and that from what stands in which corner, on the clips that they
    were counted on.
    """
    table = pictures.clips(settings(sources=50, takes=20), tmp_path)
    named = table["caption"].str.findall("|".join([*pictures.COLOURS, *pictures.SHAPES])).map(tuple)
    counts = table.groupby([named, "corner"]).size().groupby(level=0)
    assert counts.max().sum() / len(table) < 0.5  # 0.25 but for chance, over some hundred different captions
    first = [objects(row)[0][2] for row in table.itertuples()]
    assert 0.45 < np.mean([one == corner for one, corner in zip(first, table["corner"], strict=True)]) < 0.55
    shares = Counter(table["corner"])
    assert max(shares.values()) < 0.3 * len(table)


def test_no_source_in_two_folds_and_every_class_in_each(table) -> None:
    assert (table.groupby("source")["fold"].nunique() == 1).all() and sorted(table["fold"].unique()) == [
        1,
        2,
        3,
        4,
        5,
    ]
    assert (table.groupby("fold")["corner"].nunique() == 4).all()


def test_the_same_settings_give_the_same_bytes_and_others_others(table, tmp_path) -> None:
    again = pictures.clips(settings(), tmp_path)
    assert again.drop(columns="path").equals(table.drop(columns="path"))
    assert [Path(path).read_bytes() for path in again["path"]] == [
        Path(path).read_bytes() for path in table["path"]
    ]
    assert catalog.fingerprint(again) == catalog.fingerprint(table)
    other = pictures.clips(settings(noise=0.06), tmp_path)
    assert Path(other["path"][0]).read_bytes() != Path(again["path"][0]).read_bytes()
    assert catalog.fingerprint(other) != catalog.fingerprint(again)
    # label and groups make no other corpus
    assert pictures.clips(settings(groups=[]), tmp_path)["path"].equals(again["path"])


def test_a_damaged_corpus_is_made_again_and_a_whole_one_only_read(tmp_path, monkeypatch) -> None:
    few = settings(sources=5, takes=2)
    first = pictures.clips(few, tmp_path)
    place = Path(first["path"][3])
    content = place.read_bytes()
    place.write_bytes(content[:100])
    assert pictures.clips(few, tmp_path).equals(first) and place.read_bytes() == content
    monkeypatch.setattr(generated, "_make", lambda *arguments: pytest.fail("made again"))
    assert pictures.clips(few, tmp_path).equals(first)


def test_a_label_that_is_none_is_refused(tmp_path) -> None:
    with pytest.raises(
        UserError, match=r'data\.label = "corners": must be one of corner, asked; did you mean corner\?'
    ):
        pictures.clips(settings(label="corners"), tmp_path)
