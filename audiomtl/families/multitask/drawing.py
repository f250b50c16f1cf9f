"""Pictures of what a multi-task network heard; what is drawn of it, `audiomtl.pictures` draws.

Contents: `draw`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audiomtl import pictures
from audiomtl.families.multitask import scoring as judging
from audiomtl.families.multitask.settings import Settings
from audiomtl.metrics import labels
from audiomtl.nn.fit import Fit

CLIPS = 3  # that are drawn, the first by clip_id


def draw(
    heard: Sequence[tuple[Any, Mapping[str, np.ndarray]]],
    names: Mapping[str, Sequence[str]],
    settings: Settings,
    fit: Fit | None,
    folder: Path,
) -> None:
    """Draw into ``folder``: ``heard_CLIP.png`` of a few clips, ``confusion_HEAD.png`` of heads of kind clip_class, ``loss_weights.png``,
    and ``learning_curves.png`` with the experiment's own scores before others: this family has more than are shown.

    Parameters
    ----------
    heard : each clip (clip_id, frames, targets of each head, row of the clip table) with each head's output on its own steps.
    names : of each head's classes. fit : the training; None draws no curves.
    """
    for name, head in settings.heads.items():
        if head.kind == "clip_class":
            known = [(one, outputs) for one, outputs in heard if one.targets[name] is not None and one.targets[name] >= 0]
            truth = [names[name][int(one.targets[name])] for one, _ in known]
            said = [names[name][int(outputs[name].argmax())] for _, outputs in known]
            if known:
                pictures.confusion(labels.confusion(truth, said), folder / f"confusion_{name}.png", edits=False)
    for one, outputs in sorted(heard, key=lambda pair: pair[0].clip_id)[:CLIPS]:
        _clip(one, outputs, names, settings, folder / f"heard_{one.clip_id}.png")
    if fit:
        tasks = [name for name in (*settings.heads, *settings.coupling) if any(f"train/{name}_weight" in one for one in fit.history)]
        pictures.trajectories(fit.history, tasks, folder / "loss_weights.png")
        pictures.learning_curves(fit.history, folder / "learning_curves.png", best_epoch=fit.best_epoch, before=list(settings.scores))


def _clip(one: Any, outputs: Mapping[str, np.ndarray], names: Mapping[str, Sequence[str]], settings: Settings, path: Path) -> None:
    texts, notes, activities = {}, {}, {}
    for name, output in outputs.items():
        head = settings.heads[name]
        if head.kind == "segments":
            activities[name] = (one.targets[name], output, names[name])
        if head.kind not in ("alignment", "phones", "melody", "notes"):
            continue
        text = one.row[settings.inputs.text] if head.kind == "alignment" else ()
        found = judging.heard(head, output, text, names[name], len(one.frames), settings)
        known = one.targets[name] is not None
        if head.kind in ("alignment", "phones"):
            spoken = zip(one.row["starts"], one.row["ends"], one.row[head.reads("")], strict=True) if known else ()
            texts[name] = (_loud(spoken), _loud(found))
        else:
            notes[name] = ([tuple(note) for note in one.row[head.reads("")]] if known else [], found)
    pictures.heard(
        np.asarray(one.frames),
        seconds_per_frame=settings.features.hop_samples / settings.features.sample_rate,
        seconds_per_step=settings.step_seconds,
        texts=texts,
        notes=notes,
        activities=activities,
        title=one.clip_id,
        path=path,
    )


def _loud(spans: Any) -> list[tuple[float, float, str]]:
    return [span for span in spans if span[2] != judging.PAUSE]
