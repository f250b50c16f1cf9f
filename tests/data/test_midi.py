"""`audiomtl.data.midi`: files as other programs write them, and bytes that play no part in notes."""

import struct
from pathlib import Path

import numpy as np
import pytest

from audiomtl.data import midi, scores
from audiomtl.errors import UserError

NOTE = bytes.fromhex("00 90 3c 50  8360 80 3c 00")  # C4 from 0 to 480 ticks
END = bytes.fromhex("00 ff 2f 00")
FAST = bytes.fromhex("00 ff 51 03 03d090")  # 250,000 microseconds per beat
PLAIN = ((0.0, 0.5, 60),)


def chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack(">I", len(content)) + content


def smf(*tracks: bytes, division: int = 480, kind: int = 1, count: int | None = None) -> bytes:
    header = struct.pack(">HHH", kind, len(tracks) if count is None else count, division)
    return chunk(b"MThd", header) + b"".join(chunk(b"MTrk", track) for track in tracks)


def hexed(text: str) -> bytes:
    return bytes.fromhex(text)


READ: list[tuple[str, bytes, scores.Notes]] = [
    ("plain", smf(NOTE + END), PLAIN),
    ("no end of track", smf(NOTE), PLAIN),
    ("an empty track", smf(b"", NOTE + END), PLAIN),
    ("eleven flats", smf(hexed("00 ff 59 02 f5 00") + NOTE + END), PLAIN),
    ("a key of no mode", smf(hexed("00 ff 59 02 00 07") + NOTE + END), PLAIN),
    ("a key without a mode", smf(hexed("00 ff 59 01 00") + NOTE + END), PLAIN),
    ("a beat of 0", smf(hexed("00 ff 58 04 04 00 18 08") + NOTE + END), PLAIN),
    ("controller value 255", smf(hexed("00 b0 07 ff") + NOTE + END), PLAIN),
    ("controller 255", smf(hexed("00 b0 ff 40") + NOTE + END), PLAIN),
    ("program 200", smf(hexed("00 c0 c8") + NOTE + END), PLAIN),
    ("velocity 200", smf(hexed("00 90 3c c8 8360 80 3c c8") + END), PLAIN),
    ("an unknown meta event", smf(hexed("00 ff 7b 03 010203") + NOTE + END), PLAIN),
    ("lyrics of another encoding", smf(hexed("00 ff 05 02 ff81") + NOTE + END), PLAIN),
    ("a system message", smf(hexed("00 f0 05 7e7f0901f7") + NOTE + END), PLAIN),
    ("a clock and a song position", smf(hexed("00 f8 00 f2 1020") + NOTE + END), PLAIN),
    ("running status", smf(hexed("00 90 3c 50 8360 3c 00") + END), PLAIN),
    ("running status past a meta event", smf(hexed("00 90 3c 50 00 ff 01 01 61 8360 3c 00") + END), PLAIN),
    ("a drum hit of no length", smf(hexed("00 99 24 64 00 89 24 00") + NOTE + END), PLAIN),
    ("a drum that never ends", smf(hexed("00 99 24 64") + NOTE + END), PLAIN),
    ("a drum outside the keys", smf(NOTE + hexed("00 99 00 64 10 89 00 00") + END), PLAIN),
    ("an end without a beginning", smf(hexed("00 80 40 00") + NOTE + END), PLAIN),
    ("tempo changes", smf(hexed("00 90 3c 50 8170 ff51 03 03d090 8170 80 3c 00") + END), ((0.0, 0.375, 60),)),
    ("the same tempo in another track", smf(END, hexed("00 ff 51 03 07a120") + NOTE + END), PLAIN),
    ("a tempo behind the notes", smf(END, NOTE + FAST + END), PLAIN),
    ("a tempo of another track that repeats the first", smf(FAST + END, FAST + NOTE + END), ((0.0, 0.25, 60),)),
    ("notes of two channels", smf(hexed("00 90 3c 50 00 91 3e 50 8360 80 3c 00 00 81 3e 00") + END),
     ((0.0, 0.5, 60), (0.0, 0.5, 62))),
    ("a foreign chunk", smf(count=1) + chunk(b"XFIH", b"12345") + chunk(b"MTrk", NOTE + END), PLAIN),
    ("a longer header", chunk(b"MThd", struct.pack(">HHH", 1, 1, 480) + b"??") + chunk(b"MTrk", NOTE + END), PLAIN),
    ("in a RIFF", b"RIFF\0\0\0\0RMIDdata\0\0\0\0" + smf(NOTE + END), PLAIN),
    ("bytes behind the last track", smf(NOTE + END) + b"\0\1\2", PLAIN),
    ("bytes behind the end of the track", smf(NOTE + END + b"\xff\xff\xff"), PLAIN),
    ("25 frames of 40 ticks", smf(FAST + NOTE + END, division=0xE728), ((0.0, 0.48, 60),)),
    ("29.97 frames of 16 ticks", smf(NOTE + END, division=0xE310), ((0.0, 1.001, 60),)),
    ("no note", smf(END), ()),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "notes"), READ, ids=[row[0] for row in READ])
def test_what_plays_no_part_in_notes_is_no_reason_to_refuse(
    tmp_path: Path, name: str, content: bytes, notes: scores.Notes
) -> None:
    (tmp_path / "x.mid").write_bytes(content)
    read = scores.read_notes(tmp_path / "x.mid")
    assert len(read) == len(notes) and np.allclose(np.array(read), np.array(notes), atol=1e-9)


REFUSED = [
    ("empty", b"", "does not begin with a header MThd"),
    ("text", b"no score", "does not begin with a header MThd"),
    ("half a header", smf(NOTE + END)[:12], "does not begin with a header MThd"),
    ("no track", smf(), "0 of 0 tracks"),
    ("a missing track", smf(NOTE + END, count=2), "1 of 2 tracks"),
    ("a track cut off", smf(NOTE + END)[:-6], "track 0 is truncated"),
    ("a track cut off inside of its length", smf(NOTE + NOTE + END)[:-9], "track 0 is truncated"),
    ("an event of a length behind the track", smf(hexed("00 ff 01 7f 61")), "track 0 is truncated"),
    ("no status", smf(hexed("00 3c 50")), "a byte 60 at tick 0, where an event begins"),
    ("a note 200", smf(hexed("00 90 c8 50")), "a note 200 at tick 0, but 127 is the highest"),
    ("a tempo of 0", smf(hexed("00 ff 51 03 000000") + NOTE + END), "a tempo of 0 at tick 0"),
    ("no beat", smf(NOTE + END, division=0), "0 ticks per beat"),
    ("17 frames", smf(NOTE + END, division=0xEF28), "17 frames per second"),
    ("a note that never ends", smf(hexed("00 90 3c 50 10 90 3e 50 10 80 3c 00") + END),
     r"1 of 2 notes never end .* \(the first: 62 at 0.0166667 s in track 0\)"),
    ("a note of no length", smf(NOTE + hexed("00 90 40 50 00 80 40 00") + END),
     r"1 of 2 notes never end or have no length.* \(the first: 64 at 0.5 s in track 0\)"),
    ("another tempo in another track", smf(END, FAST + NOTE + END), "track 1 sets a tempo"),
    ("two tempi at odds", smf(FAST + END, hexed("00 ff 51 03 07a120") + NOTE + END), "track 1 sets a tempo"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "words"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_leaves_notes_unknown_is_refused_in_one_line(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / "x.mid").write_bytes(content)
    with pytest.raises(UserError, match=rf"x\.mid: .*{words}") as error:
        scores.read_notes(tmp_path / "x.mid")
    assert "\n" not in str(error.value)


def test_a_track_that_is_not_read_may_have_notes_without_an_end(tmp_path: Path) -> None:
    named = hexed("00 ff 03 05") + b"voice"
    (tmp_path / "x.mid").write_bytes(smf(named + NOTE + END, hexed("00 90 40 50") + END))
    assert scores.read_notes(tmp_path / "x.mid", instrument="voice") == PLAIN


def test_a_file_is_read_as_mido_reads_it(tmp_path: Path) -> None:
    import mido

    scores.write_notes(tmp_path / "x.mid", {"a": [(0.1, 0.5, 60), (0.5, 2.0, 61)], "b": [(0.0, 1.0, 70)]})
    kinds = ("note_on", "note_off", "set_tempo", "track_name", "end_of_track")

    def told(file: mido.MidiFile) -> list[list[tuple[int, str, int | None]]]:
        tracks = []
        for track in file.tracks:
            ticks = np.cumsum([event.time for event in track]).tolist()
            some = zip(ticks, track, strict=True)
            tracks.append(
                [(at, one.type, getattr(one, "note", None)) for at, one in some if one.type in kinds]
            )
        return tracks

    assert told(midi.read(tmp_path / "x.mid")) == told(mido.MidiFile(tmp_path / "x.mid"))
