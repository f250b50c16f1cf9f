"""textgrid: TextGrids of Praat, ``.TextGrid`` (long, short or JSON; read with praatio).

The tier of phones is the one that ``tier`` names; else the one whose name is usual for phones, or the only
one. Several usual names, or none among several tiers, are refused with the names of all tiers. A tier with a
usual name for words gives words. Time that belongs to no phone (intervals without text) is a pause, ``_`` as
in other data sets, which scores leave out.
"""

import re
from pathlib import Path

from audiomtl.data.annotations import Annotation, Options, SettingError, Sound, Spans, ordered
from audiomtl.errors import UserError
from audiomtl.settings.validation import nearest

SUFFIXES = (".textgrid",)
RANK = 0
PAUSE = "_"
SAME_SECONDS = 1e-6
USUAL = {
    "phones": r"(.* - )?(phones?|phonemes?|phonetics?|phon|segments?|segs?|mau)",
    "words": r"(.* - )?(words?|ort|ort-mau|orthography)",
}


def fits(path: Path) -> bool:
    return True


def read(path: Path, sound: Sound, options: Options) -> Annotation:
    from praatio import textgrid
    from praatio.data_classes.interval_tier import IntervalTier

    try:
        grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=False, reportingMode="silence")
    except Exception as error:  # praatio lets through what its parsing raises
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise UserError(
            f"{path}: cannot be read as a TextGrid ({reason}); open it in Praat and save it as text"
        ) from None
    tiers = [name for name in grid.tierNames if isinstance(grid.getTier(name), IntervalTier)]
    listed = ", ".join(f'"{name}"' for name in tiers)
    if not tiers:
        raise UserError(f"{path}: has no interval tier, only points, which have no length; add one")

    def spans_of(tier: str, part: str) -> Spans:
        written = [
            (line, float(start), float(end), str(label))
            for line, (start, end, label) in enumerate(grid.getTier(tier).entries, 1)
            if str(label).strip()
        ]
        found = ordered(path, written)
        if part != "phones":
            return found
        return with_pauses(found, min(float(grid.getTier(tier).maxTimestamp), sound.info.seconds))

    remark: tuple[str, ...] = ()
    usual = {
        part: [name for name in tiers if re.fullmatch(form, name.strip(), re.IGNORECASE)]
        for part, form in USUAL.items()
    }
    if options.tier:
        if options.tier not in tiers:
            raise SettingError(
                f'{path}: data.tier = "{options.tier}": no such interval tier{nearest(options.tier, tiers)};'
                f" it has {listed}"
            )
        part, chosen = options.spans or "phones", options.tier
    else:
        candidates = usual["phones"] or (tiers if len(tiers) == 1 and not usual["words"] else [])
        if len(candidates) > 1 or (not candidates and not usual["words"]):
            raise SettingError(
                f"{path}: which of its tiers has the phones cannot be told; name it:"
                f' data.tier = "NAME" with one of {listed}'
            )
        part, chosen = options.spans or "phones", candidates[0] if candidates else ""
        remark = (f'tier "{chosen}" has the {part}',) if chosen else ()
    parts = {part: spans_of(chosen, part)} if chosen else {}
    if len(usual["words"]) == 1 and usual["words"][0] != chosen and "words" not in parts:
        parts["words"] = spans_of(usual["words"][0], "words")
        remark += (f'tier "{usual["words"][0]}" has the words',)
    if not any(parts.values()):
        raise UserError(f"{path}: no interval of tier {chosen or usual['words'][0]} has a label; fill it in")
    return Annotation({name: spans for name, spans in parts.items() if spans}, remark)


def with_pauses(phones: Spans, end: float) -> Spans:
    """Phones with pauses in the time that belongs to none, from 0 to ``end``; nothing where there are no
    phones.
    """
    found: Spans = []
    for span in phones:
        before = found[-1][1] if found else 0.0
        if span[0] > before + SAME_SECONDS:
            found.append((before, span[0], PAUSE))
        found.append(span)
    if found and end > found[-1][1] + SAME_SECONDS:
        found.append((found[-1][1], end, PAUSE))
    return found
