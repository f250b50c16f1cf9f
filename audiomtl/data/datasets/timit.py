"""TIMIT: read American English, phones and words with hand-set times; the full corpus or the sample that NLTK
distributes.

Source: Garofolo et al., "DARPA TIMIT acoustic-phonetic continuous speech corpus", 1993
(https://catalog.ldc.upenn.edu/LDC93S1). Layouts: ``TRAIN|TEST/DRn/SPEAKER/SENTENCE.{WAV,PHN,WRD,TXT}``, and
``drN-speaker/sentence.{wav,phn,wrd,txt}`` (the sample, 120 utterances), in any mixture of upper and lower
case: copies of the corpus differ in that, and some have a ``SENTENCE.WAV.wav`` beside each ``SENTENCE.WAV``
(the same sound as RIFF), which is left alone. Times in the label files are samples. Recordings are RIFF or
uncompressed NIST SPHERE.

The 61 symbols become 39 as in Lee and Hon, "Speaker-independent phone recognition using hidden Markov
models", 1989 (`FOLDED`): closures, pauses and the begin and end markers are silence, `sil`; a glottal stop
`q` is no phone of its own: its time goes to the segment before it. Silences in a row become one, and the last
one lasts to the end of the sound. Other equal phones in a row stay two.

`sa1` and `sa2` are read by every speaker: with ``groups = ["speaker", "sentence"]`` they tie all speakers
together, so a split that keeps them is refused; ``sa_sentences = "drop"``, as is usual, leaves them out.

Contents: `clips`, `FOLDED`, `PHONES`, `SILENCE`, `CORE_TEST`, `DEVELOPMENT`.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import Field

from audiomtl.data import audio
from audiomtl.data.subset import keeps
from audiomtl.errors import MissingData, UserError
from audiomtl.settings.clips import DataSet


class Settings(DataSet):
    """``[data]`` of the data set."""

    sa_sentences: Literal["drop", "keep"] = Field(
        description="Whether to keep or drop the sentences sa1 and sa2, which every speaker reads."
    )


# fmt: off
COLUMNS = [
    "clip_id", "path", "speaker", "sex", "dialect", "part", "side", "sentence", "text", "seconds",
    "phones", "starts", "ends", "words", "word_starts", "word_ends",
]
# fmt: on
# the 24 speakers of the core test set (testset.doc of the corpus), and 50 others of its test part on which
# phone recognisers are tuned since Halberstadt, "Heterogeneous acoustic measurements and multiple
# classifiers for speech recognition", 1998
# fmt: off
CORE_TEST = (
    "mdab0", "mwbt0", "felc0", "mtas1", "mwew0", "fpas0", "mjmp0", "mlnt0", "fpkt0", "mlll0", "mtls0",
    "fjlm0", "mbpm0", "mklt0", "fnlp0", "mcmj0", "mjdh0", "fmgd0", "mgrt0", "mnjm0", "fdhc0", "mjln0",
    "mpam0", "fmld0",
)
DEVELOPMENT = (
    "faks0", "fdac1", "fjem0", "mgwt0", "mjar0", "mmdb1", "mmdm2", "mpdf0", "fcmh0", "fkms0", "mbdg0",
    "mbwm0", "mcsh0", "fadg0", "fdms0", "fedw0", "mgjf0", "mglb0", "mrtk0", "mtaa0", "mtdt0", "mthc0",
    "mwjg0", "fnmr0", "frew0", "fsem0", "mbns0", "mmjr0", "mdls0", "mdlf0", "mdvc0", "mers0", "fmah0",
    "fdrw0", "mrcs0", "mrjm4", "fcal1", "mmwh0", "fjsj0", "majc0", "mjsw0", "mreb0", "fgjd0", "fjmg0",
    "mroa0", "mteb0", "mjfc0", "mrjr0", "fmml0", "mrws1",
)
# fmt: on
SILENCE = "sil"
PAUSES = (SILENCE,)  # that no phone error rate counts
GLOTTAL_STOP = "q"
# fmt: off
FOLDED = {
    "ao": "aa", "ax": "ah", "ax-h": "ah", "axr": "er", "hv": "hh", "ix": "ih", "el": "l", "em": "m",
    "en": "n", "nx": "n", "eng": "ng", "zh": "sh", "ux": "uw",
} | dict.fromkeys(("pcl", "tcl", "kcl", "bcl", "dcl", "gcl", "h#", "pau", "epi"), SILENCE)
PHONES = (  # the 39
    "aa", "ae", "ah", "aw", "ay", "b", "ch", "d", "dh", "dx", "eh", "er", "ey", "f", "g", "hh", "ih", "iy",
    "jh", "k", "l", "m", "n", "ng", "ow", "oy", "p", "r", "s", "sh", SILENCE, "t", "th", "uh", "uw", "v", "w",
    "y", "z",
)
# fmt: on
DIALECT = re.compile(r"dr\d+")
SAMPLE = re.compile(r"dr\d+-.+")  # folder of a speaker


def clips(data: Settings, folder: Path) -> pd.DataFrame:
    """The clip table.

    Parameters
    ----------
    data : ``sa_sentences`` says whether `sa1` and `sa2` are kept.
    folder : data root with ``timit/`` (or ``TIMIT/``) in it, or the data set itself.

    Returns
    -------
    DataFrame sorted by ``clip_id`` ("dr1-fvmh0-sx206"): path, speaker ("fvmh0"), sex ("f", "m"), dialect
    ("dr1"), part ("train", "test", or "sample"), side (of the full corpus, for ``protocol.column``: "train";
        of its part "test" the core test set is "test", the 50 speakers on which recognisers are tuned are
        "validation", and the others "rest", as the sample is), sentence ("sx206"), text, seconds, phones,
        starts, ends, words, word_starts, word_ends
        (lists, seconds). ``attrs["left_out"]`` counts the `sa` sentences that were dropped.

    Raises
    ------
    MissingData : no such folder, or no recordings in it.
    UserError : two files whose names differ only by case; a label file that is missing or has a line that is
        none, an unknown symbol, times that do not follow one another or start after the sound; a recording
        that is compressed or cannot be read.
    """
    found = _recordings(folder)
    if not found:
        raise MissingData(
            f"TIMIT is not in {folder / 'timit'}: put TRAIN/ and TEST/ (DR1/FCJF0/SA1.WAV ...) there,"
            " published at https://catalog.ldc.upenn.edu/LDC93S1, or the sample (dr1-fvmh0/sa1.wav ...),"
            " NLTK's package timit"
        )
    found = [wav for wav in found if keeps(data.subset, _named(wav))]
    kept = [one for one in found if data.sa_sentences == "keep" or not one.stem.lower().startswith("sa")]
    table = pd.DataFrame([_row(wav) for wav in kept], columns=COLUMNS).sort_values(
        "clip_id", ignore_index=True
    )
    table.attrs["left_out"] = {"sa_sentences": len(found) - len(kept)} if len(found) > len(kept) else {}
    return table


def _recordings(folder: Path) -> list[Path]:
    """Recordings of the first folder that has some: one named timit, or the folder itself."""
    named = [one for one in _entries(folder) if one.name.casefold() == "timit"]
    for root in (*sorted(named, reverse=True), folder):  # "timit" first
        found = [
            wav
            for one in _entries(root)
            if one.name.casefold() in ("train", "test")
            for dialect in _entries(one)
            if DIALECT.fullmatch(dialect.name.casefold())
            for speaker in _entries(dialect)
            for wav in _entries(speaker)
        ]
        found += [
            wav for one in _entries(root) if SAMPLE.fullmatch(one.name.casefold()) for wav in _entries(one)
        ]
        found = [wav for wav in found if wav.suffix.casefold() == ".wav"]
        names = {str(wav) for wav in found}
        if found := [wav for wav in found if str(wav.with_suffix("")) not in names]:
            _refuse_variants(found)
            return sorted(found)
    return []


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _refuse_variants(paths: Iterable[Path]) -> None:
    """Refuse files that would be one where case does not count."""
    seen: dict[str, Path] = {}
    for path in paths:
        before = seen.setdefault(str(path).casefold(), path)
        if before != path:
            raise UserError(
                f"{before} and {path}: the names differ only by case, but a recording must be there once;"
                " remove one"
            )


def _named(wav: Path) -> dict[str, object]:
    """What a recording's name and folder say."""
    whole = not SAMPLE.fullmatch(wav.parent.name.casefold())
    dialect, speaker = (wav.parent.parent.name, wav.parent.name) if whole else wav.parent.name.split("-", 1)
    part = wav.parent.parent.parent.name.lower() if whole else "sample"
    return {
        "clip_id": f"{dialect}-{speaker}-{wav.stem}".lower(),
        "path": str(wav.absolute()),
        "speaker": speaker.lower(),
        "sex": speaker[0].lower(),
        "dialect": dialect.lower(),
        "part": part,
        "side": "train" if part == "train" else _side(speaker.lower()) if part == "test" else "rest",
        "sentence": wav.stem.lower(),
    }


def _side(speaker: str) -> str:
    """Of a speaker in the test part."""
    return "test" if speaker in CORE_TEST else "validation" if speaker in DEVELOPMENT else "rest"


def _row(wav: Path) -> dict[str, object]:
    heard = audio.info(wav)
    phones, starts, ends = _phones(_labels(wav, "PHN"), heard, wav)
    words = _labels(wav, "WRD")
    row = _named(wav) | {
        "text": " ".join(" ".join(label for *_, label in _labels(wav, "TXT")).split()),
        "seconds": heard.seconds,
    }
    row |= {"phones": phones, "starts": starts, "ends": ends, "words": [word for *_, word in words]}
    return row | {
        "word_starts": [first / heard.sample_rate for first, *_ in words],
        "word_ends": [min(last / heard.sample_rate, heard.seconds) for _, last, _ in words],
    }


def _labels(wav: Path, kind: str) -> list[tuple[int, int, str]]:
    """Lines ``first last label`` of a label file, in samples."""
    wanted = f"{wav.stem}.{kind}".casefold()
    paths = [one for one in _entries(wav.parent) if one.name.casefold() == wanted]
    _refuse_variants(paths)
    if not paths:
        path = wav.with_suffix(f".{kind if wav.suffix == '.WAV' else kind.lower()}")
        raise UserError(f"{path}: no such file; a recording needs its .phn, .wrd and .txt")
    path = paths[0]
    lines = []
    for number, line in enumerate(path.read_text(encoding="latin-1").splitlines(), 1):
        first, last, label = [*line.split(maxsplit=2), "", "", ""][:3]
        if not line.strip():
            continue
        if not (first.isdecimal() and last.isdecimal() and label and int(first) < int(last)):
            raise UserError(
                f'{path} line {number}: "{line}" must be first sample < last sample and a label; restore the'
                " published file"
            )
        lines.append((int(first), int(last), label.strip()))
    return lines


def _phones(
    labels: list[tuple[int, int, str]], heard: audio.Info, wav: Path
) -> tuple[list[str], list[float], list[float]]:
    """Folded phones with starts and ends in seconds."""
    phones: list[str] = []
    starts: list[float] = []
    ends: list[float] = []
    before = 0
    for number, (first, last, raw) in enumerate(labels, 1):
        phone = FOLDED.get(raw, raw)
        if phone not in PHONES and phone != GLOTTAL_STOP:
            raise UserError(
                f'{wav.with_suffix("")}, phone {number}: "{raw}" is not one of the 61 symbols; restore the'
                " published file"
            )
        if first < before or first >= heard.seconds * heard.sample_rate:
            raise UserError(
                f"{wav.with_suffix('')}, phone {number}: starts at {first}, but must start after {before} and"
                " before the end of the sound"
            )
        before = last
        if phones and (phone == GLOTTAL_STOP or phone == phones[-1] == SILENCE):
            ends[-1] = min(last / heard.sample_rate, heard.seconds)
        elif phone != GLOTTAL_STOP:
            phones.append(phone)
            starts.append(first / heard.sample_rate)
            ends.append(min(last / heard.sample_rate, heard.seconds))
    if phones and phones[-1] == SILENCE:
        ends[-1] = heard.seconds
    return phones, starts, ends
