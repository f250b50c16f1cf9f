"""Synthetic singing: bytes from settings, phones and notes where the sound has them, parts that add up,
folds apart.
"""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from audiomtl.data import protocols, scores
from audiomtl.data.corpora import composition, singing, vocoder
from audiomtl.data.corpora.singing import Settings as Singing
from audiomtl.errors import UserError
from audiomtl.settings.protocol import Protocol

PROJECT = Path(__file__).parents[3]
FILE = tomllib.loads((PROJECT / "experiments" / "multitask_singing.toml").read_text(encoding="utf-8"))
FRAME = vocoder.PERIOD
LINES = ["Son-ne Mond Ster-ne Blu-me Was-ser Schnee", "Träu-me Nacht Lie-be Vo-gel Fisch"]


def settings(**changes) -> Singing:
    values = FILE["data"] | {
        "singers": 3,
        "songs": 1,
        "phrases": 3,
        "parts": ["mix", "piano", "voice"],
        "signal_to_noise_db": 40.0,
    }
    return Singing(**{**values, **changes})


@pytest.fixture(scope="module", autouse=True)
def few_words():
    """A dozen words: every syllable is spoken and analysed in every voice."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(singing, "WORDS", tuple(" ".join(LINES).split()))
        patch.setattr(singing, "_make", one_process)
        yield


def one_process(data: Singing, folder: Path, jobs=None):
    """Songs without a pool, in an order of one's own."""
    texts = sorted({syllable for word in singing.WORDS for syllable in word.lower().split("-")})
    spoken = list(
        singing.espeak.speak(
            [(voice, text) for voice, _ in singing.SINGERS[: data.singers] for text in texts]
        )
    )
    voices = [dict(zip(texts, spoken[len(texts) * singer :], strict=False)) for singer in range(data.singers)]
    for singer, song in jobs or [
        (singer, song) for singer in range(data.singers) for song in range(data.songs)
    ]:
        yield from singing._song(data, folder, (singer, song), voices[singer])


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> pd.DataFrame:
    return singing.clips(settings(), tmp_path_factory.mktemp("singing"))


@pytest.fixture(scope="module")
def sung(table) -> pd.DataFrame:
    return table[table["part"] == "mix"]


# ---------------------------------------------------------------- the table


def test_the_table_says_what_was_made(table) -> None:
    assert (
        len(table) == 3 * 1 * 3 * 3
        and table["clip_id"].is_unique
        and table["clip_id"].is_monotonic_increasing
    )
    assert set(table["part"]) == {"mix", "piano", "voice"} and sorted(table["fold"].unique()) == [1, 2, 3]
    for row in table.itertuples():
        y, rate = soundfile.read(row.path)
        assert rate == 16000 and len(y) == pytest.approx(row.seconds * rate, abs=1) and np.abs(y).max() < 1
        assert Path(row.path).stem == row.clip_id and 4 <= row.seconds <= 10
        notes = {
            name: scores.read_notes(row.midi_path, instrument=name) for name in ("voice", "score", "piano")
        }
        for name, column in (("voice", row.notes), ("score", row.score), ("piano", row.piano_notes)):
            if column is not None:
                assert np.allclose(notes[name], column, atol=2e-4)


def test_parts_lack_what_they_have_not(table) -> None:
    piano, voice = table[table["part"] == "piano"], table[table["part"] == "voice"]
    for column in ("phones", "syllables", "word_starts", "word_ends", "notes"):
        assert all(value is None for value in piano[column]) and all(
            value is not None for value in voice[column]
        )
    assert all(value is None for value in voice["piano_notes"]) and all(
        value is not None for value in piano["piano_notes"]
    )
    only = singing.clips(settings(parts=["voice"]), Path(table["path"][0]).parents[1])
    assert only["path"].tolist() == voice["path"].tolist()  # the same corpus


def test_times_hang_together(sung) -> None:
    for row in sung.itertuples():
        assert (
            row.starts[0] == 0 and list(row.starts[1:]) == list(row.ends[:-1]) and row.ends[-1] == row.seconds
        )
        assert all(start < end for start, end in zip(row.starts, row.ends, strict=True))
        assert row.phones[0] == row.phones[-1] == "_" and len(row.phones) == len(row.starts)
        for notes in (row.notes, row.score, row.piano_notes):
            assert all(0 <= onset < offset <= row.seconds for onset, offset, _ in notes)
        scores.monophonic("sung", map(tuple, row.notes))
        scores.checked("played", map(tuple, row.piano_notes))
        assert (
            len(row.notes) == len(row.score)
            and max(abs(one[0] - other[0]) for one, other in zip(row.notes, row.score, strict=True)) < 0.07
        )
        assert [word.lower() for word in row.text.split()] == list(row.words)
        for start, end, word in zip(row.word_starts, row.word_ends, row.words, strict=True):
            assert (
                "".join(text for first, last, text in row.syllables if start <= first and last <= end) == word
            )


def test_a_vowel_begins_with_its_note_and_consonants_before(sung) -> None:
    late = 0
    for row in sung.itertuples():
        onsets = np.array([note[0] for note in row.notes])
        starts, spans = np.array(row.starts), row.syllables
        for begin, end, text in spans:
            inside = [k for k, start in enumerate(starts) if begin <= start < end and row.phones[k] != "_"]
            vowels = [k for k in inside if row.phones[k] in vocoder.VOWELS]
            assert vowels, text
            first = starts[vowels[0]]
            assert np.abs(onsets - first).min() <= FRAME, text
            late += vowels[0] > inside[0]
            assert all(starts[k] < first for k in inside if k < vowels[0])
    assert late > 10  # syllables with a consonant before the vowel


def test_the_voice_sings_its_notes(sung) -> None:
    """Measured in the middle third of long notes, within a semitone of what the table says.

    By the vowel, not by what is written.
    """
    import pyworld

    right = []
    for row in sung.itertuples():
        y, rate = soundfile.read(row.vocals_path)
        hz, times = pyworld.dio(y, rate, frame_period=1000 * FRAME, f0_floor=60.0, f0_ceil=700.0)
        hz = pyworld.stonemask(y, hz, times, rate)
        for onset, offset, pitch in row.notes:
            third = (offset - onset) / 3
            middle = hz[(times > onset + third) & (times < offset - third) & (hz > 0)]
            if offset - onset > 0.5 and len(middle) > 5:
                right.append(abs(12 * np.log2(np.median(middle) / 440) + 69 - pitch))
    assert len(right) > 20 and np.mean(np.array(right) < 1.0) > 0.9 and np.median(right) < 0.4


def test_parts_add_up(table) -> None:
    """Every part has the noise of the room, and the same: a mix is voice and piano less one of it."""
    for phrase, rows in table.groupby("phrase"):
        y = {row.part: soundfile.read(row.path)[0] for row in rows.itertuples()}
        noise = y["voice"] + y["piano"] - y["mix"]
        powers = {part: np.mean(sound**2) for part, sound in y.items()}
        assert 10 * np.log10((powers["voice"] - np.mean(noise**2)) / np.mean(noise**2)) == pytest.approx(
            40, abs=0.5
        ), phrase
        assert rows["vocals_path"].nunique() == rows["piano_path"].nunique() == 1
        assert rows["vocals_path"].iloc[0] == rows.loc[rows["part"] == "voice", "path"].iloc[0]
        assert abs(np.corrcoef(y["voice"], y["piano"])[0, 1]) < 0.3
        first = next(row.starts[1] for row in rows.itertuples() if row.part == "voice")
        silence, rest = np.split(y["voice"], [int((first - 0.02) * 16000)])
        assert np.mean(silence**2) < 0.01 * np.mean(rest**2), phrase  # nothing is sung before the first phone


def test_what_deviates_deviates_and_nothing_else(sung) -> None:
    assert sung["deviation"].value_counts().to_dict() == {"none": 3, "text": 3, "score": 3}
    for row in sung.itertuples():
        spoken = [phone for phone in row.phones if phone != "_"]
        assert (list(row.given_phones) != spoken) is (row.deviation == "text")
        other = [
            one for one, written in zip(row.given_notes, row.score, strict=True) if list(one) != list(written)
        ]
        assert len(other) == (len(row.score) if row.deviation == "score" else 0)  # deviation_share = 1.0
        # pitches, not times
        assert all(one[:2] == written[:2] for one, written in zip(row.given_notes, row.score, strict=True))


def test_every_deviation_of_a_recording(table, sung) -> None:
    every = singing.clips(settings(parts=["mix"], every_deviation=True), Path(table["path"][0]).parents[1])
    assert (
        len(every) == 3 * len(sung)
        and every["path"].nunique() == len(sung)
        and every["clip_id"].is_monotonic_increasing
    )
    for row in sung.to_dict("records"):
        three = every[every["path"] == row["path"]].set_index("deviation")
        assert sorted(three.index) == ["none", "score", "text"]
        own = three.loc[row["deviation"]]
        assert list(own["given_phones"]) == list(row["given_phones"]) and list(own["given_notes"]) == list(
            row["given_notes"]
        )
        assert (
            list(three.loc["none"]["given_phones"])
            == list(three.loc["score"]["given_phones"])
            != list(three.loc["text"]["given_phones"])
        )
        assert (
            list(three.loc["none"]["given_notes"])
            == list(three.loc["text"]["given_notes"])
            != list(three.loc["score"]["given_notes"])
        )


def test_what_is_given_might_have_been_sung() -> None:
    """Other words are the song's, other notes in a row are its scale's, within the singer's range:
    neither alone tells that it deviates.
    """
    words, random = ["Son-ne", "Mond", "Ster-ne", "Blu-me"], np.random.default_rng(1)
    score = [
        (0.5 * index, 0.5 * index + 0.4, pitch)
        for index, pitch in enumerate((48, 50, 52, 53, 55, 57, 59, 60))
    ]
    for _ in range(50):
        chosen = [str(word) for word in random.choice(words, 6)]
        other = composition.other_words(words, chosen, 0.5, random)
        assert (
            len(other) == 6
            and set(other) <= set(words)
            and sum(one != before for one, before in zip(other, chosen, strict=True)) == 3
        )
        notes = composition.other_melody(score, (48, 62), 0, 0.5, random)
        changed = [
            index for index, (one, before) in enumerate(zip(notes, score, strict=True)) if one != before
        ]
        assert len(changed) == 4 and changed == list(range(changed[0], changed[0] + 4))
        assert all(one[:2] == before[:2] for one, before in zip(notes, score, strict=True))
        assert all(48 <= pitch <= 62 and pitch % 12 in composition.SCALE for *_, pitch in notes)


# ---------------------------------------------------------------- the same again


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix in (".wav", ".mid")
    }


def test_the_same_settings_give_the_same_bytes_in_any_order(table, tmp_path) -> None:
    made = contents(Path(table["path"][0]).parent)
    rows = list(one_process(settings(), tmp_path, [(2, 0), (0, 0), (1, 0)]))
    assert contents(tmp_path) == made and sorted(row["clip_id"] for row in rows) == table["clip_id"].tolist()
    other = {row["clip_id"]: row for row in rows}
    for row in table[table["part"] == "mix"].to_dict("records"):
        again = other[row["clip_id"]]
        assert list(again["phones"]) == list(row["phones"]) and list(again["starts"]) == list(row["starts"])
        assert list(again["given"][row["deviation"]][0]) == list(row["given_phones"])


def test_other_settings_are_another_corpus(table, tmp_path) -> None:
    folder = Path(table["path"][0]).parents[1]
    assert singing.clips(settings(label="song", groups=[]), folder)["path"].equals(table["path"])
    made = contents(Path(table["path"][0]).parent)
    for decibels in (3.0, 9.0):
        place = tmp_path / str(decibels)
        place.mkdir()
        list(
            one_process(
                settings(voice_over_piano_db=decibels, reverberation_seconds=0.0, phrases=1), place, [(0, 0)]
            )
        )
        again = contents(place)
        assert all(made[name] != content for name, content in again.items() if name.endswith(".wav"))
        voice, piano = (soundfile.read(place / f"v01_s00_p00_{part}.wav")[0] for part in ("voice", "piano"))
        # 40 dB above the noise
        assert 10 * np.log10(np.mean(voice**2) / np.mean(piano**2)) == pytest.approx(decibels, abs=0.1)
    drawn = (
        singing._generator(settings(corpus_seed=2), "song", 0, 0).random(),
        singing._generator(settings(), "song", 0, 0).random(),
    )
    assert drawn[0] != drawn[1]


def test_more_songs_leave_the_first_as_they_are(table, tmp_path) -> None:
    made = contents(Path(table["path"][0]).parent)
    list(one_process(settings(songs=2, phrases=1), tmp_path, [(1, 0)]))
    again = contents(tmp_path)
    assert again and again.items() <= made.items()


@pytest.mark.slow
def test_another_process_gives_the_same_bytes(table, tmp_path) -> None:
    """With another seed of hashing, where sets have another order."""
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]); from tests.data.corpora import"
        " test_singing as t\nt.singing.WORDS = tuple(' '.join(t.LINES).split());"
        " list(t.one_process(t.settings(), Path(sys.argv[2]), [(1, 0)]))"
    )
    environment = os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": str(PROJECT)}
    subprocess.run(
        [sys.executable, "-c", code, str(PROJECT), str(tmp_path)], check=True, env=environment, cwd=tmp_path
    )
    again = contents(tmp_path)
    assert len(again) == 12 and again.items() <= contents(Path(table["path"][0]).parent).items()


def test_a_pitch_with_other_last_bits_gives_the_same_bytes(table, tmp_path, monkeypatch) -> None:
    """On another processor a power has them; see the constant `vocoder.HZ_DECIMALS`."""
    drawn, random = vocoder._pitch, np.random.default_rng(1)

    def pitch(*given):
        exact = drawn(*given)
        return exact * (1 + 1e-13 * random.integers(-1, 2, len(exact)))

    monkeypatch.setattr(vocoder, "_pitch", pitch)
    list(one_process(settings(phrases=2), tmp_path, [(1, 0)]))
    again = contents(tmp_path)
    assert len(again) == 8 and again.items() <= contents(Path(table["path"][0]).parent).items()


# ---------------------------------------------------------------- sides and refusals


def test_no_singer_song_or_piano_is_on_two_sides(table) -> None:
    """Under the experiment's own protocol, for every seed that it has."""
    for seed in (*FILE["seeds"], FILE["study_seed"]):
        sides = protocols.divide(table, settings(), Protocol(**FILE["protocol"]), seed).sides()
        for column in FILE["data"]["groups"]:
            values = [set(side[column]) for side in sides.values()]
            assert all(values) and not (
                values[0] & values[1] or values[0] & values[2] or values[1] & values[2]
            ), (seed, column)


def test_what_is_not_there_is_refused(tmp_path) -> None:
    with pytest.raises(
        UserError,
        match=r'data\.label = "singers": must be one of deviation, singer, song, timbre; did you mean singer',
    ):
        singing.clips(settings(label="singers"), tmp_path)
    with pytest.raises(
        UserError, match=r"data\.singers = 13: must be at most 12, the number of voices; lower it"
    ):
        singing.clips(settings(singers=13), tmp_path)


# ---------------------------------------------------------------- the shipped corpus, composed only


def test_every_fold_has_a_low_and_a_high_voice_and_every_song_a_piano() -> None:
    data = Singing(**FILE["data"])
    assert (
        data.singers
        == len(singing.SINGERS)
        == len({voice.name for voice, _ in singing.SINGERS})
        == 2 * singing.FOLDS
    )
    for (_, one), (_, other) in zip(
        singing.SINGERS[: singing.FOLDS], singing.SINGERS[singing.FOLDS :], strict=True
    ):
        (_, low), (high, _) = sorted([one, other])
        assert low - high < 8  # neither sings all that the other does
    pianos = {
        singing.piano(singing._generator(data, "song", singer, song))
        for singer in range(data.singers)
        for song in range(data.songs)
    }
    assert len(pianos) == data.singers * data.songs


def test_the_shipped_corpus_has_300_phrases_of_4_to_10_seconds(monkeypatch) -> None:
    """Its phrases as they are composed, without singing them."""
    monkeypatch.setattr(singing, "WORDS", tuple(singing.LYRICS.split()))
    data = Singing(**FILE["data"])
    found = [
        phrase
        for singer in range(data.singers)
        for song in range(data.songs)
        for phrase in composed(data, singer, song)
    ]
    assert len(found) >= 300 and all(4 <= phrase.seconds <= 10 for phrase in found)
    assert (
        np.mean([len(phrase.words) for phrase in found]) > 2
        and min(len(phrase.notes) for phrase in found) >= 2
    )
    held = np.mean([one.last - one.first > 1 for phrase in found for one in phrase.syllables])
    wrong = np.mean(
        [
            sung[2] != written[2]
            for phrase in found
            for sung, written in zip(phrase.notes, phrase.score, strict=True)
        ]
    )
    assert 0.1 < held < 0.2 and 0.02 < wrong < 0.06
    late = np.array(
        [
            sung[0] - written[0]
            for phrase in found
            for sung, written in zip(phrase.notes, phrase.score, strict=True)
        ]
    )
    assert np.abs(late).max() <= 0.061 and 0.02 < late.std() < 0.03 and abs(late.mean()) < 0.003
    for number, phrase in enumerate(found):
        low, high = singing.SINGERS[number // (data.songs * data.phrases)][1]
        assert all(low <= pitch <= high for *_, pitch in phrase.score)
        scores.checked("piano", phrase.piano), scores.monophonic("sung", phrase.notes)


def composed(data: Singing, singer: int, song: int) -> list[singing.Phrase]:
    """The phrases of one song, drawn as `_song` draws them, before anything sounds."""
    habits = singing._generator(data, "song", singer, song)
    key, beat = int(habits.integers(12)), 60 / float(habits.uniform(70, 110))
    progression, pattern = (
        singing.PROGRESSIONS[int(habits.integers(len(singing.PROGRESSIONS)))],
        int(habits.integers(3)),
    )
    words = [
        singing.WORDS[number]
        for number in np.sort(habits.permutation(len(singing.WORDS))[: 2 * len(singing.WORDS) // 3])
    ]
    numbers = [singing._generator(data, "phrase", singer, song, number) for number in range(data.phrases)]
    return [
        singing.compose(words, singing.SINGERS[singer][1], key, beat, progression, pattern, random)
        for random in numbers
    ]


def test_what_is_composed_is_what_is_sung(sung) -> None:
    phrases = [phrase for singer in range(3) for phrase in composed(settings(), singer, 0)]
    for phrase, row in zip(phrases, sung.itertuples(), strict=True):
        assert [list(note) for note in phrase.notes] == list(row.notes) and [
            list(note) for note in phrase.piano
        ] == list(row.piano_notes)
