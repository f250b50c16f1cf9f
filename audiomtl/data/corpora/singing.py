"""Synthetic singing: German syllables of espeak-ng, sung by WORLD at a melody's pitches over a synthesised piano, everything timed.

Conventions: clips are 16 kHz mono 16-bit WAV; times are seconds from the clip's start; a note is (onset, offset, MIDI pitch). A phrase is
there three times: mixed, voice alone, piano alone. Phones lie edge to edge from 0.0 to the clip's end, ``"_"`` is silence.

A singer's **vowel** falls on the beat, give or take some hundredths of a second: consonants come before it, pitch glides in from below or
from the last note and trembles on long notes, a syllable may be held over two or three notes (melisma), and now and then a wrong note is
sung. So the onset of a syllable is not that of its note, nor that of the note written: ``notes`` are sung, ``score`` is written.

A fold is one singer, one piano and songs of their own: with ``column = "fold"`` all three are unseen on the other sides.
Everything is a function of the settings: a phrase's draws depend on ``corpus_seed``, its fold, song and number alone.

Source: WORLD by Morise, Yokomori and Ozawa, "WORLD: a vocoder-based high-quality speech synthesis system", IEICE 2016 (pyworld).

Contents: `SINGERS`, `PIANOS`, `WORDS`, `clips`, `pronounced`, `Phrase`, `compose`, `sing`.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import soxr

from audiomtl.data import audio
from audiomtl.data.corpora import espeak, german_speech, made, room
from audiomtl.data.corpora import synthesizer as synth
from audiomtl.data.corpora.espeak import Utterance, Voice
from audiomtl.data.corpora.synthesizer import Timbre
from audiomtl.errors import UserError
from audiomtl.settings.clips import Singing
from audiomtl.settings.faults import nearest

VERSION = 1  # of this generator: raise it whenever the same settings would give other bytes
SAMPLE_RATE = 16000  # Hz
PERIOD = 0.005  # seconds between WORLD's frames
SILENCE_SECONDS = 0.4  # before the first beat and after the last one
VOICED = frozenset("aː a ɐ aɪ aʊ eː ə ɛ ɛː iː ɪ l m n oː ɔ ɔʏ øː œ uː ʊ v yː ʏ z ŋ".split())  # noqa: SIM905
VOWELS = frozenset("aː a ɐ aɪ aʊ eː ə ɛ ɛː iː ɪ oː ɔ ɔʏ øː œ uː ʊ yː ʏ".split())  # noqa: SIM905
PARTS = ("mix", "piano", "voice")
LABELS = ("deviation", "singer", "song", "timbre")

# What makes it hard. Shares are of notes or syllables.
MELISMA, WRONG, REST = 0.15, 0.04, 0.12
LATE_SECONDS = 0.025  # deviation of a vowel from its beat
GLIDE_SECONDS = (0.04, 0.12)
SCOOP = 1.5  # semitones: how far below a note may be begun
VIBRATO = (0.15, 0.4)  # semitones
SHORTEST_VOWEL = 24  # frames before the next syllable may begin
LONGEST_LEGATO = 24  # frames between two syllables that are sung through

# Singer i is always the same voice; ranges are MIDI numbers.
SINGERS = (
    (Voice("de+m3", 40, 0, 120), (48, 62)),
    (Voice("de+f2", 50, 0, 125), (57, 72)),
    (Voice("de+m1", 30, 0, 115), (45, 60)),
    (Voice("de+f4", 60, 0, 130), (60, 74)),
    (Voice("de+m7", 55, 0, 118), (50, 64)),
    (Voice("de+f1", 45, 0, 122), (55, 70)),
)
PIANOS = (
    Timbre(slope=1.2, even=1.0, harmonics=12, attack_seconds=0.004, decay_seconds=0.7, detune=0.03),
    Timbre(slope=0.9, even=0.7, harmonics=14, attack_seconds=0.003, decay_seconds=0.5, detune=0.05),
    Timbre(slope=1.6, even=1.0, harmonics=8, attack_seconds=0.006, decay_seconds=0.9, detune=0.02),
    Timbre(slope=1.1, even=0.4, harmonics=12, attack_seconds=0.005, decay_seconds=0.6, detune=0.04),
    Timbre(slope=1.4, even=0.9, harmonics=10, attack_seconds=0.004, decay_seconds=0.8, detune=0.06),
    Timbre(slope=1.0, even=0.8, harmonics=10, attack_seconds=0.005, decay_seconds=0.45, detune=0.03),
)
# Each syllable is spoken alone, so it is written as it sounds.
LYRICS = (
    "Son-ne Mond Ster-ne Blu-me Him-mel Was-ser Feu-er Wind Re-gen Schnee Som-mer Win-ter Mor-gen A-bend Nacht Traum Lie-be Her-ze "
    "Hand Au-ge Haus Gar-ten Wald Wie-se Bach See Meer Schiff Se-gel Ha-fen Vo-gel Fisch Ha-se Kat-ze Hund Pferd Lamm Bie-ne Ro-se "
    "Lin-de Bir-ne Ap-fel Brot Milch Ho-nig Wein Lied Gei-ge Flö-te Glo-ke Tanz Kö-nig Kro-ne Bru-der Schwes-ter Mut-ter Va-ter Kind "
    "Freund Wan-de-rer Jä-ger Mül-ler Schä-fer Him-mels-zelt Ro-sen-duft Kin-der-lied Mor-gen-rot A-bend-schein singt lacht tanzt "
    "wei-nen lau-fen kom-men ge-hen se-hen hö-ren sa-gen fra-gen schla-fen träu-men gut schön klein rot grün blau weiß still"
)
WORDS = tuple(LYRICS.split())
PROGRESSIONS = ((0, 5, 7, 0), (0, 9, 5, 7), (0, 7, 9, 5), (0, 5, 0, 7), (9, 5, 0, 7))  # roots of a bar's chord, semitones above the key
SCALE = (0, 2, 4, 5, 7, 9, 11)
Note = tuple[float, float, int]
Random = np.random.Generator


class Sung(NamedTuple):
    """One syllable: its text, the word it belongs to, first and last note (exclusive) it is held over."""

    text: str
    word: int
    first: int
    last: int


@dataclass(frozen=True)
class Phrase:
    """What is to be sung and played, in seconds."""

    words: tuple[str, ...]
    syllables: tuple[Sung, ...]
    notes: tuple[Note, ...]  # as sung; the onset is the vowel's, or the change of pitch within one
    score: tuple[Note, ...]  # as written, on the beat
    piano: tuple[Note, ...]
    seconds: float


# ---------------------------------------------------------------- clips


def clips(data: Singing, folder: Path) -> pd.DataFrame:
    """The clip table; the corpus is made the first time, into ``folder``.

    Returns
    -------
    DataFrame, a row for each of ``data.parts`` of a phrase, sorted by ``clip_id``: path, phrase, part, vocals_path and piano_path (the
        parts alone), seconds, singer, song, timbre (of the piano), fold (from 1), text; phones, starts, ends; syllables as (start, end,
        text), words, word_starts, word_ends; notes, score, piano_notes as (onset, offset, pitch), and ``midi_path``. What a part has
        not, is None: a piano alone has no phones, syllables, times of words and notes, a voice alone no piano_notes.
        ``deviation``: "none", "text" or "score": which of given_phones and given_notes is not what was sung (``deviation_share`` of its
        syllables or notes are others).

    Raises
    ------
    UserError : no such label; a singer too many.
    """
    if data.label not in LABELS:
        raise UserError(f'data.label = "{data.label}": singing has {", ".join(LABELS)}{nearest(data.label, LABELS)}')
    if data.singers > len(SINGERS):
        raise UserError(f"data.singers = {data.singers}: there are voices for at most {len(SINGERS)}; lower it")
    swept = data.model_dump(exclude={"label", "groups", "parts"})
    key = hashlib.sha256(repr([VERSION, sorted(swept.items())]).encode()).hexdigest()[:12]
    place = Path(folder).absolute() / f"singing-{key}"
    table = pd.DataFrame([row for row in made.rows(place, partial(_make, data)) if row["part"] in data.parts])
    for name in ("voice", "piano"):
        table["vocals_path" if name == "voice" else "piano_path"] = [str(place / f"{phrase}_{name}.wav") for phrase in table["phrase"]]
    table["midi_path"] = [str(place / f"{phrase}.mid") for phrase in table["phrase"]]
    absent = {"piano": ("phones", "syllables", "word_starts", "word_ends", "notes"), "voice": ("piano_notes",)}
    for part, columns in absent.items():
        for column in columns:
            values = zip(table[column], table["part"], strict=True)
            table[column] = pd.Series([None if own == part else value for value, own in values], index=table.index, dtype=object)
    return table[["clip_id", "path", *table.columns.drop(["clip_id", "path", "samples", "sha256"])]].reset_index(drop=True)


def pronounced(words: Sequence[str]) -> list[list[str]]:
    """Phones of each word as these singers sing it, syllable by syllable: words of `WORDS`, and others with hyphens (``Ster-nen-licht``).

    Raises
    ------
    UserError : what `german_speech.pronounced` refuses.
    """
    divided = {word.replace("-", "").lower(): word for word in WORDS}
    return german_speech.pronounced([divided.get(word.lower(), word) for word in words], SINGERS[0][0])


def _make(data: Singing, folder: Path) -> Iterator[dict[str, Any]]:
    """Speak every syllable in every voice, then sing the phrases, fold by fold."""
    texts = sorted({syllable for word in WORDS for syllable in word.lower().split("-")})
    spoken = list(espeak.speak([(voice, text) for voice, _ in SINGERS[: data.singers] for text in texts]))
    voices = [dict(zip(texts, spoken[len(texts) * fold :], strict=False)) for fold in range(data.singers)]
    jobs = [(fold, song) for fold in range(data.singers) for song in range(data.songs)]
    # processes, spawned: TensorFlow's threads may be about
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        for rows in pool.map(partial(_song, data, folder), jobs, [voices[fold] for fold, _ in jobs]):
            yield from rows


def _generator(data: Singing, *names: object) -> Random:
    seed = hashlib.sha256("/".join([str(data.corpus_seed), *map(str, names)]).encode()).digest()
    return np.random.default_rng(int.from_bytes(seed[:16], "big"))


def _song(data: Singing, folder: Path, job: tuple[int, int], spoken: dict[str, Utterance]) -> list[dict[str, Any]]:
    """Write the three parts of every phrase of one song; their rows of the index."""
    from audiomtl.data import scores

    fold, song = job
    habits = _generator(data, "song", fold, song)
    key, beat = int(habits.integers(12)), 60 / float(habits.uniform(70, 110))
    progression, pattern = PROGRESSIONS[int(habits.integers(len(PROGRESSIONS)))], int(habits.integers(3))
    words = [WORDS[number] for number in np.sort(habits.permutation(len(WORDS))[: 2 * len(WORDS) // 3])]
    analysed: dict[str, Syllable] = {}
    rows = []
    for number in range(data.phrases):
        name = f"f{fold + 1}_s{song:02d}_p{number:02d}"
        random = _generator(data, "phrase", fold, song, number)
        phrase = compose(words, SINGERS[fold][1], key, beat, progression, pattern, random)
        for one in phrase.syllables:
            if one.text not in analysed:
                analysed[one.text] = analyse(spoken[one.text])
        voice, phones, spans = sing(phrase, analysed, random)
        piano = play(phrase, PIANOS[fold % len(PIANOS)], random)
        piano *= np.sqrt(np.mean(voice**2) / np.mean(piano**2)) * 10 ** (-data.voice_over_piano_db / 20)
        dry = {"voice": voice, "piano": piano}
        wet = {part: room.reverberate(y, data.reverberation_seconds, sample_rate=SAMPLE_RATE, generator=random) for part, y in dry.items()}
        noise = room.background(len(voice), sample_rate=SAMPLE_RATE, generator=random)
        noise *= np.sqrt(np.mean(wet["voice"] ** 2) / np.mean(noise**2)) * 10 ** (-data.signal_to_noise_db / 20)
        sounds = {"voice": wet["voice"] + noise, "piano": wet["piano"] + noise, "mix": wet["voice"] + wet["piano"] + noise}
        peak = 0.8 / np.abs(sounds["mix"]).max()
        scores.write_notes(folder / f"{name}.mid", {"voice": phrase.notes, "score": phrase.score, "piano": phrase.piano})
        row: dict[str, Any] = {
            "phrase": name,
            "seconds": len(voice) / SAMPLE_RATE,
            "singer": f"s{fold + 1}",
            "song": f"f{fold + 1}_s{song:02d}",
        }
        row |= {
            "song": f"f{fold + 1}_s{song:02d}",
            "timbre": f"p{fold + 1}",
            "fold": fold + 1,
            "text": " ".join(word.replace("-", "") for word in phrase.words),
        }
        row |= _timed(phrase, phones, spans, row["seconds"])
        row |= {"notes": phrase.notes, "score": phrase.score, "piano_notes": phrase.piano}
        row |= _given(data, phrase, words, analysed, spoken, ("none", "text", "score")[(number + song) % 3], random)
        for part in PARTS:
            audio.save(folder / f"{name}_{part}.wav", sounds[part] * peak, sample_rate=SAMPLE_RATE)
            rows.append({"clip_id": f"{name}_{part}", "part": part, **row, "samples": len(voice)})
    return rows


def _timed(phrase: Phrase, phones: Sequence[tuple[int, int, str]], spans: Sequence[tuple[int, int]], seconds: float) -> dict[str, Any]:
    """Columns of an index row: phones edge to edge with pauses, syllables as (start, end, text), words and their times."""
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
        (round(begin * PERIOD, 6), round(end * PERIOD, 6), one.text) for (begin, end), one in zip(spans, phrase.syllables, strict=True)
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
    data: Singing,
    phrase: Phrase,
    words: Sequence[str],
    analysed: dict[str, "Syllable"],
    spoken: dict[str, Utterance],
    deviation: str,
    random: Random,
) -> dict[str, Any]:
    """The text and the score that come with the recording, one of them not what was sung."""
    texts = [one.text for one in phrase.syllables]
    notes = [tuple(note) for note in phrase.score]
    others = sorted({syllable for word in words for syllable in word.lower().split("-")})
    if deviation == "text":
        for index in random.permutation(len(texts))[: max(1, round(data.deviation_share * len(texts)))]:
            texts[index] = str(random.choice([other for other in others if other != texts[index]]))
    if deviation == "score":
        for index in random.permutation(len(notes))[: max(1, round(data.deviation_share * len(notes)))]:
            onset, offset, pitch = notes[index]
            notes[index] = (onset, offset, pitch + int(random.choice([-5, -4, -3, 3, 4, 5])))
    given: list[str] = []
    for text in texts:
        if text not in analysed:
            analysed[text] = analyse(spoken[text])
        given += analysed[text].phones
    return {"deviation": deviation, "given_phones": given, "given_notes": notes}


# ---------------------------------------------------------------- composition


def compose(
    words: Sequence[str],
    singer_range: tuple[int, int],
    key: int,
    beat: float,
    progression: Sequence[int],
    pattern: int,
    random: Random,
) -> Phrase:
    """Two to three bars of melody with text, and the piano below it."""
    bars = 2 if beat > 0.66 else int(random.integers(2, 4))
    low, high = singer_range
    scale = [pitch for pitch in range(low, high + 1) if (pitch - key) % 12 in SCALE]
    place = int(random.integers(len(scale) // 3, 2 * len(scale) // 3 + 1))
    score: list[Note] = []
    syllables: list[Sung] = []
    chosen: list[str] = []
    position, end = 0.0, 4.0 * bars
    while position < end - 0.9:
        word = str(random.choice(list(words)))
        parts = word.lower().split("-")
        if position + 0.5 * len(parts) > end:
            break
        chosen.append(word)
        for part in parts:
            held = 1 + (int(random.integers(1, 3)) if random.random() < MELISMA else 0)
            first = len(score)
            for _ in range(held):
                beats = min(float(random.choice([0.5, 1.0, 1.0, 1.5, 2.0])), max(0.5, end - position))
                place = int(np.clip(place + random.choice([-3, -2, -1, -1, 0, 1, 1, 2, 3]), 0, len(scale) - 1))
                if held > 1 and len(score) > first and scale[place] == score[-1][2]:
                    place += 1 if place + 1 < len(scale) else -1  # a held syllable moves
                score.append((SILENCE_SECONDS + position * beat, SILENCE_SECONDS + (position + beats) * beat, scale[place]))
                position += beats
            syllables.append(Sung(part, len(chosen) - 1, first, len(score)))
        if random.random() < REST:
            position += 0.5
    seconds = 2 * SILENCE_SECONDS + max(position, end) * beat
    return Phrase(
        tuple(chosen), tuple(syllables), _sung(score, syllables, random), tuple(_rounded(note) for note in score),
        _accompaniment(bars, beat, key, progression, pattern, random), seconds,
    )  # fmt: skip


def _rounded(note: tuple[float, float, int]) -> Note:
    return round(note[0], 6), round(note[1], 6), int(note[2])


def _sung(score: Sequence[Note], syllables: Sequence[Sung], random: Random) -> tuple[Note, ...]:
    """The notes as this singer sings them: early, late, now and then wrong; an offset is never behind the next onset."""
    onsets = [onset + float(np.clip(random.normal(0, LATE_SECONDS), -0.06, 0.06)) for onset, _, _ in score]
    pitches = [pitch + (int(random.choice([-2, -1, 1, 2])) if random.random() < WRONG else 0) for _, _, pitch in score]
    for one in syllables:  # a change within a syllable stays one
        for index in range(one.first + 1, one.last):
            if pitches[index] == pitches[index - 1]:
                pitches[index] = score[index][2]
                pitches[index - 1] = score[index - 1][2]
    notes = []
    for index, (_, offset, _) in enumerate(score):
        after = onsets[index + 1] if index + 1 < len(score) else np.inf
        gap = after - offset > 0.2  # a rest follows: a singer leaves early
        notes.append(_rounded((onsets[index], min(offset - (0.05 if gap else 0.0), after), pitches[index])))
    return tuple(notes)


def _accompaniment(bars: int, beat: float, key: int, progression: Sequence[int], pattern: int, random: Random) -> tuple[Note, ...]:
    """Chords: together on the beats, broken into eighths, or a bass with chords after it."""
    notes = []
    for bar in range(bars):
        root = 36 + (key + progression[bar % len(progression)]) % 12
        minor = progression[bar % len(progression)] == 9
        chord = [root + 12 + step for step in (0, 3 if minor else 4, 7)]
        chord = [pitch - 12 if pitch > 64 else pitch for pitch in chord]
        if pattern == 0:
            played = [(position, 2.0 if position % 2 == 0 else 1.0, pitch) for position in (0.0, 2.0, 3.0) for pitch in (root, *chord)]
        elif pattern == 1:
            order = (root, chord[0], chord[1], chord[2], chord[0] + 12, chord[2], chord[1], chord[0])
            played = [(0.5 * step, 0.5, pitch) for step, pitch in enumerate(order)]
        else:
            played = [(position, 1.0, root) for position in (0.0, 2.0)] + [
                (position, 0.9, pitch) for position in (1.0, 3.0) for pitch in chord
            ]
        for position, beats, pitch in played:
            onset = SILENCE_SECONDS + (4 * bar + position) * beat + float(random.uniform(0, 0.008))
            notes.append(_rounded((onset, onset + 0.95 * beats * beat, pitch)))
    last: dict[int, int] = {}
    for index, (onset, offset, pitch) in enumerate(sorted(notes)):
        if pitch in last and notes[last[pitch]][1] > onset:  # the key goes up before it comes down again
            notes[last[pitch]] = (notes[last[pitch]][0], round(onset - 0.01, 6), pitch)
        notes.sort()
        last[pitch] = index
        assert offset > onset
    return tuple(sorted(notes))


# ---------------------------------------------------------------- sound


@dataclass(frozen=True)
class Syllable:
    """A spoken syllable as WORLD sees it, a frame every `PERIOD` seconds."""

    phones: tuple[str, ...]
    boundaries: np.ndarray  # (n_phones + 1,) frames
    vowel: int  # which phone is held
    spectra: np.ndarray  # (frames, bins)
    aperiodicities: np.ndarray  # (frames, bins)
    voiced: np.ndarray  # (frames,) bool


def analyse(utterance: Utterance) -> Syllable:
    """Spectral envelope and aperiodicity of a syllable; its phones say what is voiced."""
    import pyworld

    names, starts, end = german_speech.timed_phones(utterance)
    kept = [index for index, name in enumerate(names) if name != "_"]
    phones = tuple(names[index] for index in kept)
    boundaries = np.round(np.array([*(starts[index] for index in kept), end]) / espeak.SAMPLE_RATE / PERIOD).astype(int)
    y, rate = utterance.samples / 32768.0, espeak.SAMPLE_RATE
    hz, times = pyworld.dio(y, rate, frame_period=1000 * PERIOD)
    hz = pyworld.stonemask(y, hz, times, rate)
    hz = np.where(hz > 0, hz, float(np.median(hz[hz > 0])) if (hz > 0).any() else 150.0)
    voiced = np.zeros(len(hz), bool)
    for name, first, last in zip(phones, boundaries[:-1], boundaries[1:], strict=True):
        voiced[first:last] = name in VOICED
    spectra, aperiodicities = pyworld.cheaptrick(y, hz, times, rate), pyworld.d4c(y, np.where(voiced, hz, 0.0), times, rate)
    vowel = next((index for index, name in enumerate(phones) if name in VOWELS), None)
    if vowel is None:
        raise RuntimeError(f"espeak-ng spoke the phones {' '.join(phones)}: a syllable needs a vowel; write it otherwise in WORDS")
    return Syllable(phones, boundaries, vowel, spectra, aperiodicities, voiced)


def sing(
    phrase: Phrase, syllables: Mapping[str, Syllable], random: Random
) -> tuple[np.ndarray, list[tuple[int, int, str]], list[tuple[int, int]]]:
    """Sing a phrase.

    Returns
    -------
    y : (n_samples,) at `SAMPLE_RATE`, before room and noise
    phones : (first frame, frame behind the last, name), in order, pauses left out
    spans : of each syllable, (first frame, frame behind the last); frames are `PERIOD` seconds
    """
    import pyworld

    frames = round(phrase.seconds / PERIOD)
    bins = next(iter(syllables.values())).spectra.shape[1]
    spectra, aperiodicities, voiced = np.full((frames, bins), 1e-12), np.full((frames, bins), 1 - 1e-6), np.zeros(frames, bool)
    phones: list[tuple[int, int, str]] = []
    spans = _spans(phrase, syllables)
    for one, span in zip(phrase.syllables, spans, strict=True):
        of = syllables[one.text]
        bounds = _boundaries(of, round(phrase.notes[one.first][0] / PERIOD), *span)
        for name, first, last, begin, end in zip(of.phones, bounds[:-1], bounds[1:], of.boundaries[:-1], of.boundaries[1:], strict=True):
            if last == first:
                continue
            places = begin + ((np.arange(last - first) + 0.5) / (last - first) * (end - begin)).astype(int)
            places = np.minimum(places, len(of.spectra) - 1)
            spectra[first:last], aperiodicities[first:last] = of.spectra[places], of.aperiodicities[places]
            voiced[first:last] = of.voiced[places]
            phones.append((int(first), int(last), name))
    pitch = _pitch(phrase, spans, frames, random)
    hz = np.where(voiced, 440 * 2 ** ((pitch - 69) / 12), 0.0)
    y = pyworld.synthesize(hz, spectra, aperiodicities, espeak.SAMPLE_RATE, 1000 * PERIOD)
    y = soxr.resample(y, espeak.SAMPLE_RATE, SAMPLE_RATE, quality="HQ")
    count = round(frames * PERIOD * SAMPLE_RATE)
    return np.pad(y, (0, max(0, count - len(y))))[:count], phones, spans


def _spans(phrase: Phrase, syllables: Mapping[str, Syllable]) -> list[tuple[int, int]]:
    """First frame of each syllable and the one behind its last: consonants stand before the note, a small gap is sung through."""
    vowels = [round(phrase.notes[one.first][0] / PERIOD) for one in phrase.syllables]
    begins = []
    for index, (one, vowel) in enumerate(zip(phrase.syllables, vowels, strict=True)):
        of = syllables[one.text]
        earliest = vowels[index - 1] + SHORTEST_VOWEL if index else 0
        begins.append(min(vowel, max(vowel - int(of.boundaries[of.vowel] - of.boundaries[0]), earliest)))
    spans = []
    for index, one in enumerate(phrase.syllables):
        end = round(phrase.notes[one.last - 1][1] / PERIOD)
        if index + 1 < len(begins) and begins[index + 1] - end < LONGEST_LEGATO:
            end = begins[index + 1]
        spans.append((begins[index], end))
    return spans


def _boundaries(of: Syllable, vowel: int, begin: int, end: int) -> np.ndarray:  # (n_phones + 1,)
    """Frames of a sung syllable's phones: consonants as spoken where there is room, the vowel takes the rest."""
    coda = int(of.boundaries[-1] - of.boundaries[of.vowel + 1])
    turn = end - min(coda, (end - vowel) // 2)
    before, after = of.boundaries[: of.vowel + 1], of.boundaries[of.vowel + 1 :]

    def into(source: np.ndarray, first: int, last: int) -> np.ndarray:
        length = max(int(source[-1] - source[0]), 1)
        return np.round(first + (source - source[0]) / length * (last - first)).astype(int)

    return np.concatenate([into(before, begin, vowel)[:-1], [vowel], into(after, turn, end)])


def _pitch(phrase: Phrase, spans: Sequence[tuple[int, int]], frames: int, random: Random) -> np.ndarray:  # (frames,) MIDI numbers
    """Steps of the sung notes, with glides between them, scoops after pauses, vibrato on long notes, and a slow drift."""
    pitch = np.full(frames, float(phrase.notes[0][2]))
    joined = {
        one.first for one, (begin, _), (_, before) in zip(phrase.syllables[1:], spans[1:], spans[:-1], strict=True) if begin <= before
    }
    joined |= {index for one in phrase.syllables for index in range(one.first + 1, one.last)}
    for index, (onset, offset, number) in enumerate(phrase.notes):
        first = round(onset / PERIOD)
        pitch[first:] = number
        glide = round(random.uniform(*GLIDE_SECONDS) / PERIOD)
        scoop, depth, phase = random.uniform(0, SCOOP), random.uniform(*VIBRATO), random.uniform(0, 2 * np.pi)
        ease = 0.5 - 0.5 * np.cos(np.pi * (np.arange(glide) + 0.5) / glide)
        if index in joined:  # half of it before the note
            begin = max(first - glide // 2, 0)
            before = float(phrase.notes[index - 1][2])
            pitch[begin : begin + glide] = (before + (number - before) * ease)[: frames - begin]
        else:
            pitch[first : first + glide] = (number - scoop * (1 - ease))[: frames - first]
            back = max(first - 60, round(phrase.notes[index - 1][1] / PERIOD) if index else 0)
            pitch[back:first] = number - scoop
        t = np.arange(max(0, round((offset - onset) / PERIOD))) * PERIOD
        swell = np.clip((t - 0.25) / 0.3, 0, 1)
        pitch[first : first + len(t)] += (depth * swell * np.sin(2 * np.pi * 5.5 * t + phase))[: frames - first]
    drift = np.interp(np.arange(frames), np.linspace(0, frames, 12), random.normal(0, 0.08, 12))
    return pitch + drift


def play(phrase: Phrase, timbre: Timbre, random: Random) -> np.ndarray:
    """The piano's notes, each struck a little harder or softer: (n_samples,) at `SAMPLE_RATE`."""
    y = np.zeros(round(phrase.seconds * synth.SAMPLE_RATE) + synth.SAMPLE_RATE)
    for onset, offset, pitch in phrase.piano:
        sound = synth.note(timbre, pitch, round((offset - onset) * synth.SAMPLE_RATE))
        first = round(onset * synth.SAMPLE_RATE)
        y[first : first + len(sound)] += random.uniform(0.6, 1.0) * sound
    y = soxr.resample(y, synth.SAMPLE_RATE, SAMPLE_RATE, quality="HQ")
    return y[: round(round(phrase.seconds / PERIOD) * PERIOD * SAMPLE_RATE)]
