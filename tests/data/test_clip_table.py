"""Rows as a person wrote them become a clip table: names cleaned, cells typed, nobody's column overwritten."""

from pathlib import Path

import pytest

from audiomtl.data import clip_table


@pytest.mark.parametrize(
    "value",
    [
        "a.wav",
        "b/a.wav",
        "b/a",
        "b.c/a",
        "a.b.wav",
        "a.",
        "a..wav",
        ".a",
        ".a.wav",
        "b/.a",
        "./a.wav",
        "../a.wav",
        "b//a.wav",
        "b/./a.wav",
        "b/../a.wav",
        "/x/a.wav",
        "b/",
        "b/.",
        "ü ä/ö.x.flac",
        "a.w v",
        "..",
        ".",
        "a\nb.wav",
    ],
)
def test_paths_are_joined_as_pathlib_does(value):
    for root in (Path("/project/mine"), Path("/x")):
        path = Path(value)
        path = path.relative_to(root) if path.is_relative_to(root) else path
        assert clip_table._joined(value, root) == str(root / value)
        assert clip_table._stem(value, root) == str(path.with_suffix("") if path.name else path)
