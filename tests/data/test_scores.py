"""Notes: MIDI files, rolls, and what is refused."""

import os
from pathlib import Path

import mido
import numpy as np
import pytest

from audiomtl.data import scores
from audiomtl.errors import UserError

REAL = Path(os.environ.get("AUDIOMTL_DATA", "data"))
VOICE = ((0.5, 1.0, 60), (1.0, 1.25, 60), (1.25, 2.0, 62))
PIANO = ((0.0, 2.0, 21), (0.0, 2.0, 108), (0.1234, 0.5, 64))


def test_notes_come_back_from_a_file_and_the_same_notes_are_the_same_bytes(tmp_path):
    scores.write_notes(tmp_path / "one.mid", {"voice": reversed(VOICE), "piano": PIANO, "silent": ()})
    scores.write_notes(tmp_path / "two.mid", {"voice": VOICE, "piano": PIANO, "silent": ()})
    assert (tmp_path / "one.mid").read_bytes() == (tmp_path / "two.mid").read_bytes()
    for name, notes in (("voice", VOICE), ("piano", PIANO), ("silent", ())):
        read = scores.read_notes(tmp_path / "one.mid", instrument=name)
        assert [note[2] for note in read] == [note[2] for note in notes]
        assert np.allclose(
            np.array(read).reshape(-1, 3), np.array(notes).reshape(-1, 3), atol=0.00006, rtol=0
        )
    assert scores.read_notes(tmp_path / "one.mid") == tuple(
        sorted(
            scores.read_notes(tmp_path / "one.mid", instrument="voice")
            + scores.read_notes(tmp_path / "one.mid", instrument="piano")
        )
    )
    with pytest.raises(
        UserError, match=r"one.mid: no track is named \"vocals\"; it has '', 'piano', 'silent', 'voice'"
    ):
        scores.read_notes(tmp_path / "one.mid", instrument="vocals")


def midi(path: Path, *events: tuple[str, int, int, int], channel: int = 0, tempo: bool = False) -> Path:
    """A file of a meta track and one with events (type, note, velocity, ticks after the last), 480 ticks
    to half a second.
    """
    file = mido.MidiFile(ticks_per_beat=480)
    file.tracks.append(mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=500000)]))
    notes = [
        mido.Message(kind, note=note, velocity=velocity, time=time, channel=channel)
        for kind, note, velocity, time in events
    ]
    file.tracks.append(mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=250000)] * tempo + notes))
    file.save(path)
    return path


def test_a_file_made_elsewhere_is_read(tmp_path):
    path = midi(
        tmp_path / "x.mid",
        ("note_on", 60, 90, 480),
        ("note_on", 60, 0, 240),
        ("note_on", 60, 50, 0),
        ("note_off", 60, 0, 240),
    )
    assert np.allclose(scores.read_notes(path), [(0.5, 0.75, 60), (0.75, 1.0, 60)])
    drums = midi(tmp_path / "drums.mid", ("note_on", 10, 90, 480), ("note_off", 10, 0, 240), channel=9)
    assert scores.read_notes(drums) == ()


@pytest.mark.parametrize(
    ("events", "message"),
    [
        (
            [("note_on", 20, 90, 0), ("note_off", 20, 0, 480)],
            r"20 \(0 to 0.5 s\) is outside the 88 keys, 21 \(A0\) to 108 \(C8\)",
        ),
        (
            [("note_on", 109, 90, 480), ("note_off", 109, 0, 480)],
            r"109 \(0.5 to 1 s\) is outside the 88 keys",
        ),
        (
            [("note_on", 60, 90, 0), ("note_on", 60, 90, 240), ("note_off", 60, 0, 240)],
            r"60 \(0 to 0.5 s\) and 60 \(0.25 to 0.5 s\) overlap",
        ),
        (
            [("note_on", 60, 90, 0), ("note_on", 62, 90, 0), ("note_off", 62, 0, 240)],
            "1 of 2 notes never end or have no length",
        ),
        ([("note_on", 60, 90, 0), ("note_off", 60, 0, 0)], "1 of 1 notes never end or have no length"),
    ],
)
def test_a_file_whose_notes_fit_no_roll_is_refused_in_one_line(tmp_path, events, message):
    path = midi(tmp_path / "wrong.mid", *events)
    with pytest.raises(UserError, match=rf"wrong\.mid: .*{message}") as error:
        scores.read_notes(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("notes", "expected"),
    [
        ([(0.0, 2.0, 60), (1.0, 3.0, 60)], [(0.0, 1.0, 60), (1.0, 3.0, 60)]),
        ([(1.0, 3.0, 60), (0.0, 2.0, 61)], [(0.0, 2.0, 61), (1.0, 3.0, 60)]),
        ([(0.0, 9.0, 60), (1.0, 2.0, 60), (1.5, 3.0, 60)], [(0.0, 1.0, 60), (1.0, 1.5, 60), (1.5, 3.0, 60)]),
        ([(0.0, 1.0, 60), (0.0, 2.0, 60)], [(0.0, 2.0, 60)]),  # nothing is left of the first
        ([(0.0, 1.0, 60), (0.5, 2.0, 60), (0.5005, 2.0, 60)], [(0.0, 0.5005, 60), (0.5005, 2.0, 60)]),
        ([(0.0, 0.0004, 60)], []),
    ],
)
def test_notes_are_separated_on_each_key(notes, expected):
    separated = scores.separate(notes)
    assert list(separated) == expected == list(scores.separate(reversed(notes)))


@pytest.mark.parametrize(
    "content",
    [b"", b"RIFF no score", b"MThd\0\0\0\6\0\1\0\0\1\xe0", b"MThd\0\0\0\6\0\1\0\1\1\xe0MTrk\0\0\0\5\0\x90"],
)
def test_what_is_no_midi_is_refused(tmp_path, content):
    (tmp_path / "x.mid").write_bytes(content)
    with pytest.raises(UserError, match=r"x.mid: cannot be read as MIDI \(.+\); export it"):
        scores.read_notes(tmp_path / "x.mid")


def test_a_missing_file_and_a_tempo_out_of_place_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"none.mid: no such file"):
        scores.read_notes(tmp_path / "none.mid")
    path = midi(tmp_path / "x.mid", ("note_on", 60, 90, 0), ("note_off", 60, 0, 480), tempo=True)
    with pytest.raises(UserError, match=r"x.mid: track 1 sets a tempo, but only the first track \(0\) may"):
        scores.read_notes(path)


@pytest.mark.parametrize(
    ("notes", "message"),
    [
        ([(1.0, 1.0, 60)], r"song: the note 60 \(1 to 1 s\) must end after its start"),
        ([(-0.5, 1.0, 60)], r"song: the note 60 \(-0.5 to 1 s\) must start at 0 s or later"),
        ([(0.0, 1.0, 60.5)], r"song: the note 60.5 \(0 to 1 s\) must have a whole MIDI number"),
        ([(0.0, float("nan"), 60)], "must end after its start"),
        (
            [(0.0, 1.0, 60), (0.5, 0.6, 61), (0.9, 2.0, 60)],
            r"60 \(0 to 1 s\) and 60 \(0.9 to 2 s\) overlap on one key",
        ),
    ],
)
def test_notes_that_fit_no_roll_are_refused(tmp_path, notes, message):
    with pytest.raises(UserError, match=message):
        scores.checked("song", notes)
    with pytest.raises(UserError, match=rf"x\.mid, .*{message}"):
        scores.write_notes(tmp_path / "x.mid", {"song": notes})
    assert not (tmp_path / "x.mid").exists()


def test_a_note_shorter_than_a_tick_is_not_written(tmp_path):
    with pytest.raises(UserError, match=r"must last at least 0\.1 ms"):
        scores.write_notes(tmp_path / "x.mid", {"voice": [(0.0, 0.00001, 60)]})


def test_a_melody_has_one_note_at_a_time():
    assert scores.monophonic("song", reversed(VOICE)) == VOICE
    with pytest.raises(UserError, match=r"song: the notes 60 \(0 to 1 s\) and 64 \(0.9 to 2 s\) overlap"):
        scores.monophonic("song", [(0.9, 2.0, 64), (0.0, 1.0, 60)])


def test_no_note_ends_behind_the_recording():
    notes = ((0.0, 2.5, 21), (0.5, 1.0, 60), (1.9, 2.1, 61), (2.0, 2.2, 62))
    assert scores.within(notes, 2.0) == ((0.0, 2.0, 21), (0.5, 1.0, 60), (1.9, 2.0, 61))
    assert scores.within(notes, 3.0) == notes


def test_rolls_by_hand():
    notes = ((0.1, 0.3, 21), (0.16, 0.17, 108), (0.3, 0.4, 21), (0.9, 2.0, 60))
    roll, begins = scores.piano_roll(notes, 5, 0.1), scores.onset_roll(notes, 5, 0.1)
    assert roll.shape == begins.shape == (5, 88) and roll.dtype == begins.dtype == np.float32
    # the short one has a frame; what is later is cut off
    assert np.argwhere(roll).tolist() == [
        [1, 0],
        [2, 0],
        [2, 87],
        [3, 0],
    ]
    assert np.argwhere(begins).tolist() == [[1, 0], [2, 87], [3, 0]]


def test_notes_come_back_from_their_rolls():
    notes = scores.checked(
        "song", [(0.5, 1.0, 60), (1.0, 1.5, 60), (0.52, 1.1, 108), (0.0, 0.02, 21), (1.96, 2.0, 21)]
    )
    rolls = [roll(notes, 100, 0.02) for roll in (scores.onset_roll, scores.piano_roll)]
    assert np.allclose(scores.notes_from_rolls(*rolls, 0.02, 0.5, 0.5, 0.0), notes, atol=1e-9)


def test_decoding_by_hand():
    onsets, frames = np.zeros((8, 88)), np.zeros((8, 88))
    # two in a row are one onset; 0.5 is one as well, and parts the note
    onsets[:, 0] = [
        0,
        0.6,
        0.9,
        0,
        0,
        0.5,
        0,
        0,
    ]
    # low in the onset's own frame, which does not matter
    frames[:, 0] = [
        0.9,
        0.1,
        0.3,
        0.9,
        0.9,
        0.9,
        0.9,
        0.1,
    ]
    frames[:, 1] = 0.9  # no onset, no note
    onsets[6, 2], frames[6:, 2] = 0.7, 0.4  # to the end of the roll
    onsets[3, 3] = 0.8  # one frame long
    decoded = scores.notes_from_rolls(onsets, frames, 0.1, 0.5, 0.3, 0.0)
    assert np.allclose(decoded, [(0.1, 0.5, 21), (0.3, 0.4, 24), (0.5, 0.7, 21), (0.6, 0.8, 23)])
    assert [note[2] for note in scores.notes_from_rolls(onsets, frames, 0.1, 0.5, 0.3, 0.2)] == [21, 21, 23]
    assert onsets[2, 0] == 0.9  # what is given is not changed
    with pytest.raises(ValueError, match=r"\(n_frames, 88\), but got \(8, 88\) and \(7, 88\)"):
        scores.notes_from_rolls(onsets, frames[1:], 0.1, 0.5, 0.5, 0.0)


def real(name: str) -> Path:
    path = next(iter(sorted((REAL / name.split("/")[0]).glob(name.partition("/")[2]))), None)
    if path is None:
        pytest.skip(f"no {REAL / name}: set AUDIOMTL_DATA to a folder that has it")
    return path


def test_real_piano_recordings_and_scores():
    notes = scores.read_notes(real("maestro/*/*.midi"))
    assert len(notes) == 4197 and notes == tuple(sorted(notes))
    rolls = [roll(notes, 70_000, 0.01) for roll in (scores.onset_roll, scores.piano_roll)]
    assert rolls[0].sum() == 4197 and 680 < notes[-1][1] < 698.7
    assert len(scores.notes_from_rolls(*rolls, 0.01, 0.5, 0.5, 0.0)) == 4197


def test_a_real_score_has_the_notes_of_its_table():
    notes = scores.read_notes(real("chopin/data_music/*.mid"))
    rows = real("chopin/data_csv/*.csv").read_text().splitlines()[1:]
    table = sorted(
        (float(on), float(on) + float(length), int(pitch))
        for on, length, pitch, *_ in (row.split(";") for row in rows)
    )
    assert np.allclose(sorted(notes), table, atol=1e-6)
