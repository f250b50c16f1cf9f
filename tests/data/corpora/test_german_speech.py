"""The corpus of German sentences: bytes, times, split and words hold what the module promises."""

import hashlib
import itertools
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from audiomtl.data import audio
from audiomtl.data.corpora import espeak, german_grammar, german_speech, room
from audiomtl.data.corpora.german_speech import Settings as GermanSpeech
from audiomtl.errors import UserError

BASE = {
    "dataset": "german_speech",
    "groups": ["speaker", "sentence"],
    "held_out_speakers": [2, 1],
    "held_out_sentences": [12, 12],
    "corpus_seed": 7,
    "speakers": 8,
    "sentences": 60,
    "clips": 60,
    "own_words_share": 0.4,
    "blocks": 5,
    "signal_to_noise_db": 25.0,
    "reverberation_seconds": 0.2,
}


def settings(**changes) -> GermanSpeech:
    return GermanSpeech(**(BASE | changes))


def checksums(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".lock"))
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpora")
    return folder, german_speech.clips(settings(), folder)


# The table


def test_table_is_sorted_whole_and_absolute(made):
    folder, table = made
    assert list(table.columns) == [
        "clip_id",
        "path",
        "speaker",
        "sentence",
        "text",
        "seconds",
        "phones",
        "starts",
        "ends",
        "words",
    ]
    assert len(table) == 60 and table["clip_id"].is_monotonic_increasing and table["clip_id"].is_unique
    assert list(table.index) == list(range(60))
    assert all(Path(path).is_absolute() and Path(path).parent.parent == folder for path in table["path"])
    assert (table["clip_id"] == table["speaker"] + "_" + table["sentence"]).all()
    assert not list(folder.glob(".*making"))


def test_clips_are_16_khz_mono_below_full_scale(made):
    for row in made[1].itertuples():
        assert audio.info(row.path)[:] == (row.seconds, 16000, 1)
        assert 0.2 < np.abs(audio.load(row.path, sample_rate=None)).max() < 0.91


def test_phones_lie_edge_to_edge_from_0_to_the_end(made):
    for row in made[1].itertuples():
        assert row.starts[0] == 0.0 and row.ends[-1] == row.seconds
        assert row.starts[1:] == row.ends[:-1] and len(row.phones) == len(row.starts)
        assert (np.subtract(row.ends, row.starts) > 0.002).all()
        assert row.phones[0] == row.phones[-1] == "_" and "_" not in {row.phones[1], row.phones[-2]}
        assert row.starts[1] >= 0.05 and row.ends[-1] - row.starts[-1] >= 0.05
        assert set(row.phones) <= set(german_speech.PHONES)
        assert not any(a == b == "_" for a, b in itertools.pairwise(row.phones))


def test_times_fit_the_sound(made):
    """Pauses are silent, sibilants are bright, and the times are no 15 ms off: moved times fit worse."""

    def contrast(shift: float) -> tuple[float, float]:
        levels: dict[bool, list] = {True: [], False: []}
        centroids: dict[bool, list] = {True: [], False: []}
        for row in made[1].itertuples():
            y = audio.load(row.path, sample_rate=None)
            y = y / np.sqrt(np.mean(y**2))
            for phone, start, end in zip(row.phones, row.starts, row.ends, strict=True):
                if phone == "_":
                    start, end = (
                        (max(start, end - 0.04), end) if start == 0 else (start, min(end, start + 0.04))
                    )
                part = y[max(0, round((start + shift) * 16000)) : round((end + shift) * 16000)]
                if len(part) < 160:
                    continue
                if phone in ("_", "a", "aː", "aɪ", "ɔ"):
                    levels[phone == "_"].append(10 * np.log10(np.mean(part**2) + 1e-9))
                if phone in ("s", "ʃ", "a", "aː", "aɪ", "ɔ", "ə"):
                    power = np.abs(np.fft.rfft(part)) ** 2
                    centroids[phone in "sʃ"].append(
                        np.sum(power * np.fft.rfftfreq(len(part), 1 / 16000)) / np.sum(power)
                    )
        return np.mean(levels[False]) - np.mean(levels[True]), np.median(centroids[True]) - np.median(
            centroids[False]
        )

    level, centroid = contrast(0.0)
    assert level > 10 and centroid > 1500
    for shift in (-0.015, 0.015):
        assert contrast(shift)[0] < level - 1
    assert contrast(-0.03)[1] < centroid / 1.5  # earlier, a sibilant's part holds the vowel before it


# Bytes


def test_same_bytes_in_another_folder_directory_and_process(made, tmp_path):
    code = "import sys; from pathlib import Path; from audiomtl.data.corpora import german_speech; "
    code += "german_speech.clips(german_speech.Settings.model_validate_json(sys.argv[1]), Path('made'))"
    environment = os.environ | {
        "PYTHONHASHSEED": "5",
        "PYTHONPATH": str(Path(german_speech.__file__).parents[3]),
    }
    subprocess.run(
        [sys.executable, "-c", code, settings().model_dump_json()], cwd=tmp_path, env=environment, check=True
    )
    assert checksums(tmp_path / "made") == checksums(made[0])
    assert len(checksums(made[0])) == 61


def test_a_clip_is_the_same_in_a_larger_corpus(made, tmp_path):
    table = german_speech.clips(settings(clips=100), tmp_path)
    common = sorted(set(table["clip_id"]) & set(made[1]["clip_id"]))
    assert len(common) > 10
    for clip in common[:10]:
        assert (
            next(tmp_path.rglob(f"{clip}.wav")).read_bytes()
            == next(made[0].rglob(f"{clip}.wav")).read_bytes()
        )


def test_the_index_names_what_the_files_hold(made):
    place = Path(made[1]["path"][0]).parent
    for line in (place / "index.jsonl").read_text().splitlines():
        row = json.loads(line)
        assert hashlib.sha256((place / f"{row['clip_id']}.wav").read_bytes()).hexdigest() == row["sha256"]


def test_later_calls_only_read_and_a_damaged_corpus_is_made_again(tmp_path, monkeypatch):
    data = settings(clips=10)
    table = german_speech.clips(data, tmp_path)
    before = checksums(tmp_path)

    def refuse(requests):
        raise AssertionError("spoke again")

    with monkeypatch.context() as patch:
        patch.setattr(espeak, "speak", refuse)
        assert german_speech.clips(data, tmp_path).equals(table)
    for damage in (Path(table["path"][3]).unlink, lambda: Path(table["path"][5]).write_bytes(b"RIFF")):
        damage()
        assert german_speech.clips(data, tmp_path).equals(table)
        assert checksums(tmp_path) == before


def test_two_callers_at_once_make_it_once(tmp_path, monkeypatch):
    spoken, speak = [], espeak.speak
    monkeypatch.setattr(espeak, "speak", lambda requests: spoken.append(len(requests)) or speak(requests))
    with ThreadPoolExecutor(2) as pool:
        tables = list(pool.map(lambda _: german_speech.clips(settings(clips=30), tmp_path), range(2)))
    assert tables[0].equals(tables[1])
    assert spoken == [30]


def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(requests):
        raise RuntimeError("no voice today")
        yield

    monkeypatch.setattr(espeak, "speak", fail)
    with pytest.raises(RuntimeError, match="no voice"):
        german_speech.clips(settings(), tmp_path)
    assert checksums(tmp_path) == {} and not [path for path in tmp_path.iterdir() if path.is_dir()]


# Which pairs are spoken


def sides(indices: np.ndarray, test: int, validation: int) -> np.ndarray:
    return np.digitize(indices, [test, test + validation])


def test_92_percent_on_the_diagonal_20_12_60_and_even():
    data = settings(
        speakers=14, sentences=300, clips=800, held_out_speakers=[3, 2], held_out_sentences=[60, 60]
    )
    chosen = german_speech.pairs(data)
    assert chosen.shape == (800, 2) and len(set(map(tuple, chosen.tolist()))) == 800
    speaker_side, sentence_side = sides(chosen[:, 0], 3, 2), sides(chosen[:, 1], 60, 60)
    on = speaker_side == sentence_side
    assert np.bincount(speaker_side[on]).tolist() == [160, 96, 480]
    for side, n_speakers, n_sentences in ((0, 3, 60), (1, 2, 60), (2, 9, 180)):
        for column, size in ((0, n_speakers), (1, n_sentences)):
            counts = np.unique(chosen[on & (speaker_side == side), column], return_counts=True)[1]
            assert len(counts) == size and counts.max() - counts.min() <= 2


def test_full_sides_overflow_to_the_others_and_then_off_the_diagonal():
    data = settings(
        speakers=14, sentences=100, clips=800, held_out_speakers=[3, 2], held_out_sentences=[20, 20]
    )
    chosen = german_speech.pairs(data)
    speaker_side = sides(chosen[:, 0], 3, 2)
    assert np.bincount(speaker_side[speaker_side == sides(chosen[:, 1], 20, 20)]).tolist() == [60, 40, 540]
    assert len(set(map(tuple, chosen.tolist()))) == 800


def test_otherwise_pairs_are_uniform():
    chosen = german_speech.pairs(settings(clips=240, held_out_speakers=[], held_out_sentences=[]))
    assert len(set(map(tuple, chosen.tolist()))) == 240
    assert np.array_equal(chosen, sorted(chosen.tolist()))
    assert np.bincount(chosen[:, 0]).min() > 15 and chosen.max(axis=0).tolist() == [7, 59]
    # independent sides: 0.45
    assert 0.25 < np.mean(sides(chosen[:, 0], 2, 1) == sides(chosen[:, 1], 12, 12)) < 0.65


def test_every_pair_can_be_spoken():
    assert len(np.unique(german_speech.pairs(settings(clips=480)), axis=0)) == 480


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"speakers": 25}, "at most 24, the number of voices"),
        ({"clips": 481}, "clips <= speakers . sentences = 480"),
        ({"blocks": 40}, "must be at most 18"),
        ({"sentences": 24, "blocks": 25, "held_out_sentences": [1, 1]}, "a block needs a sentence"),
    ],
)
def test_settings_that_cannot_be_met_are_refused(changes, words, tmp_path):
    with pytest.raises(UserError, match=words):
        german_speech.clips(settings(**changes), tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"held_out_speakers": [7, 1]},
            "held_out_speakers must be two numbers >= 1, .* whose sum is below speakers = 8, but got .7, 1.",
        ),
        ({"held_out_sentences": []}, "held_out_sentences must be two numbers"),
        ({"held_out_speakers": []}, "held_out_speakers must be two numbers"),
        ({"held_out_sentences": [12]}, "held_out_sentences must be two numbers"),
    ],
)
def test_held_out_numbers_that_leave_no_side_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        settings(**changes)


# Voices and phones


def test_24_different_speakers_with_different_neighbours():
    assert len(german_speech.SPEAKERS) == len({voice.name for voice in german_speech.SPEAKERS}) == 24
    assert all(120 <= voice.words_per_minute <= 220 for voice in german_speech.SPEAKERS)


def test_unknown_phone_is_named():
    utterance = espeak.Utterance(np.zeros(2000, np.int16), ("d", "ʘ", ""), (10, 500, 1000))
    with pytest.raises(RuntimeError, match="'ʘ'"):
        german_speech.timed_phones(utterance)


def test_gaps_are_pauses_when_long_and_empty_phones_vanish():
    utterance = espeak.Utterance(
        np.zeros(9000, np.int16),
        ("", "ˈɾ", "", "ɑː", "t", "l̩", "", "s", "", ""),
        (0, 1010, 1500, 1600, 1900, 1900, 2500, 4000, 5000, 6000),
    )
    assert german_speech.timed_phones(utterance) == (
        ["ʁ", "aː", "l", "_", "s"],
        [1010, 1600, 1900, 2500, 4000],
        5000,
    )


# The grammar


@pytest.fixture(scope="module")
def grammar():
    return german_grammar.sentences(300, blocks=5, own_words_share=0.4, seed=3)


def test_sentences_are_distinct_sorted_and_of_3_to_5_words(grammar):
    assert len({sentence.text for sentence in grammar}) == 300
    identities = [sentence.sentence for sentence in grammar]
    assert identities == sorted(identities) and identities[60] == "b1-s000"
    assert all(3 <= len(sentence.words) <= 5 for sentence in grammar)
    assert all(sentence.text.lower() == " ".join(sentence.words).lower() + "." for sentence in grammar)
    more = german_grammar.sentences(24, blocks=12, own_words_share=0.4, seed=3)
    assert more[-1].sentence == "b11-s001" and [s.sentence for s in more] == sorted(s.sentence for s in more)


def test_own_words_are_in_one_block_alone(grammar):
    for sentence in grammar:
        others = {word for other in grammar if other.block != sentence.block for word in other.words}
        assert set(sentence.own_words) <= set(sentence.words) - others


@pytest.mark.parametrize("share", [0.0, 0.4, 0.8, 1.0])
def test_share_of_own_words_is_the_setting(share):
    made = german_grammar.sentences(300, blocks=5, own_words_share=share, seed=3)
    stems = {
        word.split("_")[-1]: name for name, words in german_grammar._classes().items() for word, _ in words
    }
    content = sum(
        any(word == stem or word.startswith(stem) for stem in stems) for s in made for word in s.words
    )
    assert sum(len(s.own_words) for s in made) / content == pytest.approx(share, abs=0.05)


def test_content_words_are_in_one_class_only():
    words = [word.split("_")[-1].lower() for words in german_grammar._classes().values() for word, _ in words]
    assert len(words) == len(set(words))
    assert {anchor.lower() for line in german_grammar.ANCHORS for anchor in line.split()} <= set(words)


def test_every_block_has_a_word_of_every_anchor_line(grammar):
    for block, line in itertools.product(range(5), german_grammar.ANCHORS):
        text = " ".join(sentence.text for sentence in grammar if sentence.block == block).lower()
        assert any(word.lower() in text for word in line.split())


@pytest.mark.parametrize(
    ("slots", "wanted"),
    [
        (
            [("adjective", ("alt", "")), ("subject", ("Hund", "m")), ("intransitive", ("singt", ""))],
            {"der alte", "dieser alte", "ein alter", "mein alter"},
        ),
        (
            [("transitive", ("mag", "")), ("adjective", ("alt", "")), ("thing", ("Hut", "m"))],
            {"den alten", "diesen alten", "einen alten", "meinen alten"},
        ),
        (
            [("adjective", ("alt", "")), ("subject", ("Kind", "n"))],
            {"das alte", "dieses alte", "ein altes", "mein altes"},
        ),
        (
            [("adjective", ("alt", "")), ("thing", ("Uhr", "f"))],
            {"die alte", "diese alte", "eine alte", "meine alte"},
        ),
    ],
)
def test_articles_and_adjectives_agree(slots, wanted):
    found = set()
    for seed in range(60):
        words, own = german_grammar._phrase(
            [(name, word, name == "adjective") for name, word in slots], np.random.default_rng(seed)
        )
        i = next(i for i, word in enumerate(words) if word.startswith("alt"))
        found.add(f"{words[i - 1]} {words[i]}")
        assert own == [words[i]]
    assert found == wanted


def test_too_many_sentences_are_refused(monkeypatch):
    monkeypatch.setattr(german_grammar, "TEMPLATES", ("name intransitive adverb",))
    monkeypatch.setattr(german_grammar, "ANCHORS", ())
    with pytest.raises(UserError, match="cannot generate so many distinct sentences"):
        german_grammar.sentences(9000, blocks=1, own_words_share=0.0, seed=0)


# Rooms and noise


def test_dry_room_changes_nothing_and_a_room_keeps_the_onset():
    y = np.zeros(16000)
    y[4000] = 1.0
    assert np.array_equal(room.reverberate(y, 0.0, sample_rate=16000, generator=np.random.default_rng(1)), y)
    wet = room.reverberate(y, 0.5, sample_rate=16000, generator=np.random.default_rng(1))
    assert np.abs(wet[:4000]).max() < 1e-12 and wet[4000] == pytest.approx(1.0)
    tail = 10 * np.log10([np.mean(wet[4000 + 32 + i : 4000 + 32 + i + 800] ** 2) for i in (0, 1600)])
    assert 10 < tail[0] - tail[1] < 70  # 60 dB in 0.1 to 0.5 s, seen over 0.1 s: 12 to 60


def test_noise_is_within_5_db_of_the_ratio():
    y = np.sin(np.arange(20011) / 5)  # a length with large prime factors
    ratios = []
    for seed in range(40):
        noisy = room.add_noise(
            y, 12.0, spoken=slice(2000, 18000), sample_rate=16000, generator=np.random.default_rng(seed)
        )
        noise = (noisy - y)[2000:18000]
        ratios.append(10 * np.log10(0.5 / np.mean(noise**2)))
    assert 6.9 < min(ratios) < 9 and 15 < max(ratios) < 17.1


def test_strength_changes_leave_the_draws_as_they_were():
    y = np.sin(np.arange(16000) / 5)
    noises = [
        room.add_noise(
            y, ratio, spoken=slice(0, 16000), sample_rate=16000, generator=np.random.default_rng(3)
        )
        - y
        for ratio in (0.0, 20.0)
    ]
    np.testing.assert_allclose(noises[0] / 10, noises[1], atol=1e-9)
