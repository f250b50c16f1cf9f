"""Pronunciation: espeak-ng's languages, and dictionaries of one's own."""

from pathlib import Path

import pytest

from audiomtl.data import pronunciation
from audiomtl.data.corpora import german_speech
from audiomtl.data.pronunciation import check_language, pronounce, read_dictionary
from audiomtl.errors import UserError


def test_words_have_the_phones_that_are_spoken_in_german_speech() -> None:
    words = ["heute", "straße", "mutter", "ernst", "über", "euch", "zwölf"]
    said = [
        [german_speech.MERGED.get(phone, phone) for phone in one.phones] for one in pronounce("de", words)
    ]
    assert said == german_speech.pronounced(words)


@pytest.mark.parametrize(
    ("language", "word", "phones"),
    [
        ("en-us", "hello", "h ə l oʊ"),
        ("fr-fr", "bonjour", "b ɔ̃ ʒ u ʁ"),
        ("Spanish", "casa", "k a s a"),
        ("hi", "नमस्ते", "n ə m ʌ s t eː"),
        ("cmn", "你好", "n i2 χ ɑu2"),  # tones are part of a phone
    ],
)
def test_every_language_has_its_own_phones(language: str, word: str, phones: str) -> None:
    [spoken] = pronounce(language, [word])
    assert " ".join(spoken.phones) == phones and not spoken.foreign


def test_a_word_of_another_script_is_marked_foreign() -> None:
    first, second = pronounce("de", ["नमस्ते", "hallo"])
    assert (first.foreign, second.foreign) == ("hi", "")


def test_an_order_of_words_changes_no_phones() -> None:
    words = ["eins", "zwei", "drei", "eins"]
    assert pronounce("de", words) == pronounce("de", words[::-1])[::-1]


@pytest.mark.parametrize(
    ("language", "voice"),
    [("de", "de"), ("DE", "de"), ("German", "de"), ("en_US", "en-US"), ("en-gb", "en"), ("de+f2", "de")],
)
def test_a_language_is_found_by_code_or_name(language: str, voice: str) -> None:
    assert check_language(language, "--language") == voice


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("germn", "did you mean german?"),
        ("deu", "did you mean de?"),
        ("en-xx", "did you mean en?"),
        ("", "it has 1"),
        ("qqqqqq", "it has 1"),
    ],
)
def test_an_unknown_language_is_refused_with_the_closest(language: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        check_language(language, "--language")
    assert str(caught.value).startswith(f'--language = "{language}": espeak-ng has no such language')
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_without_espeak_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pronunciation, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'audiomtl\[corpora\]'"):
        check_language("de", "text.language")


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("a\tb c\n", {"a": ("b", "c")}),
        ("\ufeffHello\th ə\n\n# remark\n;;; remark\n", {"hello": ("h", "ə")}),
        ("HOUSE  HH AW1 S\nHOUSE(2)  HH AW1 Z\n", {"house": ("HH", "AW1", "S")}),
        ("the\t0.99\t0.3\tð ə\nthe\t0.01\tð iː\n", {"the": ("ð", "ə")}),
        ("Zoe\u0308\tz o\r\n", {"zoë": ("z", "o")}),
        ("auf wiedersehen\ta f\n", {"auf wiedersehen": ("a", "f")}),
    ],
)
def test_a_dictionary_gives_the_first_pronunciation(
    tmp_path: Path, text: str, entries: dict[str, tuple[str, ...]]
) -> None:
    (tmp_path / "a.dict").write_text(text, encoding="utf-8")
    assert read_dictionary(tmp_path / "a.dict") == entries


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a\tb\nword\n", 'line 2 is "word": must be a word, a tab, and its phones'),
        (b"a\tb\nword\t\n", 'line 2 is "word"'),
        (b"\tb c\n", 'line 1 is "b c"'),
        (b"a\t_ b\n", 'line 1: the phone "_" of a is reserved for pauses'),
        (b"", "contains no entries"),
        (b"# only remarks\n", "contains no entries"),
        (b"a\t\xfc\n", "byte 2 is not UTF-8"),
        (None, "cannot be read (No such file or directory)"),
    ],
)
def test_a_bad_dictionary_is_refused_with_its_line(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "a.dict"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_dictionary(path)
    assert f'text.dictionary = "{path}"' in str(caught.value) and words in str(caught.value)
    assert "\n" not in str(caught.value)
