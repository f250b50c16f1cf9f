"""Synthetic scenes: bytes from settings, events where the table says, sources and folds apart."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from audiomtl.data.corpora import scenes
from audiomtl.settings.clips import Scenes


def settings(**changes) -> Scenes:
    values = {"dataset": "scenes", "label": "event", "groups": ["source"], "corpus_seed": 1, "sources": 5, "takes": 2}
    return Scenes(**{**values, "signal_to_noise_db": 3.0, "reverberation_seconds": 0.3, **changes})


@pytest.fixture(scope="module", autouse=True)
def in_this_process():
    """Scenes without a pool; small corpora do not pay for one."""

    def make(data, folder):
        jobs = [(name, source, take) for name in sorted(scenes.EVENTS) for source in range(data.sources) for take in range(data.takes)]
        yield from map(partial(scenes._clip, data, folder), jobs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scenes, "_make", make)
        yield


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> pd.DataFrame:
    return scenes.clips(settings(), tmp_path_factory.mktemp("scenes"))


def test_the_table_says_what_was_made(table) -> None:
    assert list(table.columns) == ["clip_id", "path", "seconds", "event", "source", "fold", "background", "passages"]
    assert len(table) == 12 * 5 * 2 and table["clip_id"].is_unique and sorted(table["event"].unique()) == sorted(scenes.EVENTS)
    for row in table.itertuples():
        y, rate = soundfile.read(row.path)
        assert rate == 16000 and len(y) == 80000 and row.seconds == 5 and 0.5 < np.abs(y).max() < 1
        edges = [edge for span in row.passages for edge in span]
        assert 1 <= len(row.passages) <= 3 and edges == sorted(set(edges)) and edges[0] >= 0 and edges[-1] <= 5.0


def test_no_source_in_two_folds_and_every_class_in_each(table) -> None:
    assert (table.groupby("source")["fold"].nunique() == 1).all() and (table.groupby("source")["event"].nunique() == 1).all()
    assert (table.groupby("fold")["event"].nunique() == 12).all() and sorted(table["fold"].unique()) == [1, 2, 3, 4, 5]


def test_the_same_settings_give_the_same_bytes_and_others_others(table, tmp_path) -> None:
    again = scenes.clips(settings(), tmp_path)
    assert again.drop(columns="path").equals(table.drop(columns="path"))
    assert [Path(path).read_bytes() for path in again["path"]] == [Path(path).read_bytes() for path in table["path"]]
    other = scenes.clips(settings(signal_to_noise_db=4.0), tmp_path)
    assert Path(other["path"][0]).parent != Path(again["path"][0]).parent
    assert Path(other["path"][0]).read_bytes() != Path(again["path"][0]).read_bytes()


def test_label_and_groups_make_no_other_corpus(table) -> None:
    folder = Path(table["path"][0]).parents[1]
    assert scenes.clips(settings(groups=[]), folder)["path"].equals(table["path"])


def test_events_are_where_the_table_says(tmp_path) -> None:
    """Without background to speak of, nothing sounds outside the passages."""
    quiet = scenes.clips(settings(signal_to_noise_db=60.0, reverberation_seconds=0.0, takes=1), tmp_path)
    for row in quiet.itertuples():
        y, rate = soundfile.read(row.path)
        inside = np.zeros(len(y), bool)
        for start, end in row.passages:
            inside[round(start * rate) : round(end * rate)] = True
        assert np.mean(y[inside] ** 2) > 1e3 * np.mean(y[~inside] ** 2), row.clip_id


def test_a_damaged_corpus_is_made_again(tmp_path) -> None:
    first = scenes.clips(settings(takes=1), tmp_path)
    place = Path(first["path"][3])
    content = place.read_bytes()
    place.write_bytes(content[:1000])
    assert scenes.clips(settings(takes=1), tmp_path).equals(first) and place.read_bytes() == content
