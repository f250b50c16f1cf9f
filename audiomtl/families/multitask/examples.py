"""From a clip table to inputs and targets of a multi-task network: examples and batches.

Conventions as in `heads` and `steps`. Contents: `Example`, `with_arrays`, `frames_of`, `classes_of`,
`refuse_texts`, `example`, `target`, `with_few_labels`, `with_class_weights`, `with_scaled_targets`,
`collate`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from audiomtl.data import catalog, cells, item_weights, normalization, scaling
from audiomtl.data.augmentation import Variant
from audiomtl.data.class_weights import class_weights
from audiomtl.data.datasets import manifest
from audiomtl.data.pauses import pauses_of
from audiomtl.data.pipeline import pad
from audiomtl.data.scaling import Scaler
from audiomtl.data.scores import KEYS
from audiomtl.data.store import FeatureStore
from audiomtl.errors import UserError
from audiomtl.families.multitask.heads import kind
from audiomtl.families.multitask.settings import Head, Settings
from audiomtl.families.multitask.steps import rolls, stacked, step_times, text_tokens

ARRAY = "audio"  # of an .npz file whose rows are clips: what is heard


@dataclass(frozen=True, eq=False)
class Example:
    """One clip with its inputs and targets."""

    clip_id: str
    frames: np.ndarray  # (n_frames, n_bands)
    targets: Mapping[str, np.ndarray | None]  # of each head; None: not known
    weights: Mapping[str, float]  # in each head's loss
    text: np.ndarray | None  # (n_positions,) tokens, where there is an alignment
    roll: np.ndarray | None  # (n_steps, 88), where a score is given
    row: Mapping[str, Any]  # of the clip table
    variants: Mapping[Variant, "Example"] = field(default_factory=dict)  # of train: the sound changed


def with_arrays(table: pd.DataFrame) -> pd.DataFrame:
    """A table whose clips are rows of ``.npz`` files, with a column for each of their arrays: the clip's
    own row of it.
    """
    if manifest.ROW not in table.columns:
        return table
    held = {path: manifest.arrays(path) for path in sorted(set(table["path"]))}
    table = table.copy()
    for name in sorted({name for arrays in held.values() for name in arrays}):
        if name in table.columns:
            raise UserError(
                f"{table['path'][0]}: an array and a column of the table are both named {name}; rename one of"
                " them"
            )
        rows = zip(table["path"], table[manifest.ROW], strict=True)
        table[name] = pd.Series(
            [held[path][name][row] if name in held[path] else None for path, row in rows],
            index=table.index,
            dtype=object,
        )
    return table


def _heard(
    row: Mapping[Any, Any], column: str, frames: Mapping[str, np.ndarray], settings: Settings
) -> np.ndarray | None:
    """Frames (n_frames, n_bands) of a recording, or of the clip's array ``column`` (frames first,
    channels of one left away).
    """
    value = row[column]
    if not isinstance(value, np.ndarray):
        return frames.get(value or "")
    array = (value[..., 0] if value.ndim == 3 and value.shape[2] == 1 else value).astype(np.float32)
    if array.ndim != 2 or array.shape[1] != settings.features.n_bands:
        raise UserError(
            f"clip {row['clip_id']}: the array {column} has shape {value.shape}, but frames x"
            f" {settings.features.n_bands} are needed (features.bands); transpose it, or change the setting"
        )
    return array


def frames_of(
    table: pd.DataFrame, settings: Settings, variant: Variant | None = None, *, trained: bool = False
) -> dict[str, np.ndarray]:
    """Features of every recording that is an input or a target, by path.

    Parameters
    ----------
    trained : whether the clips are new ones of a trained model, which may lack features.normalize_by.
    """
    if manifest.ROW in table.columns:
        if by := settings.features.normalize_by:
            raise UserError(f'features.normalize_by = "{by}": the clips are arrays; set it to ""')
        return {}
    columns = {"path", *(head.reads("") for head in settings.heads.values() if head.about.reads_recording)}
    paths = sorted({path for column in columns for path in table[column].dropna()})
    store = FeatureStore(catalog.cache_folder() / "features")
    found = dict(zip(paths, store.features(paths, settings.features, changed=variant), strict=True))
    if by := settings.features.normalize_by:
        inputs = [found[path] for path in table["path"]]
        inputs = normalization.by_column(table, inputs, by, needed=not trained)
        found |= zip(table["path"], inputs, strict=True)
    return found


def classes_of(name: str, head: Head, train: pd.DataFrame, settings: Settings) -> tuple[str, ...]:
    """Sorted class names of a head, from the train split only; empty for heads without classes.

    Raises
    ------
    UserError : a column is not in the clip table; one class only.
    """
    text = (settings.inputs.text,) if head.about.reads_text else ()
    for wanted in (head.reads(settings.data.label), *head.about.beside, *text):
        if wanted not in train.columns:
            raise UserError(
                f"heads.{name}: kind {head.kind} needs a column {wanted}, which data.dataset ="
                f' "{settings.data.dataset}" has not; '
                f"it has {', '.join(train.columns)}"
            )
    return kind(head.kind).classes(name, head, train, settings)


def refuse_texts(table: pd.DataFrame, settings: Settings) -> None:
    """Refuse columns of texts where heads and inputs read lists.

    Raises
    ------
    UserError : naming setting, clip, value and remedy.
    """
    read = {f"heads.{name}": (head.reads(""), head.about.column) for name, head in settings.heads.items()}
    read |= {
        "inputs.text": (settings.inputs.text, "phones"),
        "inputs.score": (settings.inputs.score, "notes"),
    }
    for place, (column, usual) in read.items():
        if column in table.columns and usual in cells.DEFAULTS:
            cells.refuse_texts(table, column, cells.DEFAULTS[usual], place)


def example(
    row: Mapping[Any, Any],
    frames: Mapping[str, np.ndarray],
    names: Mapping[str, Sequence[str]],
    symbols: Sequence[str],
    settings: Settings,
) -> Example:
    heard = _heard(row, ARRAY if manifest.ROW in row else "path", frames, settings)
    assert heard is not None
    known, weights = dict[str, np.ndarray | None](), dict[str, float]()
    for name, head in settings.heads.items():
        known[name] = target(
            name,
            head,
            row,
            len(heard),
            names[name],
            settings,
            lambda column: _heard(row, column, frames, settings),
        )
        # clips of a trained model may lack the column
        weight = row.get(head.item_weight, 1.0) if head.item_weight else 1.0
        weights[name] = item_weights.weight_of(weight, row["clip_id"], f"heads.{name}.item_weight")
    given = row[settings.inputs.text] if settings.inputs.text else None
    text = None
    if settings.inputs.text:
        text = text_tokens(given if given is not None else (), symbols, pauses_of(settings.data))
    roll = None
    if settings.inputs.score:
        notes = row[settings.inputs.score]
        roll = rolls(notes if notes is not None else (), step_times(len(heard), settings), row["clip_id"])[
            :, KEYS:
        ]
    return Example(row["clip_id"], heard, known, weights, text, roll, row)


def target(
    name: str,
    head: Head,
    row: Mapping[Any, Any],
    n_frames: int,
    names: Sequence[str],
    settings: Settings,
    frames_of: Callable[[str], np.ndarray | None],
) -> np.ndarray | None:
    """Target of one head for one clip; None if its column has no value."""
    value = row[head.reads(settings.data.label)]
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return None
    return kind(head.kind).target(name, head, row, n_frames, names, settings, frames_of)


def with_few_labels(examples: list[Example], settings: Settings, seed: int) -> list[Example]:
    """Remove the labels of all but a fraction of the clips, independently for each head."""
    for number, (name, head) in enumerate(sorted(settings.heads.items())):
        if head.labelled_share < 1:
            kept = np.random.default_rng((seed, number)).permutation(
                len(examples)
            ) < head.labelled_share * len(examples)
            examples = [
                one if keep else replace(one, targets={**one.targets, name: None})
                for one, keep in zip(examples, kept, strict=True)
            ]
    return examples


def with_class_weights(
    train: Sequence[Example], names: Mapping[str, Sequence[str]], settings: Settings
) -> list[Example]:
    """The train side, in which heads with balanced classes weight them: in the weight of each clip, or of
    tags, of which a clip has several, in the targets.
    """
    found = list(train)
    for name, head in settings.heads.items():
        if head.class_weights != "balanced":
            continue
        known = [one.targets[name] for one in found]
        of_class = class_weights([each for each in known if each is not None], len(names[name]))
        found = [
            one
            if each is None
            else replace(one, targets={**one.targets, name: each * of_class})
            if each.ndim
            else replace(one, weights={**one.weights, name: one.weights[name] * float(of_class[int(each)])})
            for one, each in zip(found, known, strict=True)
        ]
    return found


def with_scaled_targets(
    examples: dict[str, list[Example]], scaler: Scaler, settings: Settings
) -> dict[str, list[Example]]:
    """The same, where a head learns frames scaled and by steps."""

    def scaled(one: Example) -> dict[str, np.ndarray | None]:
        return {
            name: kind(head.kind).scaled(one.targets[name], scaler, settings)
            for name, head in settings.heads.items()
        }

    return {side: [replace(one, targets=scaled(one)) for one in found] for side, found in examples.items()}


def collate(
    examples: Sequence[Example], names: Mapping[str, Sequence[str]], scaler: Scaler, settings: Settings
) -> dict[str, Any]:
    """A batch: frames (clips, longest, bands), lengths (frames) and steps.

    Text and roll; each head's target and weight (0: not known).
    """
    frames, lengths = pad([scaling.apply(one.frames, scaler) for one in examples], at_least=settings.stride)
    steps = -(-lengths // settings.stride)
    longest = -(-frames.shape[1] // settings.stride)
    batch: dict[str, Any] = {"frames": frames, "lengths": lengths, "steps": steps.astype(np.int32)}
    if settings.inputs.text:
        texts = [one.text for one in examples if one.text is not None]
        batch["text"] = np.stack([np.pad(text, (0, max(map(len, texts)) - len(text))) for text in texts])
    if settings.inputs.score:
        batch["roll"] = stacked([one.roll for one in examples], longest)
    for name, head in settings.heads.items():
        known = [one.targets[name] for one in examples]
        weights = [
            one.weights[name] if value is not None else 0.0
            for one, value in zip(examples, known, strict=True)
        ]
        batch[f"weight_{name}"] = np.array(weights, np.float32)
        batch[f"target_{name}"] = kind(head.kind).batch(
            known, longest, classes=len(names[name]), bands=settings.features.n_bands
        )
    return batch | {"clip_ids": [one.clip_id for one in examples]}
