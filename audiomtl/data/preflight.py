"""What the data of an experiment tell before anything is trained: a dry run of every split, without
TensorFlow.

A family may have a module ``preflight`` that imports nothing heavy, with ``clips(settings, table)``, the
clips that it divides, and ``check_sides(settings, sides)``, called for every seed; both raise `UserError`.

Contents: `look`, `Look`, `Division`, `refuse`, `classes_in`.
"""

import importlib
import importlib.util
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from audiomtl.data import catalog, features, item_weights, protocols
from audiomtl.data.splits import Splits
from audiomtl.data.stratified import unscored
from audiomtl.errors import MissingData, UserError
from audiomtl.settings.family import package_of

FEW_TEST_CLIPS = 30  # below which a score says little: one clip is more than 3 points of accuracy
FEW_VALIDATION_CLIPS = 10
UNEQUAL = 3.0  # largest class, relative to the smallest, from which classes count as unequal
NAMED = 5  # how many names a line gives
FAULTS = 3  # how many different faults one message gives


@dataclass(frozen=True)
class Division:
    """The split of one seed, or why there is none."""

    seed: int
    sides: Splits | None
    fault: str = ""


@dataclass(frozen=True)
class Look:
    """What was seen."""

    table: pd.DataFrame
    divisions: tuple[Division, ...]
    faults: tuple[str, ...]  # reasons for which no training can succeed, one line each
    warnings: tuple[str, ...]  # what a training survives, but a reader of its scores should know
    left_out: tuple[str, ...] = ()  # those of the warnings that say which classes a score leaves out


def look(settings: Any, table: pd.DataFrame, known: dict[str, Splits | str] | None = None) -> Look:
    """Divide a clip table as ``study_seed`` and every one of ``seeds`` would, and collect what is wrong.

    Parameters
    ----------
    settings : of an experiment. table : its clips. known : splits of the same table that were made before;
        new ones are added.
    """
    if table.empty:
        fault = f'data.dataset = "{settings.data.dataset}": has no clip; add recordings'
        return Look(table, (), (fault,), ())
    own = _own(settings.model)
    weighted = getattr(settings, "item_weight", "")
    given = (_fault(_features, settings), _fault(item_weights.weights_of, table, weighted))
    faults = [fault for fault in given if fault]
    try:
        made = getattr(own, "clips", None)
        table = made(settings, table) if made else table
    except MissingData:
        raise
    except UserError as error:
        faults.append(str(error))
        own = None  # it may rely in `check_sides` on what it has checked
    weighted = "" if given[1] else weighted
    known = {} if known is None else known
    seeds = (settings.study_seed, *settings.seeds)
    divisions = tuple(_divide(settings, table, seed, own, known, weighted) for seed in seeds)
    faults += _by_seed(divisions)
    left_out = _unscored(settings, divisions)
    warnings = [*_sizes(settings, divisions), *left_out]
    warnings += [*_unequal(settings, table), *_unfit(settings, table)]
    return Look(table, divisions, tuple(dict.fromkeys(faults)), tuple(warnings), tuple(left_out))


def refuse(
    settings: Any, table: pd.DataFrame, place: str, known: dict[str, Splits | str] | None = None
) -> Look:
    """Raise one error that names every fault; without one what was seen.

    Parameters
    ----------
    known : as of `look`. place : begins the message: an experiment file.

    Raises
    ------
    UserError : some or all of the trainings would fail.
    """
    seen = look(settings, table, known)
    for line in seen.left_out:
        print(line, flush=True)
    if faults := seen.faults:
        more = f"; and {len(faults) - FAULTS} more" if len(faults) > FAULTS else ""
        raise UserError(f"{place}: {'; '.join(faults[:FAULTS])}{more}")
    return seen


def classes_in(cells: Iterable[Any]) -> Counter[str]:
    """Clips of each class: of a column of classes, or of lists of classes."""
    found = Counter[str]()
    for cell in cells:
        several = isinstance(cell, list | tuple | np.ndarray)
        found.update(map(str, cell) if several else [str(cell)])
    return found


# ---------------------------------------------------------------- faults


def _own(model: str) -> ModuleType | None:
    name = f"{package_of(model)}.preflight"
    try:
        found = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return None
    return importlib.import_module(name) if found else None


def _fault(check: Callable[..., object], *arguments: Any) -> str:
    """The text of the error that a check raises, or nothing."""
    try:
        check(*arguments)
    except MissingData:
        raise
    except UserError as error:
        return str(error)
    return ""


def _features(settings: Any) -> None:
    """Features of a short silence: refuses what no recording can have."""
    if getattr(settings, "features", None) is not None:
        features.extract(np.zeros(settings.features.n_fft, np.float32), settings.features)


def _divide(
    settings: Any,
    table: pd.DataFrame,
    seed: int,
    own: ModuleType | None,
    known: dict[str, Splits | str],
    weighted: str,
) -> Division:
    if settings.protocol.leaky:
        return Division(seed, None)  # windows are divided, not clips
    key = f"{seed} {settings.data.model_dump_json()} {settings.protocol.model_dump_json()}"
    if key not in known:
        try:
            known[key] = protocols.divide(table, settings.data, settings.protocol, seed)
        except UserError as error:
            known[key] = str(error)
    sides = known[key]
    if isinstance(sides, str):
        return Division(seed, None, sides)
    fault = _fault(item_weights.check_classes, sides.train, settings.data.label, weighted)
    check = getattr(own, "check_sides", None)
    return Division(seed, sides, fault or (_fault(check, settings, sides) if check else ""))


def _by_seed(divisions: Sequence[Division]) -> list[str]:
    """The faults, each with its seeds; one that all seeds share without them."""
    seeds: dict[str, list[int]] = {}
    for one in divisions:
        if one.fault:
            seeds.setdefault(one.fault, []).append(one.seed)
    return [
        fault if len(own) == len(divisions) and len(divisions) > 1 else f"{_seeds(own)}: {fault}"
        for fault, own in seeds.items()
    ]


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


# ---------------------------------------------------------------- warnings


def _sizes(settings: Any, divisions: Sequence[Division]) -> list[str]:
    """Small sides, and classes that a side lacks."""
    found = []
    for side, few in (("test", FEW_TEST_CLIPS), ("validation", FEW_VALIDATION_CLIPS)):
        sizes: dict[int, list[int]] = {}
        lacking: dict[str, list[int]] = {}
        for one in divisions:
            if one.sides is None:
                continue
            rows = one.sides.sides()[side]
            sizes.setdefault(len(rows), []).append(one.seed)
            if settings.data.label and settings.data.labels == "one":
                column = settings.data.label
                absent = set(classes_in(one.sides.train[column])) - set(classes_in(rows[column]))
                if absent:
                    lacking.setdefault(_some(sorted(absent)), []).append(one.seed)
        if small := {size: seeds for size, seeds in sorted(sizes.items()) if size < few}:
            parts = [
                f"{size} {side} clip{'s' if size > 1 else ''} ({_seeds(seeds)})"
                for size, seeds in small.items()
            ]
            found.append(f"{', '.join(parts)}: a score over so few clips is uncertain")
        found += [
            f"no {side} clip of {settings.data.label} {classes} ({_seeds(seeds)})"
            for classes, seeds in lacking.items()
        ]
    return found


def _unscored(settings: Any, divisions: Sequence[Division]) -> list[str]:
    """Tags that a side cannot score."""
    if not settings.data.label or settings.data.labels == "one":
        return []
    found = []
    for side in ("test", "validation"):
        lacking: dict[str, list[int]] = {}
        for one in divisions:
            if one.sides is not None and (names := unscored(one.sides, settings.data.label, side)):
                lacking.setdefault(_some(names), []).append(one.seed)
        found += [
            f"{side}: all clips or none have {settings.data.label} {names} ({_seeds(seeds)}): left out of the"
            " means over classes"
            for names, seeds in lacking.items()
        ]
    return found


def _unequal(settings: Any, table: pd.DataFrame) -> list[str]:
    if not settings.data.label or settings.data.label not in table:
        return []
    ordered = classes_in(table[settings.data.label]).most_common()
    if len(ordered) < 2 or ordered[0][1] < UNEQUAL * ordered[-1][1]:
        return []
    (most, many), (least, few) = ordered[0], ordered[-1]
    told = f"unequal classes: {most} has {many} clips, {least} has {few}"
    remedy = "read balanced_accuracy rather than accuracy"
    return [f"{told}; {remedy}" if settings.data.labels == "one" else told]


def _unfit(settings: Any, table: pd.DataFrame) -> list[str]:
    """Windows and rates that do not fit the recordings."""
    found = []
    seconds = lengths(table)
    windows = getattr(settings, "windows", None)
    if windows is not None and len(seconds) and (short := float((seconds < windows.seconds).mean())) > 0.5:
        found.append(
            f"windows.seconds = {windows.seconds:g}: {100 * short:.0f} % of the clips are shorter (median"
            f" {np.median(seconds):.2f} s) and are padded"
        )
    return found


def lengths(table: pd.DataFrame) -> np.ndarray:
    """Lengths of the clips in seconds (known clips,); empty where the table does not have them."""
    seconds = catalog.seconds(table).to_numpy(np.float64)
    return seconds[np.isfinite(seconds)]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
