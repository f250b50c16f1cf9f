"""File names and cells that are made from other people's text."""

import os

import hypothesis.strategies as st
import pytest
from hypothesis import given

from audiomtl.data.files import csv_text, safe_name


@pytest.mark.parametrize("text", ["clip_01", "ümlaut", "a b", "song-3.take=2", "日本", "1"])
def test_an_ordinary_name_stays(text) -> None:
    assert safe_name(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "/../../x",
        "..",
        ".",
        "",
        "a/b",
        "a\\b",
        "\0",
        "-rf",
        ".hidden",
        "a\nb",
        "C:x",
        "x" * 300,
        "$$",
        "trailing.",
    ],
)
def test_any_other_text_becomes_one_plain_part_of_a_path(text, tmp_path) -> None:  # fmt: skip
    name = safe_name(text)
    path = tmp_path / f"heard_{name}.png"
    path.write_bytes(b"")
    assert path.parent == tmp_path and os.listdir(tmp_path) == [path.name]
    assert name != text and name[0] not in ".-" and name.isprintable()


@given(st.text())
def test_a_name_is_never_a_path(text) -> None:
    name = safe_name(text)
    assert name not in ("", ".", "..") and os.path.basename(name) == name
    assert not set(name) & set('/\\\0\n:*?"<>|') and len(os.fsencode(name)) <= 120


@given(st.text(), st.text())
def test_two_texts_have_two_names(one, other) -> None:
    assert (safe_name(one) == safe_name(other)) == (one == other)


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=cmd()", "'=cmd()"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-2+3+cmd", "'-2+3+cmd"),
        ("\tx", "'\tx"),
        ("-0.5", "-0.5"),
        ("+1e-3", "+1e-3"),
        ("-", "-"),
        ("dog", "dog"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_a_cell_is_no_formula(text, cell) -> None:
    assert csv_text(text) == cell
