"""Synthetic songs: bytes from settings, passages where the style is, styles and artists crossed."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from audiomtl.data.corpora import songs
from audiomtl.errors import UserError
from audiomtl.settings.clips import Songs


def settings(**changes) -> Songs:
    values = {"dataset": "songs", "label": "style", "groups": ["artist"], "corpus_seed": 1, "songs": 8, "styles": 4, "artists": 2}
    return Songs(**{**values, "shortest_seconds": 12.0, "longest_seconds": 16.0, "style_share": 0.4, **changes})


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
        assert rate == 22050 and abs(len(y) / rate - row.seconds) < 1e-6 and 10 <= row.seconds <= 17
        assert 0.3 < np.abs(y).max() <= 1
        edges = [edge for span in row.passages for edge in span]
        assert edges == sorted(edges) and edges[0] >= 0 and edges[-1] <= row.seconds + 1e-3


def test_styles_are_even_and_every_artist_plays_several(table):
    assert table["style"].value_counts().tolist() == [2, 2, 2, 2]
    assert (table.groupby("artist")["style"].nunique() == 4).all()


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
    environment = os.environ | {"PYTHONHASHSEED": "5", "PYTHONPATH": f"{Path(songs.__file__).parents[3]}:{Path(__file__).parent}"}
    command = [sys.executable, "make.py", str(tmp_path / "again"), str(Path(__file__).parent)]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    [again] = (tmp_path / "again").glob("songs-*")
    for path in table["path"]:
        assert Path(path).read_bytes() == (again / Path(path).name).read_bytes()


def test_a_song_does_not_depend_on_how_many_others_there_are(table, tmp_path):
    more = songs.clips(settings(songs=10), tmp_path)
    assert Path(more["path"][3]).read_bytes() == Path(table["path"][3]).read_bytes()
    other = songs.clips(settings(songs=4, corpus_seed=2), tmp_path)
    assert Path(other["path"][3]).read_bytes() != Path(table["path"][3]).read_bytes()


def test_a_damaged_corpus_is_made_again(table, folder):
    path = Path(table["path"][2])
    whole = path.read_bytes()
    path.write_bytes(whole[:5000])
    assert Path(songs.clips(settings(), folder)["path"][2]).read_bytes() == whole


@pytest.mark.parametrize("share", [0.2, 0.4, 0.9, 1.0])
def test_the_share_of_bars_is_what_was_asked(share):
    for seed in range(20):
        carries = songs.structure(30, share, np.random.default_rng(seed))
        assert carries.sum() == max(2, round(share * 30))
        if share < 0.9:
            runs = np.diff(np.flatnonzero(np.diff(np.concatenate([[0], carries, [0]]))))[::2]
            assert runs.max() >= 2


def test_neutral_bars_are_the_same_whatever_the_style():
    """With no bar of their own two styles of one artist, drawn alike, are one song."""
    artist = songs.artist_of(settings(), 0)
    made = []
    for style in ("bossa", "rock"):  # both have bars of four beats
        random = np.random.default_rng(3)
        kit = {name: np.ones(10, np.float32) for name in ("kick", "snare", "rim", "hat")}
        y = np.zeros(80000, np.float32)
        songs._neutral_bar(y, 0, 11025.0, artist, kit, 50, random)
        made.append((style, y))
    np.testing.assert_array_equal(made[0][1], made[1][1])


def test_patterns_fit_their_bars():
    for name, style in songs.STYLES.items():
        for part in ("kick", "snare", "rim", "hat", "bass", "chord"):
            assert len(getattr(style, part)) == style.beats * style.steps_per_beat, (name, part)
    assert len(songs.STYLES) == 8


@pytest.mark.parametrize(
    "changes, message", [({"artists": 9}, "artists <= songs = 8 must hold"), ({"label": "genre"}, 'songs are labelled by "style"')]
)
def test_settings_that_cannot_be_met_are_refused(changes, message, tmp_path):
    with pytest.raises(UserError, match=message):
        songs.clips(settings(**changes), tmp_path)
