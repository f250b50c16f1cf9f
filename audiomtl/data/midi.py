"""Standard MIDI files: the events that make notes, and no others.

Notes, tempi and names of tracks are read; every other event (key signatures, controllers, lyrics, system
messages) plays no part in notes and is skipped by its length, whatever is in it. So a file with a key of
eleven flats, or a controller value of 255, which mido refuses and a sequencer plays, is read.

Source: MIDI Manufacturers Association, "Standard MIDI files 1.0", RP-001, 1996.

Conventions: times are ticks. Contents: `read`, `tempi`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import mido

HEADER_SEARCHED = 64  # bytes that a wrapper (RIFF "RMID") may take before the header
NOTE_OFF, NOTE_ON, SYSEX, ESCAPE, META = 0x80, 0x90, 0xF0, 0xF7, 0xFF
TRACK_NAME, END_OF_TRACK, TEMPO = 0x03, 0x2F, 0x51
LENGTHS = {0x80: 2, 0x90: 2, 0xA0: 2, 0xB0: 2, 0xC0: 1, 0xD0: 1, 0xE0: 2}  # data bytes of channel messages
SYSTEM = {0xF1: 1, 0xF2: 2, 0xF3: 1}  # of those that have no place in a file, but are passed over
DEFAULT_TEMPO = 500_000  # microseconds per beat, until one is set


def read(path: str | Path) -> "mido.MidiFile":
    """The notes, tempi and names of a file, as mido has them.

    A file in frames of film (SMPTE) becomes one in beats of about a second.

    Raises
    ------
    ValueError : what keeps the notes from being read.
    OSError : the file cannot be read.
    """
    import mido

    content = Path(path).read_bytes()
    start = content.find(b"MThd", 0, HEADER_SEARCHED)
    if start < 0 or len(content) < start + 14:
        raise ValueError("it does not begin with a header MThd")
    length = int.from_bytes(content[start + 4 : start + 8])
    kind, count, division = (int.from_bytes(content[start + at : start + at + 2]) for at in (8, 10, 12))
    ticks, tempo = _beat(division)
    file = mido.MidiFile(type=min(kind, 2), ticks_per_beat=ticks)
    at = start + 8 + length
    while at + 8 <= len(content) and len(file.tracks) < count:
        size = int.from_bytes(content[at + 4 : at + 8])
        if content[at : at + 4] == b"MTrk":
            file.tracks.append(_track(content[at + 8 : at + 8 + size], size, len(file.tracks), tempo))
        at += 8 + size
    if not file.tracks or len(file.tracks) < count:
        raise ValueError(f"it has {len(file.tracks)} of {count} tracks")
    if tempo:
        file.tracks[0].insert(0, mido.MetaMessage("set_tempo", tempo=tempo))
    return file


def tempi(file: "mido.MidiFile", *, first: bool = False) -> dict[int, int]:
    """Tempo (microseconds per beat) by the tick from which it holds: only where it changes.

    Parameters
    ----------
    first : those of the first track alone; else of all tracks together
    """
    found: dict[int, int] = {}
    for track in file.tracks[:1] if first else file.tracks:
        tick = 0
        for event in track:
            tick += event.time
            if event.type == "set_tempo":
                found[tick] = event.tempo
    changes, now = dict[int, int](), DEFAULT_TEMPO
    for tick, tempo in sorted(found.items()):
        if tempo != now:
            changes[tick] = now = tempo
    return changes


def _beat(division: int) -> tuple[int, int]:
    """Ticks per beat, and the tempo that they need where they are parts of a second; else 0."""
    if not division:
        raise ValueError("its header states 0 ticks per beat")
    if division < 0x8000:
        return division, 0
    frames, ticks = 0x100 - (division >> 8), division & 0xFF
    if not ticks or frames not in (24, 25, 29, 30):
        raise ValueError(f"its header states {frames} frames per second of {ticks} ticks")
    return (30 * ticks, 1_001_000) if frames == 29 else (frames * ticks, 1_000_000)  # 29 is 29.97


def _track(content: bytes, size: int, number: int, fixed: int) -> "mido.MidiTrack":
    """A track; ``fixed`` is the tempo of a file in seconds, in which others mean nothing."""
    import mido

    track, before = mido.MidiTrack(), 0
    for tick, status, data in _events(content, size, number):
        wait = tick - before
        if status == META and data[0] == TRACK_NAME:
            track.append(mido.MetaMessage("track_name", name=data[1:].decode("latin-1"), time=wait))
        elif status == META and data[0] == TEMPO and not fixed:
            tempo = int.from_bytes(data[1:4])
            if not tempo:
                raise ValueError(f"track {number} sets a tempo of 0 at tick {tick}")
            track.append(mido.MetaMessage("set_tempo", tempo=tempo, time=wait))
        elif status & 0xF0 in (NOTE_OFF, NOTE_ON) and status < SYSEX:
            note, velocity = data
            if note > 127:
                raise ValueError(f"track {number} has a note {note} at tick {tick}, but 127 is the highest")
            name = "note_on" if status & 0xF0 == NOTE_ON else "note_off"
            message = mido.Message(
                name, channel=status & 15, note=note, velocity=min(velocity, 127), time=wait
            )
            track.append(message)
        elif status == META and data[0] == END_OF_TRACK:
            track.append(mido.MetaMessage("end_of_track", time=wait))
        else:
            continue
        before = tick
    if not track or track[-1].type != "end_of_track":
        track.append(mido.MetaMessage("end_of_track"))
    return track


def _events(content: bytes, size: int, number: int) -> Iterator[tuple[int, int, bytes]]:
    """(tick, status, data) of the events of a track; of a meta event the type is the first byte."""
    at, tick, running = 0, 0, 0
    cut_off = ValueError(f"track {number} is truncated")
    try:
        while at < len(content):
            wait, at = _variable(content, at)
            tick += wait
            status = content[at]
            if status >= 0x80:
                at += 1
            elif running:
                status = running  # the status byte is left out where it is that of the event before
            else:
                raise ValueError(f"track {number} has a byte {status} at tick {tick}, where an event begins")
            if status == META:
                kind = content[at]
                length, at = _variable(content, at + 1)
                data, at = content[at - 1 : at + length], at + length
                if at > len(content):
                    raise cut_off
                yield tick, status, bytes((kind,)) + data[1:]
                if kind == END_OF_TRACK:
                    return
            elif status in (SYSEX, ESCAPE):
                length, at = _variable(content, at)
                at += length
            elif status < SYSEX:
                running = status
                length = LENGTHS[status & 0xF0]
                data, at = content[at : at + length], at + length
                if len(data) < length:
                    raise cut_off
                yield tick, status, data
            else:
                at += SYSTEM.get(status, 0)
    except IndexError:
        raise cut_off from None
    if at > len(content) or len(content) < size:
        raise cut_off


def _variable(content: bytes, at: int) -> tuple[int, int]:
    """A number of 7 bits per byte, and the byte after it."""
    value = 0
    while True:
        byte = content[at]
        value, at = value << 7 | byte & 0x7F, at + 1
        if byte < 0x80:
            return value, at
