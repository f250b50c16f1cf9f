"""Synthetic songs: bytes from settings, passages where the style is, styles and artists crossed."""

import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from audiomtl.data.corpora import songs
from audiomtl.data.corpora.songs import Settings as Songs
from audiomtl.errors import UserError


def settings(**changes) -> Songs:
    values = {
        "dataset": "songs",
        "label": "style",
        "groups": ["artist"],
        "corpus_seed": 1,
        "songs": 8,
        "styles": 4,
        "artists": 2,
    }
    return Songs(
        **{**values, "shortest_seconds": 12.0, "longest_seconds": 16.0, "style_share": 0.4, **changes}
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("corpora")


@pytest.fixture(scope="module")
def table(folder) -> pd.DataFrame:
    return songs.clips(settings(), folder)


def test_the_table_says_what_was_made(table):
    assert table["clip_id"].tolist() == [f"song_{number:04d}" for number in range(8)]
    for row in table.itertuples():
        y, rate = soundfile.read(row.path)
        assert rate == 22050 and abs(len(y) / rate - row.seconds) < 1e-6
        bar = 4 * 60 / row.tempo
        assert 12 - bar < row.seconds <= 16  # whole bars: up to one shorter than drawn
        assert 0.3 < np.abs(y).max() < 1
        edges = [edge for span in row.passages for edge in span]
        assert edges == sorted(set(edges)) and edges[0] >= 0 and edges[-1] <= row.seconds + 1e-3
        carried, bars = sum(end - start for start, end in row.passages) / bar, row.seconds / bar
        # the first four styles have bars of four beats
        assert carried == pytest.approx(max(2, round(0.4 * round(bars))), abs=0.01)
    assert list(table.columns) == [
        "clip_id",
        "path",
        "seconds",
        "style",
        "artist",
        "tempo",
        "key",
        "passages",
    ]


def test_styles_are_even_and_every_artist_plays_several(table):
    assert table["style"].value_counts().tolist() == [2, 2, 2, 2]
    assert (table.groupby("artist")["style"].nunique() == 4).all()


@pytest.mark.parametrize("styles", [6, 8])
def test_a_corpus_of_full_size_is_even_too(styles, tmp_path, monkeypatch):
    monkeypatch.setattr(songs, "render", lambda *_, **__: (np.full(9, 0.5), []))
    large = settings(songs=320, styles=styles, artists=40)
    dealt = pd.DataFrame([songs._song(large, tmp_path, number) for number in range(320)])
    counts = dealt["style"].value_counts()
    assert len(counts) == styles and counts.max() - counts.min() <= 2
    assert (dealt["artist"].value_counts() == 8).all() and dealt["artist"].nunique() == 40
    assert (dealt.groupby("artist")["style"].nunique() == styles).all()


def test_an_artist_is_the_same_in_any_corpus_of_the_seed_and_like_no_other():
    artists = [songs.artist_of(settings(), number) for number in range(12)]
    assert artists == [
        songs.artist_of(settings(songs=20, styles=8, artists=12, style_share=0.9), number)
        for number in range(12)
    ]
    assert artists[0] != songs.artist_of(settings(corpus_seed=2), 0)
    for part in ("bass", "chords", "lead", "levels", "tempo", "tilt"):
        assert len({getattr(artist, part) for artist in artists}) == 12


def test_the_same_settings_give_the_same_bytes_in_any_place_and_process(table, tmp_path):
    code = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from pathlib import Path\n"
        "if __name__ == '__main__':\n"
        "    from test_songs import settings\n"
        "    from audiomtl.data.corpora import songs\n"
        "    songs.clips(settings(), Path(sys.argv[1]))\n"
    )
    (tmp_path / "make.py").write_text(code)
    environment = os.environ | {
        "PYTHONHASHSEED": "5",
        "PYTHONPATH": f"{Path(songs.__file__).parents[3]}:{Path(__file__).parent}",
    }
    command = [sys.executable, "make.py", str(tmp_path / "again"), str(Path(__file__).parent)]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    [again] = (tmp_path / "again").glob("songs-*")
    [first] = {Path(path).parent for path in table["path"]}
    files = sorted(path.name for path in first.iterdir())
    assert files == sorted(path.name for path in again.iterdir()) and len(files) == 9  # 8 songs and the index
    for name in files:
        assert (first / name).read_bytes() == (again / name).read_bytes()


def test_a_song_does_not_depend_on_how_many_others_there_are(table, tmp_path):
    more = songs.clips(settings(songs=10), tmp_path)
    assert Path(more["path"][3]).read_bytes() == Path(table["path"][3]).read_bytes()
    other = songs.clips(settings(songs=4, corpus_seed=2), tmp_path)
    assert Path(other["path"][3]).read_bytes() != Path(table["path"][3]).read_bytes()


def in_this_process(monkeypatch) -> list[int]:
    """Make songs without a pool; the numbers of the songs made, as they come."""
    numbers: list[int] = []

    def make(data, folder):
        for row in map(partial(songs._song, data, folder), range(data.songs)):
            numbers.append(int(row["clip_id"][-4:]))
            yield row

    monkeypatch.setattr(songs, "_make", make)
    return numbers


@pytest.mark.parametrize(
    "damage",
    [
        "none",
        "a song cut short",
        "a song is missing",
        "no index",
        "only the index",
        "a torn index",
        "a row is lost",
    ],
)
def test_a_damaged_corpus_is_made_again_and_a_whole_one_only_read(damage, tmp_path, monkeypatch):
    numbers = in_this_process(monkeypatch)
    table = songs.clips(settings(songs=3), tmp_path)
    place = Path(table["path"][0]).parent
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    assert numbers == [0, 1, 2]
    if damage == "a song cut short":
        (place / "song_0002.wav").write_bytes(before["song_0002.wav"][:5000])
    if damage == "a song is missing":
        (place / "song_0001.wav").unlink()
    if damage == "no index":
        (place / "index.jsonl").unlink()
    if damage in ("a torn index", "a row is lost"):
        index = next(tmp_path.glob("songs-*/index.jsonl"))
        lines = index.read_text().splitlines()
        index.write_text("\n".join(lines[:2]) + "\n" + (lines[2][:40] if damage == "a torn index" else ""))
    if damage == "only the index":
        for path in place.glob("*.wav"):
            path.unlink()
    assert songs.clips(settings(songs=3), tmp_path).equals(table)
    assert numbers == ([0, 1, 2] if damage == "none" else [0, 1, 2, 0, 1, 2])
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before


def test_a_making_that_was_cut_off_leaves_no_corpus_and_is_made_whole(tmp_path, monkeypatch):
    whole = in_this_process(monkeypatch)
    kept, make = songs.clips(settings(songs=3), tmp_path / "kept"), songs._make

    def breaks(data, folder):
        yield next(make(data, folder))
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="power cut"):
        patch.setattr(songs, "_make", breaks)
        songs.clips(settings(songs=3), tmp_path)
    assert not list(tmp_path.glob("songs-*"))
    [name] = [path.name for path in (tmp_path / "kept").glob("songs-*")]
    left = tmp_path / f".{name}.making"  # what a killed process leaves
    left.mkdir()
    (left / "song_0000.wav").write_bytes(b"RIFF")
    made = songs.clips(settings(songs=3), tmp_path)
    assert made.drop(columns="path").equals(kept.drop(columns="path")) and len(whole) == 3 + 1 + 3
    assert [Path(path).read_bytes() for path in made["path"]] == [
        Path(path).read_bytes() for path in kept["path"]
    ]


@pytest.mark.parametrize("share", [0.2, 0.4, 0.9, 1.0])
def test_the_share_of_bars_is_what_was_asked(share):
    for seed in range(20):
        carries = songs.structure(30, share, np.random.default_rng(seed))
        assert carries.sum() == max(2, round(share * 30))
        if share < 0.9:
            runs = np.diff(np.flatnonzero(np.diff(np.concatenate([[0], carries, [0]]))))[::2]
            assert runs.max() >= 2


FOUR_BEATS = sorted(name for name, style in songs.STYLES.items() if style.beats == 4)


@pytest.fixture(scope="module")
def alike() -> dict[str, np.ndarray]:
    """One artist's song in each style, drawn alike: bars 0 to 2 are neutral, 3 and 4 carry the style,
    each normalised by bars 0 to 2.
    """
    artist, bar = replace(songs.artist_of(settings(), 0), noise_db=-300.0), 4 * 60 * 22050 / 120
    made = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(songs, "structure", lambda bars, *_: np.isin(np.arange(bars), [3, 4]))
        for style in FOUR_BEATS:
            y, passages = songs.render(
                artist, style, 12.0, 120.0, 50, 0.4, np.random.default_rng(3), styles=FOUR_BEATS
            )
            assert passages == [(6.0, 10.0)]  # bars of 2 s
            # the loudest sample of a song depends on its style
            made[style] = y / np.abs(y[: int(3 * bar) - 550]).max()
    return made


@pytest.mark.parametrize("style", FOUR_BEATS[1:])
def test_neutral_bars_are_the_same_whatever_the_style(style, alike):
    """Up to the first bar of its own nothing tells a song's style; from there on it sounds."""
    until = 6 * 22050 - 550  # 25 ms: a hit may come 4 ms early, give or take (six deviations)
    np.testing.assert_allclose(alike[style][:until], alike[FOUR_BEATS[0]][:until], atol=1e-4)
    count = min(len(alike[style]), len(alike[FOUR_BEATS[0]]), 10 * 22050)
    difference = alike[style][6 * 22050 : count] - alike[FOUR_BEATS[0]][6 * 22050 : count]
    assert np.sqrt(np.mean(difference**2)) > 0.05


def test_patterns_fit_their_bars():
    for name, style in songs.STYLES.items():
        for part in ("kick", "snare", "rim", "hat", "bass", "chord"):
            assert len(getattr(style, part)) == style.beats * style.steps_per_beat, (name, part)
    assert len(songs.STYLES) == 8


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"artists": 9}, "artists <= songs = 8 must hold"),
        ({"label": "genre"}, 'data.label = "genre": must be "style"'),
    ],
)
def test_settings_that_cannot_be_met_are_refused(changes, message, tmp_path):
    with pytest.raises(UserError, match=message):
        songs.clips(settings(**changes), tmp_path)
