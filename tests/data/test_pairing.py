"""Annotation files and their recordings, by name."""

from pathlib import Path

import pytest

from audiomtl.data import files, pairing


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["a.wav", "a.phn", "b.wav"], {"*.phn": {"a": "a.phn"}}),
        (["a.WAV", "A.PHN"], {"*.phn": {"a": "A.PHN"}}),
        (["s/a.wav", "t/a.wav", "s/a.phn", "t/a.phn"], {"*.phn": {"s/a": "s/a.phn", "t/a": "t/a.phn"}}),
        (["w/s/a.wav", "w/t/a.wav", "l/s/a.lab", "l/t/a.lab"], {"l/*.lab": {"w/s/a": "l/s/a.lab", "w/t/a": "l/t/a.lab"}}),
        (["w/a.wav", "l/a.lab"], {"l/*.lab": {"w/a": "l/a.lab"}}),
        (["w/a.wav", "w/a_b.wav", "l/a_b_1.lab", "l/a_1.lab"], {"l/*_1.lab": {"w/a": "l/a_1.lab", "w/a_b": "l/a_b_1.lab"}}),
        (["a.wav", "a.words.txt", "a.txt"], {"*.txt": {"a": "a.txt"}, "*.words.txt": {"a": "a.words.txt"}}),
        (["a.wav", "ab.txt", "README.txt", ".hidden/a.txt", "a.md"], {}),
        (["s/a.wav", "t/a.wav", "l/a.lab"], {}),
        (["a.wav", "b.wav", "all.ctm"], {"all.ctm": {"a": "all.ctm", "b": "all.ctm"}}),
        (["a b.flac", "a b (notes).csv"], {"* (notes).csv": {"a b": "a b (notes).csv"}}),
    ],
)  # fmt: skip
def test_names_pair(names, wanted, tmp_path: Path):
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    below = files.below(tmp_path)
    sounds = pairing.recordings(below)
    found = pairing.pairs(tmp_path, below, sounds)
    stems = [sound.relative_to(tmp_path).with_suffix("").as_posix() for sound in sounds]
    assert {
        pattern: {stems[number]: path.relative_to(tmp_path).as_posix() for number, path in own.items()}
        for pattern, own in found.by_pattern.items()
    } == wanted
    assert found.unread == ((".md",) if "a.md" in names else ())


def test_links_are_followed_once(tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.wav").write_text("")
    (tmp_path / "mine" / "x.wav").mkdir(parents=True)
    (tmp_path / "mine" / "cat").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "again").symlink_to(tmp_path / "mine")
    (tmp_path / "mine" / "gone.wav").symlink_to(tmp_path / "none")
    assert files.below(tmp_path / "mine") == [tmp_path / "mine" / "cat" / "a.wav"]
