"""Clips for the CTC network: which have phones, what of them the network can learn, and batches.

Conventions: class 0 is the blank, classes 1.. are the phones of a vocabulary.

Contents: `Clip`, `transcribed`, `check_unseen`, `examples_of`, `with_variants`, `audit`, `collate`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from audiomtl.data import augmentation, catalog, scaling, splits, text
from audiomtl.data.augmentation import Variant
from audiomtl.data.features import frame_times
from audiomtl.data.pipeline import Example, pad
from audiomtl.data.scaling import Scaler
from audiomtl.data.splits import Splits
from audiomtl.data.store import FeatureStore
from audiomtl.errors import UserError
from audiomtl.families.ctc.network import frame_centres, reduced
from audiomtl.families.ctc.settings import Settings
from audiomtl.nn import ctc

PAUSE = "_"
NAMED = 5  # clips that a message names


@dataclass(frozen=True)
class Clip(Example):
    """A clip with its phones by name and their onsets in seconds, (0,) where times are unknown."""

    phones: tuple[str, ...]
    starts: np.ndarray
    variants: Mapping[Variant, "Clip"] = field(default_factory=dict)  # of train: the sound changed


def transcribed(table: pd.DataFrame, settings: Settings, facts: dict[str, float]) -> pd.DataFrame:
    """The clips that have phones: of the table, or made from its transcripts."""
    table = text.with_phones(table, settings.text)
    if "phones" not in table.columns:
        near = [name for name in ("text", "transcript", "sentence", "words") if name in table.columns]
        hint = f', such as [text] with column = "{near[0]}" and a language' if near else ""
        raise UserError(
            f'data.dataset = "{settings.data.dataset}": the clip table has no column phones, which ctc'
            f" learns; add it, or a column of transcripts and the table [text]{hint}; it has"
            f" {', '.join(map(str, table.columns))}"
        )
    table = text.checked(table)
    lacking = text.untranscribed(table)
    if not lacking.any():
        return table
    clips = list(table["clip_id"][lacking])
    named = ", ".join(clips[:NAMED]) + (f" and {len(clips) - NAMED} more" if len(clips) > NAMED else "")
    if settings.network.untranscribed == "error" or lacking.all():
        raise UserError(
            f"{len(clips)} of {len(table)} clips have no transcript: {named}: add them, or leave the clips"
            ' out with network.untranscribed = "drop"'
        )
    print(f"dropped {len(clips)} clips without a transcript: {named}", flush=True)
    facts["untranscribed"] = float(len(clips))
    kept = table[~lacking].reset_index(drop=True)
    kept.attrs = dict(table.attrs)
    return kept


def check_unseen(
    sides: Splits, vocabulary: Sequence[str], settings: Settings, facts: dict[str, float]
) -> None:
    """Refuse, or count and say, phones of validation and test that train does not have."""
    if settings.network.unseen == "error":
        splits.check_phones(sides)
        return
    for side in ("validation", "test"):
        phones = [phone for own in getattr(sides, side)["phones"] for phone in own]
        unseen = [phone for phone in phones if phone not in set(vocabulary)]
        facts[f"{side}/unseen_phones"] = float(len(unseen))
        if unseen:
            kinds = sorted(set(unseen))
            more = f" and {len(kinds) - NAMED} more" if len(kinds) > NAMED else ""
            print(
                f"{side}: {len(unseen)} of {len(phones)} phones are of kinds that train does not have and"
                f" count as errors: {' '.join(kinds[:NAMED])}{more}",
                flush=True,
            )


def examples_of(
    rows: pd.DataFrame, vocabulary: Sequence[str], settings: Settings, variant: Variant | None = None
) -> list[Clip]:
    """The clips of a table with ``phones`` and ``starts`` (`text.checked`), ready for the network."""
    store = FeatureStore(catalog.cache_folder() / "features")
    frames = store.features(list(rows["path"]), settings.features, changed=variant)
    factor = variant.factor if variant else 1.0
    return [
        _example(row, np.asarray(row.starts, float) / factor, matrix, vocabulary, settings)
        for row, matrix in zip(rows.itertuples(), frames, strict=True)
    ]


def with_variants(
    train: Sequence[Clip], rows: pd.DataFrame, vocabulary: Sequence[str], settings: Settings
) -> list[Clip]:
    """The train clips with their sounds at other speeds and in other rooms, as far as the network can learn
    them: a clip that is played faster may have too few frames.
    """
    found: dict[str, dict[Variant, Clip]] = {one.clip_id: {} for one in train}
    reduction = settings.network.time_reduction
    for variant in augmentation.variants(settings.augmentation):
        for one in examples_of(rows, vocabulary, settings, variant):
            if one.clip_id in found and ctc.feasible(reduced(len(one.frames), reduction), one.labels):
                found[one.clip_id][variant] = one
    return [replace(one, variants=found[one.clip_id]) for one in train]


def _example(
    row: Any, starts: np.ndarray, frames: np.ndarray, vocabulary: Sequence[str], settings: Settings
) -> Clip:
    classes = {phone: index + 1 for index, phone in enumerate(vocabulary)}
    # phones that train does not have are no labels; no frame is ever right about them
    every = np.array([classes.get(phone, ctc.BLANK) for phone in row.phones], np.int32)
    centres = frame_times(len(frames), settings.features)[
        frame_centres(len(frames), settings.network.time_reduction)
    ]
    frame_labels = np.zeros(0, np.int32)
    if len(starts):
        frame_labels = every[np.clip(np.searchsorted(starts, centres, side="right") - 1, 0, len(every) - 1)]
    return Clip(
        row.clip_id,
        row.path,
        frames,
        every[every != ctc.BLANK],
        frame_labels,
        tuple(row.phones),
        starts,
    )


def audit(examples: list[Clip], side: str, settings: Settings, facts: dict[str, float]) -> list[Clip]:
    """Reject or drop clips that the settings cannot train on, naming them."""
    reduction = settings.network.time_reduction
    bad = [
        one.clip_id for one in examples if not ctc.feasible(reduced(len(one.frames), reduction), one.labels)
    ]
    facts[f"{side}/infeasible"] = float(len(bad))
    if bad and (settings.network.infeasible == "error" or len(bad) == len(examples)):
        raise UserError(
            f"{len(bad)} {side} clips have more phones (and repeats) than network frames:"
            f" {', '.join(bad[:5])}: "
            f'shorten features.hop_seconds, lower network.time_reduction, or set network.infeasible = "drop"'
        )
    if bad:
        print(f"dropped {len(bad)} {side} clips with more phones than frames: {', '.join(bad)}", flush=True)
    untimed = [one.clip_id for one in examples if not len(one.frame_labels)]
    if settings.network.objective != "ctc" and untimed:
        raise UserError(
            f'network.objective = "{settings.network.objective}": needs phone times, which {len(untimed)} of'
            f' {len(examples)} {side} clips lack ({", ".join(untimed[:NAMED])}): use "ctc"'
        )
    return [one for one in examples if one.clip_id not in set(bad)]


def collate(examples: Sequence[Clip], scaler: Scaler, reduction: int) -> dict[str, Any]:
    frames, lengths = pad([scaling.apply(one.frames, scaler) for one in examples])
    labels, label_lengths = pad([one.labels for one in examples])
    frame_labels, _ = pad(
        [one.frame_labels for one in examples], at_least=reduced(frames.shape[1], reduction)
    )
    return {
        "clip_ids": [one.clip_id for one in examples],
        "frames": frames,  # (batch, frames, bands)
        "lengths": lengths,
        "labels": labels,  # (batch, labels)
        "label_lengths": label_lengths,
        "frame_labels": frame_labels,  # (batch, network frames)
    }
