"""The ``notes`` command: the notes of a recording as a MIDI file. Contents: `notes`."""

from pathlib import Path

from audiomtl.config import ExperimentFile
from audiomtl.data import scores
from audiomtl.errors import UserError
from audiomtl.harness.use.models import checked_place, ready


def notes(
    file: ExperimentFile, sound: Path, *, head: str, seed: int | None, to: str, force: bool
) -> tuple[Path, dict[str, int]]:
    """Transcribe a recording with the best run of an experiment to a MIDI file, one track per head.

    Parameters
    ----------
    head : one of them; "" takes all. to : "" is the recording's name with ``.mid``, in the current directory.

    Returns
    -------
    the file, and how many notes each track has

    Raises
    ------
    UserError : an experiment without such a head or without a best run; a sound that cannot be read; a file
        that already exists, without ``force``.
    """
    place = checked_place(Path(to or f"{sound.stem}.mid"), (".mid",), force)
    use, fitted, y = ready(file, sound, "notes", head, seed)
    found = use.notes(fitted, y, head)
    try:
        scores.write_notes(place, found)
    except OSError as error:
        raise UserError(f"{place}: cannot be written ({error.strerror})") from None
    return place, {name: len(tracks) for name, tracks in found.items()}
