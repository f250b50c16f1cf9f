"""Synthetic German sentences: the grammar of `german_grammar`, spoken by espeak-ng (`espeak`), in simulated
rooms with noise.

Conventions: clips are 16 kHz mono 16-bit WAV; times are seconds from the clip's start. Phones lie edge to
edge: the first starts at 0.0, the last ends at the clip's length; ``"_"`` is silence: before and after the
speech, and where espeak-ng stops inside for at least `SHORTEST_PAUSE_SECONDS` (before a word's first vowel,
in slow voices). `PHONES` is the inventory, 43 and the pause.

Everything is a function of the settings: with one version of espeak-ng, numpy and soxr, on one machine, the
same bytes. What is drawn for a clip depends on ``corpus_seed`` and the clip's identity alone, so another
noise level leaves rooms and noises as they were.

Contents: `SPEAKERS`, `MERGED`, `PHONES`, `clips`, `pairs`, `timed_phones`, `pronounced`.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
import pandas as pd
import soxr
from pydantic import Field, model_validator

from audiomtl.data import audio
from audiomtl.data.corpora import espeak, generated, german_grammar, room
from audiomtl.data.corpora.espeak import Utterance, Voice
from audiomtl.errors import UserError
from audiomtl.settings.clips import DataSet
from audiomtl.settings.table import Count, Integers, NotNegative


class Settings(DataSet):
    """``[data]`` of the corpus.

    Most clips pair a speaker and a sentence of one side, so that a split in blocks of both drops few of them:
    speakers and sentences are numbered, the first ``held_out_speakers[0]`` speakers go with the first
    ``held_out_sentences[0]`` sentences (meant for test), the next ones likewise (validation), and the rest
    with the rest (train). With [] in both lists pairs are drawn uniformly.
    """

    corpus_seed: int = Field(description="Seed of the generator; another seed makes another corpus.")
    speakers: Annotated[int, Field(ge=2)] = Field(description="Number of synthetic voices, at most 24.")
    sentences: Count = Field(description="Number of different sentences.")
    clips: Count = Field(
        description="Number of clips, that is of distinct pairs of a speaker and a sentence."
    )
    own_words_share: Annotated[float, Field(ge=0, le=1)] = Field(
        description="Fraction of a sentence's content words that occur only in its block of sentences."
    )
    blocks: Count = Field(description="Number of blocks of sentences, each with words of its own.")
    signal_to_noise_db: float = Field(
        description="Level of the speech over background noise, in dB, mean over clips."
    )
    reverberation_seconds: NotNegative = Field(
        description="Longest reverberation time (RT60) of the simulated rooms, in seconds; 0 is dry."
    )
    held_out_speakers: Integers = Field(
        description="Number of speakers intended for test and for validation; [] draws pairs uniformly."
    )
    held_out_sentences: Integers = Field(
        description=(
            "Number of sentences intended for test and for validation; [] together with held_out_speakers"
            " = []."
        )
    )

    @model_validator(mode="after")
    def _sides_of_pairs(self) -> Self:
        sizes = {
            "speakers": (self.held_out_speakers, self.speakers),
            "sentences": (self.held_out_sentences, self.sentences),
        }
        for name, (held_out, size) in sizes.items():
            if (self.held_out_speakers or self.held_out_sentences) and (
                len(held_out) != 2 or min(held_out) < 1 or sum(held_out) >= size
            ):
                raise ValueError(
                    f"held_out_{name} must be two numbers >= 1, for test and validation, whose sum is below"
                    f" {name} = {size}, but got {list(held_out)}; [] in both lists draws pairs uniformly"
                )
        return self


VERSION = 1  # of this generator: raise it whenever the same settings would give other bytes
SAMPLE_RATE = 16000  # Hz
PAUSES = ("_",)  # that no phone error rate counts
SHORTEST_PAUSE_SECONDS = 0.03  # shorter gaps belong to the phone before them
SILENCE_SECONDS = (0.05, 0.15)  # before and after the speech
LOUDEST_PEAK = 0.45  # times up to +6 dB (2.0) is 0.9: nothing clips
LEVEL_DB = 6.0

# Speaker i is always the same voice. Neighbours differ in sex, pitch and rate, because sides of a split are
# runs of neighbours.
SPEAKERS = tuple(
    Voice(f"de+{variant}", pitch, pitch_range, words_per_minute)
    for variant, pitch, pitch_range, words_per_minute in (
        ("m3", 40, 50, 165),
        ("f2", 50, 60, 180),
        ("m7", 60, 45, 135),
        ("f5", 65, 50, 150),
        ("m1", 25, 40, 190),
        ("linda", 45, 55, 170),
        ("Andy", 45, 65, 145),
        ("f3", 35, 40, 205),
        ("m4", 55, 55, 175),
        ("steph", 60, 65, 130),
        ("m8", 50, 70, 200),
        ("f1", 35, 45, 160),
        ("norbert", 70, 50, 155),
        ("Annie", 60, 70, 195),
        ("m2", 70, 60, 215),
        ("f4", 70, 35, 140),
        ("michel", 35, 35, 125),
        ("belinda", 40, 50, 185),
        ("grandpa", 50, 60, 120),
        ("shelby", 60, 60, 210),
        ("m5", 30, 65, 220),
        ("grandma", 30, 45, 138),
        ("miguel", 65, 40, 172),
        ("Alicia", 40, 50, 188),
    )
)

# espeak-ng's names that are written otherwise here. Its dialect of "r" varies by position (tap, trill), which
# is one phone of German.
MERGED = {
    "ɾ": "ʁ",  # r before a vowel
    "r": "ʁ",
    "ɜ": "ɐ",  # -er
    "ɑ": "a",  # a of an unstressed open syllable
    "ɑː": "aː",
    "ɔø": "ɔʏ",  # eu, äu
    "l̩": "l",
    "n̩": "n",
}
_PHONES = (
    "_ aː a ɐ aɪ aʊ b d eː ə ɛ ɛː f h iː ɪ j k l m n oː ɔ ɔʏ øː œ p pf s t ts uː ʊ ʊɐ v x yː ʏ z ç ŋ ɡ ʁ ʃ"
)
PHONES = tuple(_PHONES.split())


def clips(data: Settings, folder: Path) -> pd.DataFrame:
    """The clip table of the corpus; generated in `folder` on first use.

    Parameters
    ----------
    data : its settings
    folder : where made corpora live; this one becomes ``german_speech-<key of the settings>``

    Returns
    -------
    DataFrame, one row per clip, sorted by ``clip_id``: ``clip_id, path, speaker, sentence, text, seconds,
    phones, starts, ends``
        and ``words`` (list of str), the words as spoken, so that the share of words unseen in train can be
        told.

    Raises
    ------
    UserError
        Settings that cannot be met, or espeakng-loader is not installed.
    """
    _check(data)
    key = hashlib.sha256(
        f"{VERSION} {data.model_dump_json(exclude=generated.READ_ONLY)}".encode()
    ).hexdigest()[:12]
    place = Path(folder).absolute() / f"german_speech-{key}"
    return pd.DataFrame(generated.rows(place, lambda temporary: _make(data, temporary))).pipe(_ordered)


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    return table[["clip_id", "path", *table.columns.drop(["clip_id", "path", "samples", "sha256"])]]


def _check(data: Settings) -> None:
    if data.speakers > len(SPEAKERS):
        raise UserError(
            f"data.speakers = {data.speakers}: must be at most {len(SPEAKERS)}, the number of voices; lower"
            " it"
        )
    if data.clips > data.speakers * data.sentences:
        most = data.speakers * data.sentences
        raise UserError(
            f"data.clips = {data.clips}: clips <= speakers * sentences = {most} must hold; lower it or add"
            " sentences"
        )


def pairs(data: Settings) -> np.ndarray:  # (clips, 2)
    """Choose the distinct (speaker, sentence) pairs that are spoken, as sorted indices.

    With held-out speakers and sentences about 92 of 100 pairs join a speaker and a sentence of one side ("on
    the diagonal"),
    test : validation : train as 20 : 12 : 60, spread evenly over the side's speakers and sentences; the other
        8 are off the diagonal,
    which a split in blocks drops. A side has no more pairs than its speakers times its sentences: what does
    not fit goes to the other sides, and off the diagonal only when they are full. 14 speakers (3, 2, 9) need
    300 sentences in 5 blocks (60, 60, 180) for 800 clips of the full 92 %. Otherwise pairs are drawn
    uniformly.
    """
    generator = _generator(data, "pairs")
    shape = (data.speakers, data.sentences)
    if not data.held_out_speakers:
        chosen = generator.choice(data.speakers * data.sentences, size=data.clips, replace=False)
        return np.sort(chosen)[:, None] // [data.sentences, 1] % shape
    held_out = (data.held_out_speakers, data.held_out_sentences)
    # speakers, sentences: the indices of test, validation and train
    sides = [
        np.split(np.arange(size), np.cumsum(numbers)) for size, numbers in zip(shape, held_out, strict=True)
    ]
    capacities = np.array(
        [len(speakers) * len(sentences) for speakers, sentences in zip(*sides, strict=True)]
    )
    counts = np.minimum(np.floor(data.clips * np.array([0.20, 0.12, 0.60])).astype(int), capacities)  # (3,)
    missing = min(round(0.92 * data.clips), capacities.sum()) - counts.sum()
    for side in (2, 0, 1):  # train takes the rest first
        extra = min(missing, capacities[side] - counts[side])
        counts[side] += extra
        missing -= extra
    # What the diagonal leaves must fit beside it; where it does not, the diagonal takes more.
    off_room = data.speakers * data.sentences - capacities.sum()
    for side in (2, 0, 1):
        counts[side] += min(max(0, data.clips - counts.sum() - off_room), capacities[side] - counts[side])
    chosen_pairs: list[tuple[int, int]] = []
    for speakers, sentences, count in zip(*sides, counts, strict=True):
        speakers, sentences = generator.permutation(speakers), generator.permutation(sentences)
        period = math.lcm(len(speakers), len(sentences))
        # a walk that visits every pair once, and each speaker and each sentence in turn
        for k in range(count):
            chosen_pairs.append((speakers[(k + k // period) % len(speakers)], sentences[k % len(sentences)]))
    side_of = [np.repeat([0, 1, 2], [len(values) for values in group_sides]) for group_sides in sides]
    off = np.argwhere(side_of[0][:, None] != side_of[1][None, :])
    off = off[generator.permutation(len(off))[: data.clips - len(chosen_pairs)]]
    return np.array(sorted([*chosen_pairs, *map(tuple, off.tolist())]))


def timed_phones(utterance: Utterance) -> tuple[list[str], list[int], int]:
    """Phones in this project's inventory, their first samples, and where the last one ends, all at
    espeak-ng's rate.

    Raises
    ------
    RuntimeError
        A name that is neither in `PHONES` nor in `MERGED`.
    """
    ends = [*utterance.starts[1:], len(utterance.samples)]
    names = [name.replace("ˈ", "").replace("ˌ", "") for name in utterance.phones]
    last = max(i for i, name in enumerate(names) if name)
    phones: list[str] = []
    starts: list[int] = []
    for name, start, end in zip(names[: last + 1], utterance.starts, ends, strict=False):
        if name:
            name = MERGED.get(name, name)
            if name not in PHONES:
                raise RuntimeError(
                    f"espeak-ng's phone {name!r} is in no table of german_speech.py: add it to PHONES or"
                    " MERGED"
                )
        elif (
            phones and end - start >= SHORTEST_PAUSE_SECONDS * espeak.SAMPLE_RATE
        ):  # before the first phone silence is longer anyway
            name = "_"
        if name and end > start:
            phones.append(name)
            starts.append(start)
    return phones, starts, ends[last]


def pronounced(words: Sequence[str], voice: Voice = SPEAKERS[0]) -> list[list[str]]:
    """Phones of each word, without pauses, each spoken alone; of a word with hyphens each part is.

    Names are this project's where it has one (`MERGED`), else espeak-ng's own: of a foreign word they need
    not be in `PHONES`.

    Raises
    ------
    UserError : a word that cannot be spoken, espeakng-loader is not installed.
    """
    parts = [(number, part) for number, word in enumerate(words) for part in word.lower().split("-") if part]
    found: list[list[str]] = [[] for _ in words]
    for (number, _), utterance in zip(parts, espeak.speak([(voice, part) for _, part in parts]), strict=True):
        ends = [*utterance.starts[1:], len(utterance.samples)]
        for name, start, end in zip(utterance.phones, utterance.starts, ends, strict=True):
            plain = name.replace("ˈ", "").replace("ˌ", "")
            # "(en)": espeak-ng goes on in that language
            if plain and end > start and not plain.startswith("("):
                found[number].append(MERGED.get(plain, plain))
    if silent := [word for word, phones in zip(words, found, strict=True) if not phones]:
        raise UserError(
            f'"{silent[0]}": espeak-ng cannot pronounce it; leave it out or spell it as it sounds'
        )
    return found


def _generator(data: Settings, *names: str) -> np.random.Generator:
    seed = hashlib.sha256("/".join([str(data.corpus_seed), *names]).encode()).digest()
    return np.random.default_rng(int.from_bytes(seed[:16], "big"))


def _clip(data: Settings, clip: str, utterance: Utterance) -> tuple[np.ndarray, list[str], list[float]]:
    """Waveform (n_samples,) at `SAMPLE_RATE`, phones, and their boundaries in seconds (one more than
    phones).
    """
    generator = _generator(data, "clip", clip)
    before, after = (round(seconds * SAMPLE_RATE) for seconds in generator.uniform(*SILENCE_SECONDS, size=2))
    phones, starts, end = timed_phones(utterance)
    speech = soxr.resample(
        utterance.samples / np.float32(32768), espeak.SAMPLE_RATE, SAMPLE_RATE, quality="HQ"
    )
    dry = np.pad(speech.astype(np.float64), (before, after))
    spoken = slice(before, before + round(end * SAMPLE_RATE / espeak.SAMPLE_RATE))
    wet = room.reverberate(dry, data.reverberation_seconds, sample_rate=SAMPLE_RATE, generator=generator)
    y = room.add_noise(
        wet, data.signal_to_noise_db, spoken=spoken, sample_rate=SAMPLE_RATE, generator=generator
    )
    y *= LOUDEST_PEAK * 10 ** (generator.uniform(-LEVEL_DB, LEVEL_DB) / 20) / np.abs(y).max()
    boundaries = [before / SAMPLE_RATE + sample / espeak.SAMPLE_RATE for sample in (*starts, end)]
    boundaries = [0.0, *(round(boundary, 7) for boundary in boundaries), len(y) / SAMPLE_RATE]
    return y, ["_", *phones, "_"], boundaries


def _make(data: Settings, folder: Path) -> Iterator[dict[str, Any]]:
    """Write the recordings into ``folder``; the rows of the index."""
    seed = int(_generator(data, "sentences").integers(2**32))
    sentences = german_grammar.sentences(
        data.sentences, blocks=data.blocks, own_words_share=data.own_words_share, seed=seed
    )
    spoken = [
        (f"s{speaker:02d}", SPEAKERS[speaker], sentences[sentence]) for speaker, sentence in pairs(data)
    ]
    utterances = espeak.speak([(voice, sentence.text) for _, voice, sentence in spoken])
    for (speaker, _, sentence), utterance in zip(spoken, utterances, strict=True):
        clip = f"{speaker}_{sentence.sentence}"
        y, phones, boundaries = _clip(data, clip, utterance)
        audio.save(folder / f"{clip}.wav", y, sample_rate=SAMPLE_RATE)
        row = {"clip_id": clip, "speaker": speaker, "sentence": sentence.sentence, "text": sentence.text}
        row |= {
            "seconds": boundaries[-1],
            "phones": phones,
            "starts": boundaries[:-1],
            "ends": boundaries[1:],
        }
        yield row | {"words": sentence.words, "samples": len(y)}
