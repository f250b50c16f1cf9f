"""A table of one's own: everything that is wrong is said at once, and what is skipped is counted."""

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from audiomtl.data import audio, catalog, files
from audiomtl.data.datasets import manifest
from audiomtl.data.datasets.manifest import Settings as Manifest
from audiomtl.errors import MissingData, UserError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with ``mine/`` of six recordings, one of them broken."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    for number in range(5):
        y = 0.1 * np.random.default_rng(number).standard_normal(8000 + 1000 * number)
        audio.save(tmp_path / "mine" / f"{number}.wav", y, sample_rate=8000)
    (tmp_path / "mine" / "broken.mp3").write_bytes(b"no sound at all" * 20)
    return tmp_path


def settings(**changes) -> Manifest:
    values = {
        "dataset": "manifest",
        "table": "mine/clips.csv",
        "label": "genre",
        "groups": ["artist"],
        "on_bad": "error",
    }
    return Manifest(**{**values, **changes})


def write(rows: dict, name: str = "mine/clips.csv") -> None:
    table = pd.DataFrame(rows)
    table.to_parquet(name) if name.endswith(".parquet") else table.to_csv(name, index=False)


def good() -> dict:
    return {
        "path": [f"{number}.wav" for number in (3, 0, 1)],
        "genre": ["rock", "jazz", "rock"],
        "artist": list("aab"),
        "year": [1, 2, 3],
    }


@pytest.mark.parametrize("name", ["mine/clips.csv", "mine/clips.parquet"])
def test_a_good_table_is_sorted_and_keeps_its_columns(folder, name):
    write(good(), name)
    table = manifest.clips(settings(table=name), folder)
    assert table["clip_id"].tolist() == ["0", "1", "3"] and table["year"].tolist() == [2, 3, 1]
    assert table["seconds"].tolist() == [1.0, 1.125, 1.375]
    assert all(Path(path).is_absolute() and Path(path).is_file() for path in table["path"])
    assert catalog.clips(settings(table=name))["clip_id"].tolist() == ["0", "1", "3"]


def bad() -> dict:
    (Path("mine") / "copy.wav").write_bytes((Path("mine") / "0.wav").read_bytes())
    y, rate = soundfile.read("mine/4.wav")
    soundfile.write("mine/cut.flac", y, rate)
    Path("mine/cut.flac").write_bytes(Path("mine/cut.flac").read_bytes()[:4000])
    paths = [
        "0.wav",
        "1.wav",
        "gone.wav",
        "broken.mp3",
        "1.wav",
        "copy.wav",
        "2.wav",
        None,
        "3.wav",
        "cut.flac",
    ]
    genres = ["rock", "jazz", "rock", "rock", "rock", "rock", None, "rock", "jazz", "rock"]
    ids = ["a", "b", "c", "d", "e", "f", "g", "h", "a", "i"]
    return {"clip_id": ids, "path": paths, "genre": genres, "artist": list("abcdefghij")}


def test_every_fault_is_listed_at_once_with_its_reason(folder):
    write(bad())
    with pytest.raises(UserError) as raised:
        manifest.clips(settings(), folder)
    text = str(raised.value)
    assert "8 of 10 rows are bad" in text and "\n" not in text
    for part in (
        "row 3: ",
        "gone.wav: no such file",
        "broken.mp3: cannot be read as sound",
        "1.wav is already in row 2",
        "copy.wav has the same content as row 1",
        "row 7: g: no genre",
        "row 8: no file is named",
        "row 9: clip_id a is already used in row 1",
        "cut.flac",
    ):
        assert part in text, part


def test_bad_rows_can_be_skipped_and_are_counted(folder, capsys):
    write(bad())
    table = manifest.clips(settings(on_bad="skip"), folder)
    assert table["clip_id"].tolist() == ["a", "b"]
    assert table.attrs["left_out"] == {"doubled": 3, "empty": 1, "missing": 2, "unreadable": 2}
    assert "8 of 10 rows are bad" in capsys.readouterr().out


def test_nothing_but_bad_rows_is_refused_even_so(folder):
    write({"path": ["gone.wav"], "genre": ["rock"], "artist": ["a"]})
    with pytest.raises(UserError, match="1 of 1 rows are bad"):
        manifest.clips(settings(on_bad="skip"), folder)


def test_arrays_are_clips_too(folder):
    for number in range(3):
        np.save(folder / "mine" / f"{number}.npy", np.ones((4, 2), np.float32) * number)
    np.save(folder / "mine" / "flat.npy", np.ones(3))
    np.save(folder / "mine" / "nan.npy", np.full((2, 2), np.nan))
    np.save(folder / "mine" / "complex.npy", np.ones((2, 2), complex))
    np.save(folder / "mine" / "objects.npy", np.array([[1, "a"]], dtype=object))
    np.savez(folder / "mine" / "many.npz", a=np.ones((2, 2)))
    (folder / "mine" / "text.npy").write_text("no array")
    (folder / "mine" / "empty.npy").write_bytes(b"")
    (folder / "mine" / "zip.npy").write_bytes(b"PK\x03\x04 no zip file")
    (folder / "mine" / "header.npy").write_bytes(
        b"\x93NUMPY\x01\x00\x76\x00" + b"{'descr': '<f4', 'shape': (3,".ljust(118)
    )
    broken = ["flat", "nan", "complex", "objects", "text", "empty", "zip", "header"]
    names = ["0.npy", "1.npy", "2.npy", "many.npz", *(f"{name}.npy" for name in broken)]
    write({"embedding_path": names, "genre": list("rjrjrj" * 2), "artist": list("abcdefghijkl")})
    table = manifest.clips(settings(on_bad="skip"), folder)
    assert table["clip_id"].tolist() == ["0", "1", "2"] and table["seconds"].isna().all()
    assert table.attrs["left_out"] == {"unreadable": 9}
    assert all(path.endswith(".npy") and Path(path).is_absolute() for path in table["path"])


def test_the_key_of_the_data_does_not_depend_on_where_it_is(folder, tmp_path_factory, monkeypatch):
    write(good())
    first = catalog.fingerprint(manifest.clips(settings(), folder))
    other = tmp_path_factory.mktemp("elsewhere")
    (folder / "mine").rename(other / "mine")
    monkeypatch.chdir(other)
    assert catalog.fingerprint(manifest.clips(settings(), other)) == first


@pytest.mark.parametrize(
    "ids, classes",
    [(["007", "08", "1e3"], ["01", "2", "2"]), (["NA", "nan", "null"], ["None", "n/a", "NULL"])],
)
def test_ids_and_classes_are_text_and_no_word_is_a_missing_value(folder, ids, classes):
    """`pandas` alone makes 7 of the id 007, and of the class None a missing value."""
    write(
        {"clip_id": ids, "path": ["0.wav", "1.wav", "2.wav"], "genre": classes, "artist": ["NA", "null", "x"]}
    )
    table = manifest.clips(settings(), folder)
    assert (
        table["clip_id"].tolist() == ids
        and table["genre"].tolist() == classes
        and table["artist"].tolist() == ["NA", "null", "x"]
    )


@pytest.mark.parametrize("name", ["mine/clips.csv", "mine/clips.parquet"])
@pytest.mark.parametrize(
    "column, reason",
    [("path", "no file is named"), ("genre", "no genre"), ("artist", "no artist"), ("clip_id", "no clip_id")],
)
@pytest.mark.parametrize("value", ["", " ", None])
def test_an_empty_cell_is_a_fault_of_its_row(folder, name, column, reason, value):
    rows = good() | {"clip_id": ["a", "b", "c"]}
    rows[column] = [rows[column][0], value, rows[column][2]]
    write(rows, name)
    with pytest.raises(UserError, match=f"1 of 3 rows are bad: row 2: .*{reason}"):
        manifest.clips(settings(table=name), folder)


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg"])
def test_a_recording_without_its_end_is_unreadable(folder, suffix):
    soundfile.write(f"mine/whole.{suffix}", 0.1 * np.random.default_rng(9).standard_normal(24000), 8000)
    Path(f"mine/cut.{suffix}").write_bytes(
        Path(f"mine/whole.{suffix}").read_bytes()[: 30000 if suffix == "wav" else 9000]
    )
    write({"path": [f"whole.{suffix}", f"cut.{suffix}"], "genre": ["a", "b"], "artist": ["a", "b"]})
    table = manifest.clips(settings(on_bad="skip"), folder)
    assert table["clip_id"].tolist() == ["whole"]
    assert table["seconds"].iloc[-1] == pytest.approx(3.0, abs=0.2)


def test_absolute_paths_in_the_folder_of_the_table_give_the_ids_of_relative_ones(folder):
    (folder / "mine" / "more").mkdir()
    (folder / "mine" / "0.wav").rename(folder / "mine" / "more" / "a.b.wav")
    write(
        {
            "path": [str(folder / "mine" / "more" / "a.b.wav"), "1.wav"],
            "genre": ["a", "b"],
            "artist": ["a", "b"],
        }
    )
    assert manifest.clips(settings(), folder)["clip_id"].tolist() == ["1", "more/a.b"]


def test_two_recordings_with_the_same_stem_are_two_songs_with_one_id(folder):
    soundfile.write("mine/0.flac", np.full(8000, 0.1), 8000)
    write({"path": ["0.wav", "0.flac", "."], "genre": ["a", "b", "a"], "artist": ["a", "b", "c"]})
    with pytest.raises(
        UserError,
        match=(
            r"2 of 3 rows are bad: row 2: clip_id 0 is already used in row 1; row 3: .*mine: no such file"
        ),
    ):
        manifest.clips(settings(), folder)


def test_only_ten_of_many_faults_are_named(folder):
    write(
        {"path": [f"gone{number:02}.wav" for number in range(15)], "genre": ["a"] * 15, "artist": ["a"] * 15}
    )
    with pytest.raises(
        UserError, match=r"15 of 15 rows are bad: row 1: .*gone09.wav: no such file; and 5 more; fix them"
    ):
        manifest.clips(settings(), folder)


@pytest.mark.parametrize(
    "rows, changes, error, message",
    [
        (good(), {"table": "none.csv"}, MissingData, r'data.table = "none.csv": no such file'),
        (
            good(),
            {"label": "genres"},
            UserError,
            r'data.label = "genres": no such column; did you mean genre',
        ),
        (good(), {"groups": ["singer"]}, UserError, r'data.groups = "singer": no such column'),
        (
            {"file": ["a"], "genre": ["b"]},
            {},
            UserError,
            "needs a column path, array_path or embedding_path, but has file, genre; data.path_column names another",
        ),
    ],
)
def test_a_table_that_does_not_fit_is_refused(folder, rows, changes, error, message):
    write(rows)
    with pytest.raises(error, match=message):
        manifest.clips(settings(**changes), folder)


def test_a_file_that_is_no_table_is_refused(folder):
    Path("mine/clips.parquet").write_text("no parquet")
    with pytest.raises(UserError, match="cannot be read as CSV or Parquet"):
        manifest.clips(settings(table="mine/clips.parquet"), folder)


def save_clips(folder: Path, **changes) -> None:
    """The arrays of the multi-task article, small."""
    shapes = {"audio": (4, 8, 6, 1), "text": (4, 10), "mel": (4, 8, 6), "score": (4, 5)}
    found = {name: np.arange(np.prod(shape)).reshape(shape) for name, shape in shapes.items()}
    np.savez(folder / "mine" / "clips.npz", **{**found, **changes})


def test_rows_of_one_file_of_arrays_are_clips(folder):
    save_clips(folder)
    write(
        {"array_path": ["clips.npz"] * 3, "array_row": [2, 0, 3], "genre": list("rjr"), "artist": list("abc")}
    )
    table = manifest.clips(settings(), folder)
    assert table["clip_id"].tolist() == ["clips/0", "clips/2", "clips/3"] and table["array_row"].tolist() == [
        0,
        2,
        3,
    ]
    found = manifest.arrays(table["path"][0])
    assert list(found) == ["audio", "text", "mel", "score"] and found["text"][2].tolist() == list(
        range(20, 30)
    )


def test_rows_that_a_file_of_arrays_does_not_have_are_refused(folder):
    save_clips(folder)
    np.savez(folder / "mine" / "unlike.npz", a=np.ones(3), b=np.ones(2))
    rows = [0, 4, -1, 0, 1.5, 0]
    names = ["clips.npz"] * 5 + ["unlike.npz"]
    write({"array_path": names, "array_row": rows, "genre": list("rjrjrj"), "artist": list("abcdef")})
    kept = manifest.clips(settings(on_bad="skip"), folder)
    assert (
        kept["clip_id"].tolist() == ["clips/0"]
        and kept["array_row"].tolist() == [0]
        and kept["array_row"].dtype.kind == "i"
    )
    with pytest.raises(UserError) as error:
        manifest.clips(settings(), folder)
    text = str(error.value)
    assert "5 of 6 rows are bad" in text and "array_row must be a whole number from 0 to 3, but is 4;" in text
    assert "row 4: " in text and "is already in row 1" in text and "a 3, b 2" in text


def test_the_articles_pickled_dict_is_refused_with_the_line_that_converts_it(folder):
    old = folder / "mine" / "multi-task.npy"
    arrays = {"audio": np.zeros((2, 3)), "text": np.ones((2, 1), int)}
    np.save(old, np.array(arrays, dtype=object))
    with pytest.raises(UserError, match=r"multi-task\.npy: contains pickled objects") as error:
        manifest.arrays(old)
    line = str(error.value).split("once: ")[1].replace('"multi', f'"{old.parent}/multi')
    exec(line, {"np": np})
    assert {name: array.tolist() for name, array in manifest.arrays(old.with_suffix(".npz")).items()} == {
        "audio": [[0, 0, 0], [0, 0, 0]],
        "text": [[1], [1]],
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mel": np.ones(3)}, "must have one row per clip, but have: audio 4, text 4, mel 3, score 4"),
        ({"mel": np.full(4, np.nan)}, "mel has values that are not finite"),
        ({"mel": np.array(list("abcd"))}, "mel must contain numbers, one row per clip, but has <U1"),
        ({"mel": np.array(list("abcd"), dtype=object)}, "contains pickled objects"),
        (
            {"mel": np.float32(1)},
            r"mel must contain numbers, one row per clip, but has float32 of shape \(\)",
        ),
    ],
)
def test_arrays_that_are_no_clips_are_refused(folder, changes, message):
    save_clips(folder, **changes)
    with pytest.raises(UserError, match=rf"clips\.npz: .*{message}"):
        manifest.arrays(folder / "mine" / "clips.npz")


def test_one_array_has_the_name_of_its_file_and_what_is_none_is_refused(folder):
    np.save(folder / "mine" / "mel.npy", np.ones((2, 3)))
    assert manifest.arrays(folder / "mine" / "mel.npy")["mel"].shape == (2, 3)
    for content in (b"", b"no array", b"PK\x03\x04 no zip file"):
        (folder / "mine" / "mel.npy").write_bytes(content)
        with pytest.raises(UserError, match=r"mel\.npy: cannot be read as \.npz or \.npy"):
            manifest.arrays(folder / "mine" / "mel.npy")
    np.savez(folder / "mine" / "none.npz")
    with pytest.raises(UserError, match=r"none\.npz: .*no array"):
        manifest.arrays(folder / "mine" / "none.npz")
    with pytest.raises(UserError, match="no such file"):
        manifest.arrays(folder / "mine" / "gone.npz")


# ---------------------------------------------------------------- the index of its files


def forget() -> None:
    files._indexes.clear()
    files._read_here.clear()


@pytest.fixture
def read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What is hashed and decoded, by a process that knows nothing and whose clock is two hours ahead."""
    names: list[str] = []
    file_digest, seconds, rows = hashlib.file_digest, manifest._seconds, manifest._rows

    def hashed(file, name):
        names.append(f"hash {Path(file.name).name}")
        return file_digest(file, name)

    monkeypatch.setattr(hashlib, "file_digest", hashed)
    monkeypatch.setattr(
        manifest,
        "_seconds",
        lambda path, source: (names.append(f"decode {Path(path).name}"), seconds(path, source))[1],
    )
    monkeypatch.setattr(
        manifest, "_rows", lambda path: (names.append(f"rows {Path(path).name}"), rows(path))[1]
    )
    monkeypatch.setattr(time, "time_ns", lambda now=time.time_ns: now() + 7200 * 10**9)
    forget()
    yield names
    forget()


@pytest.mark.parametrize("rows", [good, bad])
def test_a_second_training_reads_no_file(folder, read, rows):
    write(rows())
    first = manifest.clips(settings(on_bad="skip"), folder)
    key, before = catalog.fingerprint(first), list(read)
    assert before.count("hash 0.wav") == before.count("decode 0.wav") == 1
    forget()
    again = catalog.clips(settings(on_bad="skip"))
    pd.testing.assert_frame_equal(first, again)
    assert first.attrs == again.attrs and catalog.fingerprint(again) == key and read == before


def test_only_a_file_that_changed_is_read_again(folder, read):
    write(good())
    before = catalog.fingerprint(manifest.clips(settings(), folder))
    read.clear()
    forget()
    y, rate = soundfile.read("mine/1.wav")
    audio.save(folder / "mine" / "1.wav", y[::-1].astype(np.float32), sample_rate=rate)
    table = manifest.clips(settings(), folder)
    assert catalog.fingerprint(table) != before and sorted(read) == ["decode 1.wav", "hash 1.wav"]
    (folder / "mine" / "1.wav").write_bytes(b"no sound any more")
    with pytest.raises(UserError, match=r"1 of 3 rows are bad: row 3: .*1\.wav: cannot be read as sound"):
        manifest.clips(settings(), folder)


def test_rows_of_arrays_are_counted_once(folder, read):
    np.savez(folder / "mine" / "many.npz", a=np.ones((3, 2)), b=np.zeros((3, 4)))
    write(
        {"array_path": ["many.npz"] * 3, "array_row": [0, 1, 2], "genre": list("rjr"), "artist": list("aab")}
    )
    for _ in range(2):
        forget()
        table = manifest.clips(settings(), folder)
        assert table["array_row"].tolist() == [0, 1, 2] and table["seconds"].isna().all()
    assert sorted(read) == ["hash many.npz", "rows many.npz"]


def test_the_table_itself_is_in_the_signature(folder):
    write(good())
    before = catalog.signature(catalog.clips(settings()))
    write({**good(), "year": [1, 2, 4]})
    assert catalog.signature(catalog.clips(settings())) != before
