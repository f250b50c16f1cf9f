"""Synthetic scenes: bytes from settings, events where the table says, sources and folds apart."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from audiomtl.data.corpora import scenes
from audiomtl.data.corpora.scenes import Settings as Scenes

POOLED = scenes._make  # before the fixture below replaces it


def settings(**changes) -> Scenes:
    values = {
        "dataset": "scenes",
        "label": "event",
        "groups": ["source"],
        "corpus_seed": 1,
        "sources": 5,
        "takes": 2,
    }
    return Scenes(**{**values, "signal_to_noise_db": 3.0, "reverberation_seconds": 0.3, **changes})


@pytest.fixture(scope="module", autouse=True)
def in_this_process():
    """Scenes without a pool; small corpora do not pay for one."""

    def make(data, folder):
        jobs = [
            (name, source, take)
            for name in sorted(scenes.EVENTS)
            for source in range(data.sources)
            for take in range(data.takes)
        ]
        yield from map(partial(scenes._clip, data, folder), jobs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scenes, "_make", make)
        yield


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> pd.DataFrame:
    return scenes.clips(settings(), tmp_path_factory.mktemp("scenes"))


def test_the_table_says_what_was_made(table) -> None:
    assert list(table.columns) == [
        "clip_id",
        "path",
        "seconds",
        "event",
        "source",
        "fold",
        "background",
        "passages",
    ]
    assert (
        len(table) == 12 * 5 * 2
        and table["clip_id"].is_unique
        and sorted(table["event"].unique()) == sorted(scenes.EVENTS)
    )
    for row in table.itertuples():
        y, rate = soundfile.read(row.path)
        assert rate == 16000 and len(y) == 80000 and row.seconds == 5 and 0.5 < np.abs(y).max() < 1
        edges = [edge for span in row.passages for edge in span]
        assert (
            1 <= len(row.passages) <= 3 and edges == sorted(set(edges)) and edges[0] >= 0 and edges[-1] <= 5.0
        )


def test_no_source_in_two_folds_and_every_class_in_each(table) -> None:
    assert (table.groupby("source")["fold"].nunique() == 1).all() and (
        table.groupby("source")["event"].nunique() == 1
    ).all()
    assert (table.groupby("fold")["event"].nunique() == 12).all() and sorted(table["fold"].unique()) == [
        1,
        2,
        3,
        4,
        5,
    ]


def test_the_same_settings_give_the_same_bytes_and_others_others(table, tmp_path) -> None:
    again = scenes.clips(settings(), tmp_path)
    assert again.drop(columns="path").equals(table.drop(columns="path"))
    assert [Path(path).read_bytes() for path in again["path"]] == [
        Path(path).read_bytes() for path in table["path"]
    ]
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


def recorded(monkeypatch) -> list[tuple[str, dict[str, float]]]:
    """Names and habits of the events that are made from now on; each is 0.2 s of a tone."""
    heard: list[tuple[str, dict[str, float]]] = []

    def event(name, of, random):
        heard.append((name, of))
        return np.sin(np.arange(3200) * 0.3)

    monkeypatch.setattr(scenes, "EVENTS", {name: partial(event, name) for name in scenes.EVENTS})
    return heard


def test_a_clip_has_events_of_its_class_only_and_a_source_has_habits(tmp_path, monkeypatch) -> None:
    heard = recorded(monkeypatch)
    of_source: dict[tuple[str, int], list[list[float]]] = {}
    for name in scenes.EVENTS:
        for source in range(6):
            heard.clear()
            rows = [
                scenes._clip(settings(reverberation_seconds=0.0), tmp_path, (name, source, take))
                for take in range(2)
            ]
            assert {one for one, _ in heard} == {name} and len(heard) == sum(
                len(row["passages"]) for row in rows
            )
            of_source[name, source] = [list(of.values()) for _, of in heard]
    within = np.mean([np.std(habits, axis=0) for habits in of_source.values()])
    means = np.array([np.mean(habits, axis=0) for habits in of_source.values()])  # (72 sources, 3 habits)
    # jitter is 0.03; the deviation of a uniform number is 0.29
    assert within < 0.05 and means.std(axis=0).min() > 0.2


def test_reverberation_sounds_on_after_the_events(tmp_path) -> None:
    """The share of power outside the passages, without background to speak of."""
    shares = []
    for seconds in (0.0, 0.8):
        data = settings(takes=1, signal_to_noise_db=60.0, reverberation_seconds=seconds)
        outside = []
        for name in ("alarm", "bird", "dog_bark"):
            row = scenes._clip(data, tmp_path, (name, 0, 0))
            y, rate = soundfile.read(tmp_path / f"{row['clip_id']}.wav")
            inside = np.zeros(len(y), bool)
            for start, end in row["passages"]:
                inside[round(start * rate) : round(end * rate)] = True
            outside.append(np.sum(y[~inside] ** 2) / np.sum(y**2))
        shares.append(min(outside) if seconds else max(outside))
    assert shares[1] > 10 * shares[0]


def test_another_version_is_another_corpus(table, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(scenes, "VERSION", scenes.VERSION + 1)
    monkeypatch.setattr(scenes.generated, "rows", lambda place, make: pytest.fail(place.name))
    with pytest.raises(pytest.fail.Exception) as failure:
        scenes.clips(settings(), tmp_path)
    assert str(failure.value) != Path(table["path"][0]).parent.name


@pytest.mark.slow
def test_the_pool_gives_the_same_bytes(table, tmp_path) -> None:
    made = list(POOLED(settings(), tmp_path))
    assert sorted(row["clip_id"] for row in made) == table["clip_id"].tolist()
    assert all((tmp_path / Path(path).name).read_bytes() == Path(path).read_bytes() for path in table["path"])
