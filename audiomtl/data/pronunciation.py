"""Words to phones: by espeak-ng, in each of its languages, and by a pronouncing dictionary.

espeak-ng comes with the package `espeakng-loader` (the extra ``corpora``); it is GPL-3 and used as a tool
only. A child process loads it once per call, so that nothing it keeps or prints reaches the caller. Nothing
is synthesized: 10,000 words take about half a second.

Conventions: a phone is espeak-ng's IPA name without stress marks; tones of tonal languages stay part of it. A
word is pronounced by itself, whatever stands beside it.

Contents: `languages`, `check_language`, `Spoken`, `pronounce`, `read_dictionary`.
"""

import ctypes
import difflib
import json
import os
import re
import subprocess
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from audiomtl.errors import UserError

# Numbers of speak_lib.h
SYNCHRONOUS, DO_NOT_EXIT, UTF8, IPA = 2, 0x8000, 1, 0x02
SEPARATOR = "\t"  # between the phones of a word
STRESS = str.maketrans("", "", "ˈˌ")
NAMED = 8  # languages that a message names


@dataclass(frozen=True)
class Spoken:
    """One word as espeak-ng says it."""

    phones: tuple[str, ...]
    foreign: str = ""  # language in which it says the word instead, "" for the wanted one


def languages() -> dict[str, str]:
    """{name in lower case: voice of espeak-ng} of every language: its code, its alternative codes, its name.

    Raises
    ------
    UserError : espeakng-loader is not installed.
    """
    return dict(_languages(str(_data())))


def check_language(language: str, setting: str) -> str:
    """The voice of espeak-ng for a language.

    Parameters
    ----------
    language : a code such as "de" or "en-us", or a name such as "German"; a variant ("de+f2") is ignored.
    setting : what the message calls it: ``text.language``, ``--language``.

    Raises
    ------
    UserError : espeak-ng has no such language; the text suggests the closest one.
    """
    known = languages()
    name = unicodedata.normalize("NFC", language.partition("+")[0].strip().lower())
    voice = known.get(name) or known.get(name.replace("_", "-"))
    if voice is None:
        raise UserError(
            f'{setting} = "{language}": espeak-ng has no such language{_suggested(language, known)}'
        )
    return voice


def pronounce(language: str, words: Sequence[str], *, setting: str = "text.language") -> list[Spoken]:
    """Phones of each word, none for one that cannot be pronounced.

    Raises
    ------
    UserError : an unknown language; espeakng-loader is not installed.
    RuntimeError : espeak-ng crashed; the text carries what it wrote.
    """
    voice = check_language(language, setting)
    once = tuple(sorted(set(words)))
    known = dict(zip(once, _pronounced(voice, once), strict=True))
    return [known[word] for word in words]


def read_dictionary(path: str | Path, *, setting: str = "text.dictionary") -> dict[str, tuple[str, ...]]:
    """{word in lower case: phones} of a pronouncing dictionary; of several pronunciations the first.

    A line is a word, a tab, and phones separated by spaces. Without a tab the first space ends the word;
    columns between the two (probabilities, as the Montreal Forced Aligner writes them) are skipped, and so
    are empty lines and those that begin with ``#`` or ``;;;``. ``WORD(2)`` is another pronunciation of WORD.

    Raises
    ------
    UserError : no such file, no UTF-8, no entries, a line without phones.
    """
    place, found = Path(path), dict[str, tuple[str, ...]]()
    try:
        text = place.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f'{setting} = "{path}": cannot be read ({error.strerror})') from None
    except UnicodeDecodeError as error:
        raise UserError(
            f'{setting} = "{path}": byte {error.start} is not UTF-8; save the dictionary as UTF-8'
        ) from None
    for number, line in enumerate(unicodedata.normalize("NFC", text).splitlines(), start=1):
        if not line.strip() or line.startswith(("#", ";;;")):
            continue
        columns = line.split("\t") if "\t" in line else line.split(maxsplit=1)
        word, phones = columns[0].strip(), tuple(columns[-1].split()) if len(columns) > 1 else ()
        if not word or not phones:
            raise UserError(
                f'{setting} = "{path}": line {number} is "{line.strip()[:60]}": must be a word, a tab, and'
                " its phones separated by spaces"
            )
        if "_" in phones:
            raise UserError(
                f'{setting} = "{path}": line {number}: the phone "_" of {word} is reserved for pauses; rename'
                " it"
            )
        found.setdefault(re.sub(r"\(\d+\)$", "", word).lower(), phones)
    if not found:
        raise UserError(f'{setting} = "{path}": contains no entries; each line is a word, a tab, and phones')
    return found


# ---------------------------------------------------------------- espeak-ng


def _data() -> Path:
    if find_spec("espeakng_loader") is None:
        raise UserError(
            "espeakng-loader, which pronounces words, is not installed: run `pip install"
            " 'audiomtl[corpora]'`, or use text.dictionary or text.units = \"letters\""
        )
    import espeakng_loader

    return Path(espeakng_loader.get_data_path())


@lru_cache(maxsize=1)
def _languages(data: str) -> tuple[tuple[str, str], ...]:
    """(name, voice) of every language: of names that two share the one of the best priority."""
    ranked: dict[str, tuple[int, str]] = {}
    for path in sorted(path for path in (Path(data) / "lang").rglob("*") if path.is_file()):
        lines = [line.split() for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
        own = [(-1, path.name)]
        for key, *rest in filter(None, lines):
            if key == "language" and rest:
                own.append((int(rest[1]) if len(rest) > 1 and rest[1].isdigit() else 5, rest[0]))
            elif key == "name" and rest:
                full = " ".join(rest)
                own += [(9, full), (10, full.partition(" (")[0])]  # "Spanish (Spain)" is Spanish, too
        for rank, name in own:
            entry = (rank, path.name)
            ranked[name.lower()] = min(ranked.get(name.lower(), entry), entry)
    return tuple(sorted((name, voice) for name, (_, voice) in ranked.items()))


def _suggested(language: str, known: dict[str, str]) -> str:
    wanted = language.strip().lower().replace("_", "-")
    # "deu" is de, "en-xx" is en
    beginnings = [name for name in (wanted.split("-")[0], wanted[:2]) if name in known]
    near = beginnings or difflib.get_close_matches(wanted, known, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]}?"
    codes = sorted({voice for voice in known.values()})
    return f"; it has {len(codes)}, such as {', '.join(codes[:: max(1, len(codes) // NAMED)][:NAMED])}"


@lru_cache(maxsize=64)
def _pronounced(voice: str, words: tuple[str, ...]) -> tuple[Spoken, ...]:
    # the folder of the package, for a child that starts in any directory
    root = str(Path(__file__).parents[2])
    paths = [root, *(os.path.abspath(path) for path in sys.path if path)]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONSAFEPATH": "1",
        "LC_ALL": "C.UTF-8",
    }
    child = subprocess.run(
        [sys.executable, "-m", "audiomtl.data.pronunciation"],
        input=json.dumps([voice, words]).encode(),
        capture_output=True,
        env=environment,
    )
    if child.returncode:
        said = " ".join(child.stderr.decode(errors="replace").split())
        raise RuntimeError(f"espeak-ng exited with status {child.returncode}: {said[-500:]}")
    return tuple(_spoken(text) for text in json.loads(child.stdout))


def _spoken(text: str) -> Spoken:
    """Read ``h<tab>ˈɛ<tab>l<tab>oː``; ``(en)`` says that espeak-ng goes on in that language."""
    parts = text.translate(STRESS).split()
    switches = [part[1:-1] for part in parts if part.startswith("(")]
    phones = tuple(part for part in parts if not part.startswith("("))
    return Spoken(phones, switches[0] if switches else "")


def _answer() -> None:
    """Read [voice, words] from standard input and write their phones to standard output, both as JSON."""
    import espeakng_loader

    answers = os.dup(1)
    os.dup2(2, 1)  # what the library may print must not get between the answers
    voice, words = json.loads(sys.stdin.buffer.read())
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    options = [SYNCHRONOUS, 0, str(_data()).encode(), DO_NOT_EXIT]
    if library.espeak_Initialize(*options) <= 0 or library.espeak_SetVoiceByName(voice.encode()):
        raise RuntimeError(f"espeak-ng has no voice {voice}")
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    library.espeak_TextToPhonemes.argtypes = [ctypes.POINTER(ctypes.c_void_p), ctypes.c_int, ctypes.c_int]
    mode = IPA | (ord(SEPARATOR) << 8)
    found = []
    for word in words:
        letters = ctypes.create_string_buffer(word.encode())
        place, parts = ctypes.c_void_p(ctypes.addressof(letters)), []
        while place.value:  # clause by clause
            parts.append((library.espeak_TextToPhonemes(ctypes.byref(place), UTF8, mode) or b"").decode())
        found.append(SEPARATOR.join(parts))
    with os.fdopen(answers, "wb") as out:
        out.write(json.dumps(found).encode())


if __name__ == "__main__":
    _answer()
