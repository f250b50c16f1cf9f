"""Lines ``start end label`` of annotation files, and the unit of their times. Contents: `spans`."""

from pathlib import Path

from audiomtl.data.annotations import Sound, Spans, lines, number, ordered
from audiomtl.errors import UserError

HTK_PER_SECOND = 10**7  # HTK counts in 100 ns
SLACK_SECONDS = 0.05  # how far a last label may lie behind the end of the recording


def spans(path: Path, sound: Sound, *, units: tuple[str, ...], overlaps: bool = False) -> tuple[Spans, str]:
    """Spans of a file, and the unit of its times in words.

    Numbers with a point are seconds. Whole numbers are of the first of ``units`` ("samples", "100 ns",
    "seconds") in which the last one does not lie behind the end of the recording. ``overlaps``: whether spans
    may overlap, as words do in TIMIT.

    Raises
    ------
    UserError : a line that has not three parts, times that fit in no unit, and what `ordered` refuses.
    """
    found: list[tuple[int, float, float, str]] = []
    whole = True
    for line, text in lines(path):
        start, end, label = [*text.split(maxsplit=2), "", "", ""][:3]
        place = f"{path} line {line}"
        if not label:
            raise UserError(
                f'{place}: "{text.strip()[:60]}" must be start, end and label, separated by blanks'
            )
        found.append((line, number(start, place), number(end, place), label))
        whole &= start.lstrip("-").isdecimal() and end.isdecimal()
    if not found:
        raise UserError(f"{path}: has no labels; write them, or remove the file")
    last = max(end for _, _, end, _ in found)
    per_second = {"samples": sound.info.sample_rate, "100 ns": HTK_PER_SECOND, "seconds": 1}
    candidates = units if whole else ("seconds",)
    for unit in candidates:
        if last / per_second[unit] <= sound.info.seconds + SLACK_SECONDS:
            scale = per_second[unit]
            return ordered(
                path,
                ((line, start / scale, end / scale, label) for line, start, end, label in found),
                overlaps=overlaps,
            ), unit
    raise UserError(
        f"{path}: the last label ends at {last:g}, which is behind the end of {sound.path.name}"
        f" ({sound.info.seconds:.3f} s) whether it is in {' or '.join(candidates)}; do the two files belong"
        " together?"
    )
