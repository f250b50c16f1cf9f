"""The Berlin database of emotional speech (EmoDB): ten German sentences acted by ten speakers, phones
labelled by hand.

Source: Burkhardt, Paeschke, Rolfes, Sendlmeier and Weiss, "A database of German emotional speech",
Interspeech 2005. Layout as published: ``wav/SSTTTEV.wav`` (SS speaker, TTT sentence, E emotion, V take; 16
kHz) and ``lablaut/SSTTTEVxx.lablaut`` (the ``xx`` may be missing): Latin-1, a header up to a line ``#``, then
``time colour label``.

Conventions: a time is the ONSET of its segment in seconds (so read, vowels are 20 dB louder than stop
closures; read as ends, it is the other way round). Sound before the first label is silence, ``.`` is the end
of speech. A line whose label is empty or starts with ``+`` or ``-`` (``-sth``: voice stops) lies inside the
segment before it, which it lengthens; before any segment it is silence.

Raw labels are a narrow SAMPA; `RENAMED`, `BURSTS` and `ASPIRATIONS` turn every one of them into one of
`PHONES`. A stop is written closure, burst, aspiration (``t !t tasp``) and becomes one phone that starts with
its closure. Vowels of one sentence only (``OY`` and ``9`` in a04, ``y`` in b01, ``u`` in b03, ``i6`` in a05),
and ``j`` of "jetzt" (b02, b03), could not be learned for unseen sentences: they join their nearest neighbour.
Equal phones in a row (``n n`` in "Wochenenden") stay two; pauses become one.

Contents: `clips`, `label_report`, `copy_baseline`, `PHONES`.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from audiomtl.data import audio
from audiomtl.data.subset import keeps
from audiomtl.errors import MissingData, UserError
from audiomtl.metrics.sequences import error_rate, without
from audiomtl.settings.clips import DataSet


class Settings(DataSet):
    """``[data]`` of the data set, which has no settings of its own."""


COLUMNS = ["clip_id", "path", "speaker", "sentence", "emotion", "text", "seconds", "phones", "starts", "ends"]
PAUSE = "_"
PAUSES = (PAUSE,)  # that no phone error rate counts
EMOTIONS = {
    "W": "anger",
    "L": "boredom",
    "E": "disgust",
    "A": "anxiety",
    "F": "happiness",
    "T": "sadness",
    "N": "neutral",
}
SENTENCES = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}

# fmt: off
PHONES = (  # sorted groups; "_" is the pause
    PAUSE,
    # vowels; @ and 6 as in bitt-e, bitt-er; Y: any front rounded vowel
    "a", "e", "i", "o", "E", "I", "O", "U", "Y", "@", "6", "aI", "aU",
    "p", "b", "t", "d", "k", "g", "?",  # stops
    # C: i-ch, j-etzt; X: uvular r, ch; H, B, D, V: weak h, b, d, v
    "f", "v", "s", "z", "S", "C", "x", "X", "h", "H", "B", "D", "V",
    "m", "n", "N", "l", "4",  # 4: tapped r
)
RENAMED = {
    "y": "Y", "9": "Y", "u": "U", "OY": "O", "j": "C", "J": "C",  # of one or two sentences: see above
    # vowel and vocalised r: the vowel
    "i6": "i", "i@": "i", "I6": "I", "I@": "I", "E6": "E", "e@": "e", "a6": "a", "Y6": "Y", "@6": "@",
    # fused vowels, 1 to 3 times each
    "AO": "aU", "aO": "aU", "AU": "aU", "OU": "aU", "@O": "aU", "@E": "E", "ia": "a",
    "R": "X", "G": "g", "L": "l", "NN": "N", "mm": "m", "ss": "s",  # 1 to 11 times each
    "_p": "p", "_b": "b", "_t": "t", "_d": "d", "_k": "k", "_g": "g",  # closure after a pause
    "(": PAUSE, "(gef": PAUSE,  # silent pause, filled pause (breath)
}
# the release of the stop before it when the place agrees, else a stop without a closure of its own; "!" names
# no place
BURSTS = {
    "!p": "p", "!b": "b", "!t": "t", "!d": "d", "!k": "k", "!g": "g", "!": "",
}
# always part of the segment before it; dsap is a slip of dasp
ASPIRATIONS = ("pasp", "basp", "tasp", "dasp", "dsap", "kasp", "gasp")
# fmt: on
PLACES = {"p": 0, "b": 0, "t": 1, "d": 1, "k": 2, "g": 2}  # lips, teeth, velum
MODIFIER = "+/-"  # how `label_report` names the lines inside a segment
END = "."


class Line(NamedTuple):
    """One label line: its number in the file, onset in seconds, first token ("" for a line inside a
    segment).
    """

    number: int
    seconds: float
    label: str


class Utterance(NamedTuple):
    """Phones of one clip: names, onsets in seconds, end of speech in seconds, and what became of each raw
    label.
    """

    phones: list[str]
    starts: list[float]
    end: float
    changes: Counter[tuple[str, str, str]]  # (raw, phone, what)


def clips(data: Settings, folder: Path) -> pd.DataFrame:
    """The clip table of EmoDB.

    Parameters
    ----------
    data : Settings
        Settings; which data set, no more.
    folder : Path
        Data root with ``emodb/`` in it, or the data set itself.

    Returns
    -------
    DataFrame
        One row per recording, sorted by ``clip_id`` (the file's stem): path, speaker ("03"), sentence
        ("a01"), emotion, text, seconds, phones, starts and ends (lists of equal length, seconds). A recording
        whose label file ends with its header was never labelled (published so: 08a01Wa): it is left out, and
        `label_report` counts it.

    Raises
    ------
    MissingData
        When neither folder holds ``wav/`` and ``lablaut/``.
    UserError
        Naming every label file that is missing or unreadable, with its reason, and every unknown label with
        file and line.
    """
    table = pd.DataFrame([row for row, _ in _rows(folder, data) if row["phones"]], columns=COLUMNS)
    return table.reset_index(drop=True)


def label_report(folder: Path, data: Settings | None = None) -> pd.DataFrame:
    """What the mapping changed, counted over all clips.

    Parameters
    ----------
    folder, data
        As for `clips`.

    Returns
    -------
    DataFrame
        Columns raw, phone, what ("renamed", "joined": part of the phone before it, "dropped", "clip left
        out") and count; most frequent first. ``+/-`` stands for all lines inside a segment. Labels kept as
        they are, are not listed.
    """
    counts: Counter[tuple[str, str, str]] = Counter()
    for row, changes in _rows(folder, data):
        counts.update(changes if row["phones"] else {(str(row["clip_id"]), "", "clip left out"): 1})
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return pd.DataFrame(
        [(*change, count) for change, count in ordered], columns=["raw", "phone", "what", "count"]
    )


def copy_baseline(sources: pd.DataFrame, answered: pd.DataFrame) -> float:
    """Phone error rate of copying: each clip is answered with another speaker's transcript of the same
    sentence, nobody listens.

    Every other speaker's clip of the sentence is tried and the edits are averaged, so nothing is left to
    chance; pauses are left out. The ten sentences are read by everyone: a system that is not well below this
    number may know the text and not the sound.

    Parameters
    ----------
    sources : DataFrame
        Clip table to copy from; the whole table when the sentences of `answered` are not in train.
    answered : DataFrame
        Clip table to answer, usually the test side.

    Returns
    -------
    float
        Mean edits / phones, at least 0.

    Raises
    ------
    UserError
        When a sentence of `answered` has no clip of another speaker in `sources`.
    """
    spoken = list(
        zip(sources["speaker"], sources["sentence"], without(list(sources["phones"]), PAUSE), strict=True)
    )
    truths = without(list(answered["phones"]), PAUSE)
    edits, phones = 0.0, 0
    for clip, own, text, truth in zip(
        answered["clip_id"], answered["speaker"], answered["sentence"], truths, strict=True
    ):
        copies = [other for speaker, sentence, other in spoken if sentence == text and speaker != own]
        if not copies:
            raise UserError(
                f"copy baseline: clip {clip} needs another speaker's clip of sentence {text}, but there is"
                " none"
            )
        edits += error_rate([truth] * len(copies), copies) * len(truth)
        phones += len(truth)
    return edits / phones


def _rows(
    folder: Path, data: Settings | None
) -> Iterator[tuple[dict[str, object], Counter[tuple[str, str, str]]]]:
    """Rows of the table in order, unlabelled clips with empty phones.

    Refuses the whole data set when one of the files that ``data.subset`` keeps is wrong.
    """
    root = _root(folder)
    rows, faults = [], []
    for wav in sorted((root / "wav").glob("*.wav")):
        try:
            known = _named(wav)
            if data is None or keeps(data.subset, known):
                rows.append(_row(root, wav, known))
        except UserError as fault:
            faults.append(str(fault))
    if faults:
        raise UserError(
            f"{root}: {len(faults)} clips cannot be read; restore their published files: " + "; ".join(faults)
        )
    yield from rows


def _root(folder: Path) -> Path:
    for root in (folder / "emodb", folder):
        if (root / "lablaut").is_dir() and any((root / "wav").glob("*.wav")):
            return root.absolute()
    raise MissingData(
        f"EmoDB is not in {folder / 'emodb'}: put its folders wav/ (03a01Fa.wav ...) and lablaut/"
        " (03a01Faxx.lablaut ...) there; published at http://emodb.bilderbar.info"
    )


def _named(wav: Path) -> dict[str, object]:
    """What the name of a recording says."""
    name = re.fullmatch(r"(\d\d)([a-z]\d\d)([WLEAFTN])[a-z]?", wav.stem)
    if name is None:
        raise UserError(f"wav/{wav.name}: the name must be speaker, sentence, emotion, take, such as 03a01Fa")
    return {
        "clip_id": wav.stem,
        "path": str(wav),
        "speaker": name[1],
        "sentence": name[2],
        "emotion": EMOTIONS[name[3]],
    }


def _row(
    root: Path, wav: Path, known: dict[str, object]
) -> tuple[dict[str, object], Counter[tuple[str, str, str]]]:
    candidates = [root / "lablaut" / f"{wav.stem}{ending}.lablaut" for ending in ("xx", "")]
    found = next((path for path in candidates if path.is_file()), None)
    if found is None:
        raise UserError(f"lablaut/{candidates[0].name}: no such file")
    seconds = audio.info(wav).seconds
    utterance = _utterance(found)
    text = SENTENCES.get(str(known["sentence"]), "")
    row = known | {"text": text, "seconds": seconds} | _timed(utterance, seconds, found.name)
    return row, utterance.changes


def _lines(path: Path) -> list[Line]:
    rows = path.read_text(encoding="latin-1").splitlines()
    header = next((i for i, row in enumerate(rows) if row.strip() == "#"), None)
    if header is None:
        raise UserError(f"lablaut/{path.name}: no line # that ends the header")
    lines: list[Line] = []
    for number, row in enumerate(rows[header + 1 :], header + 2):
        tokens = row.split()
        if not tokens:
            continue
        try:
            seconds = float(tokens[0])
        except ValueError:
            raise UserError(f"lablaut/{path.name} line {number}: {tokens[0]!r} is not a time") from None
        if lines and not seconds > lines[-1].seconds:
            raise UserError(
                f"lablaut/{path.name} line {number}: times must increase, but got {seconds} after"
                f" {lines[-1].seconds}"
            )
        token = tokens[2] if len(tokens) > 2 else ""
        # "I+nas" is a phone and its modifier glued together, "-sth" a modifier alone: what stands before the
        # sign is the label
        lines.append(Line(number, seconds, re.split(r"[+-]", token, maxsplit=1)[0]))
    return lines


def _utterance(path: Path) -> Utterance:
    """Read one label file; no phones at all when it holds no label."""
    lines = _lines(path)
    changes: Counter[tuple[str, str, str]] = Counter()
    if not lines:
        return Utterance([], [], 0.0, changes)
    ends = [line.number for line in lines if line.label == END]
    if ends != [lines[-1].number]:
        raise UserError(
            f"lablaut/{path.name}: the last label, and no other, must be {END!r}, but it stands at lines"
            f" {ends}"
        )
    phones: list[str] = []
    starts: list[float] = []
    for number, seconds, raw in lines[:-1]:
        before = phones[-1] if phones else PAUSE
        phone, what = _phone(raw, before)
        if phone is None:
            raise UserError(f"lablaut/{path.name} line {number}: unknown label {raw!r}")
        if raw != phone or what == "dropped":
            changes[raw or MODIFIER, phone, what] += 1
        if what == "renamed" and not phone == PAUSE == before:
            phones.append(phone)
            starts.append(seconds)
    return Utterance(phones, starts, lines[-1].seconds, changes)


def _phone(raw: str, before: str) -> tuple[str | None, str]:
    """The phone of a raw label and what became of it, given the phone before; None for an unknown label."""
    if raw == "":
        return "", "dropped"
    if raw in ASPIRATIONS or raw == "!" or (raw in BURSTS and PLACES[BURSTS[raw]] == PLACES.get(before)):
        return before, "joined"
    if raw in BURSTS:
        return BURSTS[raw], "renamed"
    if raw in PHONES and raw != PAUSE:
        return raw, "renamed"
    return RENAMED.get(raw), "renamed"


def _timed(utterance: Utterance, seconds: float, name: str) -> dict[str, object]:
    """Phones with starts and ends from 0 to `seconds`, a pause at either side where there is one."""
    phones, starts = list(utterance.phones), list(utterance.starts)
    if not phones:
        return {"phones": [], "starts": [], "ends": []}
    if starts[-1] >= seconds:
        raise UserError(
            f"lablaut/{name}: the last phone starts at {starts[-1]} s, but the sound ends at {seconds} s"
        )
    if starts[0] < 0:
        raise UserError(f"lablaut/{name}: times must not be negative, but got {starts[0]}")
    if starts[0] > 0:  # a pause that is the first label was not kept: silence begins at 0
        phones, starts = [PAUSE, *phones], [0.0, *starts]
    if utterance.end < seconds and phones[-1] != PAUSE:
        phones, starts = [*phones, PAUSE], [*starts, utterance.end]
    return {"phones": phones, "starts": starts, "ends": [*starts[1:], seconds]}
