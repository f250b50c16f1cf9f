"""Notes: reading and writing of MIDI files, piano rolls, and notes from predicted rolls.

Conventions: a note is ``(onset, offset, pitch)``: seconds, seconds, MIDI number of one of the 88 keys, 21
(A0) to 108 (C8); notes are sorted by these. No two notes of one pitch overlap (a roll could not tell them
apart); one may begin where another ends. Column p of a roll is the key 21 + p. Row k is the frame centred at
``k * hop_seconds`` (as `features.frame_times`); a time belongs to the nearest frame, halfway to the later
one.

Contents: `read_notes`, `write_notes`, `checked`, `within`, `separate`, `monophonic`; `piano_roll`,
`onset_roll`, `notes_from_rolls`.
"""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from audiomtl.data import midi
from audiomtl.errors import UserError

Note = tuple[float, float, int]
Notes = tuple[Note, ...]

LOWEST, HIGHEST = 21, 108
KEYS = HIGHEST - LOWEST + 1
TICKS_PER_BEAT, BEATS_PER_MINUTE = 5000, 120  # of written files: 5000 ticks * 120 / 60 s, a tick is 0.1 ms
TICK_SECONDS = 60 / (TICKS_PER_BEAT * BEATS_PER_MINUTE)
DRUMS = 9  # the channel, from 0
VELOCITY = 80  # of written notes: what is read has none
SHORTEST_SECONDS = 1e-3  # of a note that a model found: ten ticks of a written file
SAME_SECONDS = 1e-6  # times that are closer are one time: ticks become seconds by many small sums


def read_notes(path: str | Path, *, instrument: str | None = None) -> Notes:
    """The notes of a MIDI file; drums, which have no pitch, are left out.

    Parameters
    ----------
    path : the file
    instrument : name of the track to read; None reads all of them as one

    Raises
    ------
    UserError : the file is missing or no MIDI, has no such track, a tempo outside its first track that
        would move notes (readers differ on what it means), a note with a pitch that never ends or has no
        length, and what `checked` refuses.
    """
    import pretty_midi

    if not Path(path).is_file():
        raise UserError(f"{path}: no such file")
    try:
        file = midi.read(path)
        _refuse_tempi(path, file)
        names = {track.name for track in file.tracks}
        pressed = [  # notes with a pitch: ticks and keys
            (event.note, number, tick)
            for number, track in enumerate(file.tracks)
            if instrument in (None, track.name)
            for tick, event in _timed(track)
            if event.type == "note_on" and event.velocity > 0 and event.channel != DRUMS
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of tempi outside the first track: see above
            score = pretty_midi.PrettyMIDI(mido_object=file)
    except UserError:
        raise
    except Exception as error:  # pretty_midi and mido let through whatever a broken file raises
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise UserError(
            f"{path}: cannot be read as MIDI ({reason}); export it as a standard MIDI file (.mid)"
        ) from None
    if instrument is not None and instrument not in names:
        raise UserError(
            f'{path}: no track is named "{instrument}"; it has {", ".join(sorted(map(repr, names)))}'
        )
    read = [one for one in score.instruments if not one.is_drum and instrument in (None, one.name)]
    if lost := len(pressed) - sum(len(one.notes) for one in read):
        raise UserError(
            f"{path}: {lost} of {len(pressed)} notes never end or have no length, but every note needs one;"
            f" fix them in an editor{_first_lost(pressed, read, score)}"
        )
    return checked(
        path, ((float(note.start), float(note.end), int(note.pitch)) for one in read for note in one.notes)
    )


def _timed(track: Iterable[Any]) -> Iterator[tuple[int, Any]]:
    """Events of a track with their ticks."""
    tick = 0
    for event in track:
        tick += event.time
        yield tick, event


def _refuse_tempi(path: str | Path, file: Any) -> None:
    """Refuse tempi outside the first track, unless they move no note."""
    last = max(
        (tick for track in file.tracks for tick, event in _timed(track) if event.type.startswith("note_")),
        default=0,
    )
    all_tempi, first = (
        {tick: tempo for tick, tempo in midi.tempi(file, first=one).items() if tick < last}
        for one in (False, True)
    )
    if all_tempi != first:
        number = next(
            number
            for number, track in enumerate(file.tracks)
            if number and any(event.type == "set_tempo" for event in track)
        )
        raise UserError(
            f"{path}: track {number} sets a tempo, but only the first track (0) may; export it as MIDI of"
            " type 1"
        )


def _first_lost(pressed: Iterable[tuple[int, int, int]], read: Iterable[Any], score: Any) -> str:
    """The first note that was pressed and not read."""
    kept = {(note.pitch, round(note.start, 9)) for one in read for note in one.notes}
    for pitch, track, tick in pressed:
        start = score.tick_to_time(tick)
        if (pitch, round(start, 9)) not in kept:
            return f" (the first: {pitch} at {start:.6g} s in track {track})"
    return ""


def write_notes(path: str | Path, instruments: Mapping[str, Iterable[Note]], *, program: int = 0) -> None:
    """Write a MIDI file, a track for each name, in the order given; the same notes give the same bytes.

    Times are rounded to 0.1 ms.

    Parameters
    ----------
    path : the file; an existing one is replaced
    instruments : name to notes
    program : General MIDI program of every track, from 0 (a grand piano)

    Raises
    ------
    UserError : what `checked` refuses; a note shorter than 0.1 ms.
    """
    import pretty_midi

    score = pretty_midi.PrettyMIDI(resolution=TICKS_PER_BEAT, initial_tempo=BEATS_PER_MINUTE)
    for name, notes in instruments.items():
        track = pretty_midi.Instrument(program, name=name)
        for note in checked(f"{path}, {name}", notes):
            if round(note[1] / TICK_SECONDS) <= round(note[0] / TICK_SECONDS):
                raise UserError(
                    f"{path}, {name}: the note {_text(note)} must last at least {1000 * TICK_SECONDS} ms, the"
                    " step of the file"
                )
            track.notes.append(pretty_midi.Note(VELOCITY, note[2], note[0], note[1]))
        score.instruments.append(track)
    score.write(str(path))


def checked(place: str | Path, notes: Iterable[Note]) -> Notes:
    """The notes, sorted; refuses what a roll of 88 keys cannot hold.

    Parameters
    ----------
    place : what an error begins with: a file, a clip
    notes : in any order

    Raises
    ------
    UserError : naming the note: an onset that is negative or not finite, an offset not after it, a pitch that
        is no whole number or outside the keys, two notes of one pitch that overlap.
    """
    found = sorted((onset, offset, pitch) for onset, offset, pitch in notes)  # of Parquet a note is an array
    last: dict[int, Note] = {}
    for note in found:
        onset, offset, pitch = note
        if not 0 <= onset < float("inf"):
            raise UserError(f"{place}: the note {_text(note)} must start at 0 s or later; move the notes")
        if not onset < offset < float("inf"):
            raise UserError(
                f"{place}: the note {_text(note)} must end after its start; leave it out, or give it a length"
            )
        if pitch != round(pitch):
            raise UserError(f"{place}: the note {_text(note)} must have a whole MIDI number; round its pitch")
        if not LOWEST <= pitch <= HIGHEST:
            raise UserError(
                f"{place}: the note {_text(note)} is outside the 88 keys, {LOWEST} (A0) to {HIGHEST} (C8);"
                " transpose it by octaves"
            )
        before = last.get(pitch)
        if before is not None and onset < before[1] - SAME_SECONDS:
            raise UserError(
                f"{place}: the notes {_text(before)} and {_text(note)} overlap on one key; end the first"
                " earlier, or read one track alone"
            )
        last[pitch] = note
    return tuple((float(onset), float(offset), int(pitch)) for onset, offset, pitch in found)


def within(notes: Iterable[Note], seconds: float) -> Notes:
    """The notes that begin before the end of a recording; one that lasts longer ends with it."""
    return tuple((onset, min(offset, seconds), pitch) for onset, offset, pitch in notes if onset < seconds)


def separate(notes: Iterable[Note]) -> Notes:
    """The notes, sorted, each of which ends where the next note of its key begins, at the latest.

    This is for notes that a model found. Those of a file are refused by `checked` if they overlap. Notes that
    are then shorter than 1 ms are left out.
    """
    kept, following = list[Note](), dict[int, float]()  # onset of the next note, by key
    for onset, offset, pitch in sorted(notes, reverse=True):
        end = min(offset, following.get(pitch, offset))
        if end - onset >= SHORTEST_SECONDS - SAME_SECONDS:
            kept.append((onset, end, pitch))
            following[pitch] = onset
    return tuple(reversed(kept))


def monophonic(place: str | Path, notes: Iterable[Note]) -> Notes:
    """The notes of one voice: `checked`, and no two of any pitch sound at once.

    Raises
    ------
    UserError : naming both notes.
    """
    found = checked(place, notes)
    for before, note in pairwise(found):
        if note[0] < before[1] - SAME_SECONDS:
            raise UserError(
                f"{place}: the notes {_text(before)} and {_text(note)} overlap, but a melody has one note at"
                " a time"
            )
    return found


def piano_roll(notes: Iterable[Note], n_frames: int, hop_seconds: float) -> np.ndarray:  # (n_frames, 88)
    """1 while a key sounds: from the frame of the onset to before the frame of the offset, and one frame at
    least.

    A time belongs to the frame whose centre is nearest, halfway between two to the later one, as
    `features.frame_of` has it: so a note that is moved by one frame gives a roll that is moved by one frame.
    (Python's ``round`` goes to the even frame from halfway, which makes a note's length depend on where it
    stands; and 0.0075 s, which no float holds exactly, is halfway for it or not by accident.)

    Parameters
    ----------
    notes : as `checked` returns them
    n_frames : frames; what sounds later is cut off
    hop_seconds : from frame to frame

    Returns
    -------
    (n_frames, 88) float32, 0 or 1
    """
    roll = np.zeros((n_frames, KEYS), np.float32)
    for onset, offset, pitch in notes:
        first = _frame(onset, hop_seconds)
        roll[first : max(_frame(offset, hop_seconds), first + 1), pitch - LOWEST] = 1
    return roll


def onset_roll(notes: Iterable[Note], n_frames: int, hop_seconds: float) -> np.ndarray:  # (n_frames, 88)
    """1 in the frame in which a note begins, else 0; parameters as `piano_roll`."""
    roll = np.zeros((n_frames, KEYS), np.float32)
    for onset, _, pitch in notes:
        first = _frame(onset, hop_seconds)
        if first < n_frames:
            roll[first, pitch - LOWEST] = 1
    return roll


def notes_from_rolls(
    onsets: np.ndarray,
    frames: np.ndarray,
    hop_seconds: float,
    onset_threshold: float,
    frame_threshold: float,
    shortest_seconds: float,
) -> Notes:
    """Notes that begin where the onset roll says so and last while the frame roll does (Hawthorne et al.,
    "Onsets and Frames", ISMIR 2018).

    A note begins where its key's onset probability rises to the threshold, whatever the frame roll says of
    that frame; it ends with the first later frame below the threshold, with the next onset of its key, or
    with the rolls. Frames without an onset before them are no note.

    Parameters
    ----------
    onsets, frames : (n_frames, 88), probabilities
    hop_seconds : from frame to frame
    onset_threshold, frame_threshold : from which on a probability is a yes
    shortest_seconds : shorter notes are left out

    Raises
    ------
    ValueError : rolls of other or unlike shapes.
    """
    if onsets.shape != frames.shape or onsets.ndim != 2 or onsets.shape[1] != KEYS:
        raise ValueError(
            f"onsets and frames must have one shape (n_frames, {KEYS}), but got {onsets.shape} and"
            f" {frames.shape}"
        )
    begins = onsets >= onset_threshold
    begins[1:] &= ~begins[:-1].copy()  # the first frame of each run
    stops = (frames < frame_threshold) | begins
    notes = []
    for first, key in zip(*np.nonzero(begins), strict=True):
        later = np.flatnonzero(stops[first + 1 :, key])
        end = first + 1 + later[0] if later.size else len(frames)
        if (end - first) * hop_seconds >= shortest_seconds - SAME_SECONDS:
            notes.append((float(first * hop_seconds), float(end * hop_seconds), int(key) + LOWEST))
    return tuple(sorted(notes))


def _frame(seconds: float, hop_seconds: float) -> int:
    return int(np.floor(seconds / hop_seconds + 0.5 + 1e-6))  # 1e-6 as in `features.frame_of`


def _text(note: Note) -> str:
    """Such as 60 (1.25 to 1.5 s)."""
    return f"{note[2]} ({note[0]:.6g} to {note[1]:.6g} s)"
