"""Synthetic singing: German syllables of espeak-ng, sung by WORLD at a melody's pitches over a synthesised
piano, everything timed.

Conventions: clips are 16 kHz mono 16-bit WAV; times are seconds from the clip's start; a note is (onset,
offset, MIDI pitch). A phrase is there three times: mixed, voice alone, piano alone. Phones lie edge to edge
from 0.0 to the clip's end, ``"_"`` is silence.

A singer's **vowel** falls on the beat, give or take some hundredths of a second: consonants come before it,
pitch glides in from below or from the last note and trembles on long notes, a syllable may be held over two
or three notes (melisma), and now and then a wrong note is sung. So the onset of a syllable is not that of its
note, nor that of the note written: ``notes`` are sung, ``score`` is written.

Every song has a piano of its own, every singer songs of their own, every fold singers of its own: with
``column = "fold"`` all three are unseen on the other sides. Everything is a function of the settings: a
phrase's draws depend on ``corpus_seed``, its singer, song and number alone.

Contents: `SINGERS`, `WORDS`, `clips`, `pronounced`, `piano`, `play`; a phrase is made up in `composition` and
sung in `vocoder`.
"""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
import soxr
from pydantic import Field, Strict

from audiomtl.data import audio
from audiomtl.data.corpora import espeak, generated, german_speech, room
from audiomtl.data.corpora import synthesizer as synth
from audiomtl.data.corpora.composition import Note, Phrase, Random, compose, other_melody, other_words
from audiomtl.data.corpora.espeak import Utterance, Voice
from audiomtl.data.corpora.synthesizer import Timbre
from audiomtl.data.corpora.vocoder import PERIOD, SAMPLE_RATE, Syllable, analyse, sing
from audiomtl.errors import UserError
from audiomtl.settings.clips import DataSet
from audiomtl.settings.table import Count, NotNegative
from audiomtl.settings.validation import nearest


class Settings(DataSet):
    """``[data]`` of the corpus."""

    corpus_seed: int = Field(description="Seed of the generator; another seed makes another corpus.")
    singers: Annotated[int, Field(ge=3)] = Field(
        description="Number of singers, each with songs of its own, dealt to six folds in turn."
    )
    songs: Count = Field(description="Number of songs per singer, each with a piano of its own.")
    phrases: Count = Field(description="Number of phrases per song; each phrase is one recording.")
    parts: Annotated[tuple[Literal["mix", "piano", "voice"], ...], Strict(False), Field(min_length=1)] = (
        Field(description="Recordings that become clips: the mix, the piano alone, the voice alone.")
    )
    voice_over_piano_db: float = Field(description="Level of the voice over the piano in the mix, in dB.")
    signal_to_noise_db: float = Field(description="Level of the voice over background noise, in dB.")
    reverberation_seconds: NotNegative = Field(
        description="Longest reverberation time (RT60) of the simulated rooms, in seconds; 0 is dry."
    )
    deviation_share: Annotated[float, Field(gt=0, le=1)] = Field(
        description=(
            "Fraction of words or notes that are replaced where the given text or notes deviate from what is"
            " sung."
        )
    )
    every_deviation: bool = Field(
        False,
        description=(
            "Whether each recording occurs three times: with what is sung, with another text, and with other"
            " notes. Default false."
        ),
    )


VERSION = 4  # of this generator: raise it whenever the same settings would give other bytes
PAUSES = ("_",)  # that no phone error rate counts
PARTS = ("mix", "piano", "voice")
DEVIATIONS = ("none", "text", "score")
LABELS = ("deviation", "singer", "song", "timbre")


# Singer i is always the same voice, in fold i mod 6; ranges are MIDI numbers. With twelve, every fold has a
# low voice and a high one.
FOLDS = 6
SINGERS = (
    (Voice("de+m3", 40, 0, 120), (48, 62)),
    (Voice("de+f2", 50, 0, 125), (57, 72)),
    (Voice("de+m1", 30, 0, 115), (45, 60)),
    (Voice("de+f4", 60, 0, 130), (60, 74)),
    (Voice("de+m7", 55, 0, 118), (50, 64)),
    (Voice("de+f1", 45, 0, 122), (55, 70)),
    (Voice("de+f3", 55, 0, 120), (58, 73)),
    (Voice("de+m2", 45, 0, 124), (47, 61)),
    (Voice("de+f5", 40, 0, 118), (56, 71)),
    (Voice("de+m4", 35, 0, 126), (49, 63)),
    (Voice("de+linda", 50, 0, 116), (59, 73)),
    (Voice("de+m6", 50, 0, 121), (46, 60)),
)
# Each syllable is spoken alone, so it is written as it sounds.
LYRICS = (
    "Son-ne Mond Ster-ne Blu-me Him-mel Was-ser Feu-er Wind Re-gen Schnee Som-mer Win-ter Mor-gen A-bend"
    " Nacht Traum Lie-be Her-ze Hand Au-ge Haus Gar-ten Wald Wie-se Bach See Meer Schiff Se-gel Ha-fen Vo-gel"
    " Fisch Ha-se Kat-ze Hund Pferd Lamm Bie-ne Ro-se Lin-de Bir-ne Ap-fel Brot Milch Ho-nig Wein Lied Gei-ge"
    " Flö-te Glo-ke Tanz Kö-nig Kro-ne Bru-der Schwes-ter Mut-ter Va-ter Kind Freund Wan-de-rer Jä-ger"
    " Mül-ler Schä-fer Him-mels-zelt Ro-sen-duft Kin-der-lied Mor-gen-rot A-bend-schein singt lacht tanzt"
    " wei-nen lau-fen kom-men ge-hen se-hen hö-ren sa-gen fra-gen schla-fen träu-men gut schön klein rot grün"
    " blau weiß still"
)
WORDS = tuple(LYRICS.split())
# roots of a bar's chord, semitones above the key
PROGRESSIONS = (
    (0, 5, 7, 0),
    (0, 9, 5, 7),
    (0, 7, 9, 5),
    (0, 5, 0, 7),
    (9, 5, 0, 7),
)


# ---------------------------------------------------------------- clips


def clips(data: Settings, folder: Path) -> pd.DataFrame:
    """The clip table; the corpus is made the first time, into ``folder``.

    Returns
    -------
    DataFrame, a row for each of ``data.parts`` of a phrase, sorted by ``clip_id``: path, phrase, part,
    vocals_path and piano_path (the
        parts alone), seconds, singer, song, timbre (of the piano), fold (from 1), text; phones, starts, ends;
        syllables as (start, end, text), words, word_starts, word_ends; notes, score, piano_notes as (onset,
        offset, pitch), and ``midi_path``. What a part has not, is None: a piano alone has no phones,
        syllables, times of words and notes, a voice alone no piano_notes. ``deviation``: "none", "text" or
        "score": which of given_phones and given_notes is not what was sung (``deviation_share`` of its words
        or notes are others); a recording has one of the three, or with ``data.every_deviation`` is there once
        with each.

    Raises
    ------
    UserError : no such label; a singer too many.
    """
    if data.label and data.label not in LABELS:
        raise UserError(
            f'data.label = "{data.label}": must be one of {", ".join(LABELS)}{nearest(data.label, LABELS)}'
        )
    if data.singers > len(SINGERS):
        raise UserError(
            f"data.singers = {data.singers}: must be at most {len(SINGERS)}, the number of voices; lower it"
        )
    swept = data.model_dump(exclude=generated.READ_ONLY | {"parts", "every_deviation"})
    key = hashlib.sha256(repr([VERSION, sorted(swept.items())]).encode()).hexdigest()[:12]
    place = Path(folder).absolute() / f"singing-{key}"
    rows = [row for row in generated.rows(place, partial(_make, data)) if row["part"] in data.parts]
    table = pd.DataFrame([one for row in rows for one in _with_given(row, every=data.every_deviation)])
    for name in ("voice", "piano"):
        table["vocals_path" if name == "voice" else "piano_path"] = [
            str(place / f"{phrase}_{name}.wav") for phrase in table["phrase"]
        ]
    table["midi_path"] = [str(place / f"{phrase}.mid") for phrase in table["phrase"]]
    absent = {
        "piano": ("phones", "syllables", "word_starts", "word_ends", "notes"),
        "voice": ("piano_notes",),
    }
    for part, columns in absent.items():
        for column in columns:
            values = zip(table[column], table["part"], strict=True)
            table[column] = pd.Series(
                [None if own == part else value for value, own in values], index=table.index, dtype=object
            )
    return table[
        ["clip_id", "path", *table.columns.drop(["clip_id", "path", "samples", "sha256"])]
    ].reset_index(drop=True)


def _with_given(row: dict[str, Any], *, every: bool) -> Iterator[dict[str, Any]]:
    """Rows of the clip table of one recording: with its own deviation, or one with each."""
    given = row.pop("given")
    for deviation in sorted(DEVIATIONS) if every else (row["deviation"],):
        phones, notes = given[deviation]
        clip = f"{row['clip_id']}_{deviation}" if every else row["clip_id"]
        yield {**row, "clip_id": clip, "deviation": deviation, "given_phones": phones, "given_notes": notes}


def pronounced(words: Sequence[str]) -> list[list[str]]:
    """Phones of each word as these singers sing it, syllable by syllable: words of `WORDS`, and others with
    hyphens (``Ster-nen-licht``).

    Raises
    ------
    UserError : what `german_speech.pronounced` refuses.
    """
    divided = {word.replace("-", "").lower(): word for word in WORDS}
    return german_speech.pronounced([divided.get(word.lower(), word) for word in words], SINGERS[0][0])


def _make(data: Settings, folder: Path) -> Iterator[dict[str, Any]]:
    """Speak every syllable in every voice, then sing the phrases, singer by singer."""
    texts = sorted({syllable for word in WORDS for syllable in word.lower().split("-")})
    spoken = list(espeak.speak([(voice, text) for voice, _ in SINGERS[: data.singers] for text in texts]))
    voices = [dict(zip(texts, spoken[len(texts) * singer :], strict=False)) for singer in range(data.singers)]
    jobs = [(singer, song) for singer in range(data.singers) for song in range(data.songs)]
    # processes, spawned: TensorFlow's threads may be about
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        for rows in pool.map(partial(_song, data, folder), jobs, [voices[singer] for singer, _ in jobs]):
            yield from rows


def _generator(data: Settings, *names: object) -> Random:
    seed = hashlib.sha256("/".join([str(data.corpus_seed), *map(str, names)]).encode()).digest()
    return np.random.default_rng(int.from_bytes(seed[:16], "big"))


def _song(
    data: Settings, folder: Path, job: tuple[int, int], spoken: dict[str, Utterance]
) -> list[dict[str, Any]]:
    """Write the three parts of every phrase of one song; their rows of the index."""
    from audiomtl.data import scores

    singer, song = job
    habits = _generator(data, "song", singer, song)
    key, beat = int(habits.integers(12)), 60 / float(habits.uniform(70, 110))
    progression, pattern = PROGRESSIONS[int(habits.integers(len(PROGRESSIONS)))], int(habits.integers(3))
    words = [WORDS[number] for number in np.sort(habits.permutation(len(WORDS))[: 2 * len(WORDS) // 3])]
    timbre, place = piano(habits), f"v{singer + 1:02d}_s{song:02d}"
    analysed: dict[str, Syllable] = {}
    rows = []
    for number in range(data.phrases):
        name = f"{place}_p{number:02d}"
        random = _generator(data, "phrase", singer, song, number)
        phrase = compose(words, SINGERS[singer][1], key, beat, progression, pattern, random)
        for one in phrase.syllables:
            if one.text not in analysed:
                analysed[one.text] = analyse(spoken[one.text])
        voice, phones, spans = sing(phrase, analysed, random)
        played = play(phrase, timbre, random)
        played *= np.sqrt(np.mean(voice**2) / np.mean(played**2)) * 10 ** (-data.voice_over_piano_db / 20)
        dry = {"voice": voice, "piano": played}
        wet = {
            part: room.reverberate(y, data.reverberation_seconds, sample_rate=SAMPLE_RATE, generator=random)
            for part, y in dry.items()
        }
        noise = room.background(len(voice), sample_rate=SAMPLE_RATE, generator=random)
        noise *= np.sqrt(np.mean(wet["voice"] ** 2) / np.mean(noise**2)) * 10 ** (
            -data.signal_to_noise_db / 20
        )
        sounds = {
            "voice": wet["voice"] + noise,
            "piano": wet["piano"] + noise,
            "mix": wet["voice"] + wet["piano"] + noise,
        }
        peak = 0.8 / np.abs(sounds["mix"]).max()
        scores.write_notes(
            folder / f"{name}.mid", {"voice": phrase.notes, "score": phrase.score, "piano": phrase.piano}
        )
        row: dict[str, Any] = {
            "phrase": name,
            "seconds": len(voice) / SAMPLE_RATE,
            "singer": place[:3],
            "song": place,
            "timbre": f"piano_{place}",
            "fold": singer % FOLDS + 1,
            "text": " ".join(word.replace("-", "") for word in phrase.words),
        }
        row |= _timed(phrase, phones, spans, row["seconds"])
        row |= {"notes": phrase.notes, "score": phrase.score, "piano_notes": phrase.piano}
        deviation = DEVIATIONS[(number + song) % len(DEVIATIONS)]
        row["deviation"] = deviation
        row["given"] = {  # its own first: the others leave it as it is
            one: _given(data, phrase, one, words, SINGERS[singer][1], key, analysed, spoken, random)
            for one in sorted(DEVIATIONS, key=lambda one: one != deviation)
        }
        for part in PARTS:
            audio.save(folder / f"{name}_{part}.wav", sounds[part] * peak, sample_rate=SAMPLE_RATE)
            rows.append({"clip_id": f"{name}_{part}", "part": part, **row, "samples": len(voice)})
    return rows


def _timed(
    phrase: Phrase, phones: Sequence[tuple[int, int, str]], spans: Sequence[tuple[int, int]], seconds: float
) -> dict[str, Any]:
    """Columns of an index row: phones edge to edge with pauses, syllables as (start, end, text), words
    and their times.
    """
    names: list[str] = []
    starts: list[int] = []
    last = 0
    for first, end, name in phones:
        if first > last or not names:
            names.append("_")
            starts.append(last)
        names.append(name)
        starts.append(first)
        last = end
    names, starts = [*names, "_"], [*starts, last]
    times = [round(frame * PERIOD, 6) for frame in starts]
    syllables = [
        (round(begin * PERIOD, 6), round(end * PERIOD, 6), one.text)
        for (begin, end), one in zip(spans, phrase.syllables, strict=True)
    ]
    word_times: dict[str, list[float]] = {"word_starts": [], "word_ends": []}
    for number in range(len(phrase.words)):
        own = [span for span, one in zip(syllables, phrase.syllables, strict=True) if one.word == number]
        word_times["word_starts"].append(own[0][0])
        word_times["word_ends"].append(own[-1][1])
    words = [word.replace("-", "").lower() for word in phrase.words]
    return {
        "phones": names,
        "starts": times,
        "ends": [*times[1:], seconds],
        "syllables": syllables,
        "words": words,
        **word_times,
    }


def _given(
    data: Settings,
    phrase: Phrase,
    deviation: str,
    words: Sequence[str],
    singer_range: tuple[int, int],
    key: int,
    analysed: dict[str, Syllable],
    spoken: dict[str, Utterance],
    random: Random,
) -> tuple[list[str], list[Note]]:
    """Phones and notes that come with the recording, ``deviation`` of them not what was sung.

    Each by itself may well have been.
    """
    texts, notes = list(phrase.words), list(phrase.score)
    if deviation == "text":
        texts = other_words(words, texts, data.deviation_share, random)
    if deviation == "score":
        notes = other_melody(notes, singer_range, key, data.deviation_share, random)
    given: list[str] = []
    for syllable in (one for word in texts for one in word.lower().split("-")):
        if syllable not in analysed:
            analysed[syllable] = analyse(spoken[syllable])
        given += analysed[syllable].phones
    return given, notes


def piano(random: Random) -> Timbre:
    """A piano: how its overtones fall off and its notes die."""
    return Timbre(
        slope=float(random.uniform(0.9, 1.6)),
        even=float(random.uniform(0.4, 1.0)),
        harmonics=int(random.integers(8, 15)),
        attack_seconds=float(random.uniform(0.003, 0.006)),
        decay_seconds=float(random.uniform(0.45, 0.9)),
        detune=float(random.uniform(0.02, 0.06)),
    )


def play(phrase: Phrase, timbre: Timbre, random: Random) -> np.ndarray:
    """The piano's notes, each struck a little harder or softer: (n_samples,) at `SAMPLE_RATE`."""
    y = np.zeros(round(phrase.seconds * synth.SAMPLE_RATE) + synth.SAMPLE_RATE)
    for onset, offset, pitch in phrase.piano:
        sound = synth.note(timbre, pitch, round((offset - onset) * synth.SAMPLE_RATE))
        first = round(onset * synth.SAMPLE_RATE)
        y[first : first + len(sound)] += random.uniform(0.6, 1.0) * sound
    y = soxr.resample(y, synth.SAMPLE_RATE, SAMPLE_RATE, quality="HQ")
    return y[: round(round(phrase.seconds / PERIOD) * PERIOD * SAMPLE_RATE)]
