"""Sound to phones: one recurrent network trained with CTC, on frame-wise labels, or on frame-wise labels
first and then with CTC.

Conventions: class 0 is the blank, classes 1.. are the phones of `Prepared.vocabulary` (sorted; the pause
``_`` is one of them). Scores leave pauses out. A network trained on frames is decoded by runs of its best
phone, one trained with CTC by greedy collapse.

Contents: the functions of `contract.Family`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from audiomtl import pictures as draw
from audiomtl.data import catalog, protocols, scaling, splits
from audiomtl.data.features import frame_times
from audiomtl.data.pipeline import pad
from audiomtl.data.scaling import Scaler
from audiomtl.families import contract
from audiomtl.families.contract import Fitted, Output, Prepared
from audiomtl.families.ctc import alignment, learning
from audiomtl.families.ctc import loss as ctc
from audiomtl.families.ctc.examples import (
    Clip,
    audit,
    check_unseen,
    collate,
    examples_of,
    transcribed,
    with_variants,
)
from audiomtl.families.ctc.network import recurrent_network, reduced
from audiomtl.families.ctc.settings import Settings
from audiomtl.metrics import alignment as timing
from audiomtl.metrics import sequences
from audiomtl.nn.fit import Checkpoint, OnEpoch, Scores, fit

PAUSE = "_"
EVALUATION_BATCH = 32
Mode = Literal["ctc", "frames"]


@dataclass(frozen=True)
class Known:
    """State fitted on the train split."""

    vocabulary: tuple[str, ...]  # phone of class 1, 2, ...
    scaler: Scaler
    mode: Mode  # how the softmax is read


# ---------------------------------------------------------------- data


def prepare(settings: Settings, seed: int) -> Prepared:
    """Split first, then features, vocabulary and scaler from train only.

    Raises
    ------
    UserError : groups on two sides, an empty side, a phone absent from train, clips without a transcript or
        with more phones than frames; what `text.with_phones` refuses.
    """
    facts: dict[str, float] = {}
    table = transcribed(catalog.clips(settings.data), settings, facts)
    sides = protocols.divide(table, settings.data, settings.protocol, seed)
    vocabulary = tuple(sorted({phone for phones in sides.train["phones"] for phone in phones}))
    check_unseen(sides, vocabulary, settings, facts)
    facts |= {name: float(value) for name, value in splits.describe(sides, settings.data.groups).items()}
    # the score of a system that ignores the sound
    if copied := getattr(catalog.module(settings.data), "copy_baseline", None):
        facts["test/copied_transcript_error_rate"] = copied(table, sides.test)
    examples = {
        side: audit(examples_of(getattr(sides, side), vocabulary, settings), side, settings, facts)
        for side in ("train", "validation", "test")
    }
    scaler = scaling.fit((example.frames for example in examples["train"]), settings.features.scaling)
    examples["train"] = with_variants(examples["train"], sides.train, vocabulary, settings)
    final: Mode = "frames" if settings.network.objective == "frames" else "ctc"
    return Prepared(sides, examples, Known(vocabulary, scaler, final), facts)


# ---------------------------------------------------------------- training


def train(
    settings: Settings, prepared: Prepared, seed: int, on_epoch: OnEpoch, checkpoint: Checkpoint | None
) -> Fitted:
    """Train one network and return it with the weights of its best epoch."""
    network, training, known = settings.network, settings.training, prepared.known
    model = recurrent_network(
        settings.features.n_bands,
        len(known.vocabulary) + 1,
        units=network.units,
        cell=network.cell,
        dropout=network.dropout,
        layer_normalization=network.layer_normalization,
        convolution_filters=network.convolution_filters,
        convolution_frames=network.convolution_frames,
        time_reduction=network.time_reduction,
    )
    # frames_then_ctc: at least one epoch of each
    between = min(training.epochs - 1, max(1, round((network.frames_share or 0.0) * training.epochs)))
    switch = {"ctc": 0, "frames": training.epochs, "frames_then_ctc": between}[network.objective]

    def mode(epoch: int) -> Mode:
        return "frames" if epoch < switch else "ctc"

    learned, objectives = learning.objectives(model, settings, known.vocabulary)
    batches = learning.batches(prepared.examples["train"], known.scaler, settings, seed)

    fitted = _fitted(model, settings, known)
    timed = any("boundary_" in name for name in (training.monitor, *(settings.scores or {})))

    def score(epoch: int) -> Scores:
        now = replace(fitted, known=replace(known, mode=mode(epoch)))
        outputs_now = outputs(now, prepared.examples["validation"])
        # alignments cost time: where nothing asks for them, only the trained network is scored by them
        scores = (evaluate if timed else _scores)(now, outputs_now)
        return {f"validation/{name}": value for name, value in scores.items()}

    result = fit(
        learned,
        optimizer=settings.optimizer,
        training=training,
        batches=batches,
        loss=lambda epoch: objectives[mode(epoch)],
        score=score,
        on_epoch=on_epoch,
        checkpoint=checkpoint,
        monitor_from=switch if network.objective == "frames_then_ctc" else 0,
    )
    return replace(fitted, fit=result)


# ---------------------------------------------------------------- use


def outputs(fitted: Fitted, examples: Sequence[Clip]) -> list[Output]:
    """Each example with its logits (network frames, classes)."""
    reduction, scaler = fitted.settings.network.time_reduction, fitted.known.scaler

    def answers(batch: list[Clip]) -> list[np.ndarray]:
        made = collate(batch, scaler, reduction)
        logits = fitted.forward([tf.constant(made["frames"]), tf.constant(made["lengths"])]).numpy()
        return [row[:length] for row, length in zip(logits, reduced(made["lengths"], reduction), strict=True)]

    return contract.walk(examples, lambda one: len(one.frames), answers, clips=EVALUATION_BATCH)


def _losses(fitted: Fitted, found: Sequence[Output]) -> list[float]:
    """Logits of each clip, computed in batches for speed."""
    losses: list[float] = []
    for first in range(0, len(found), EVALUATION_BATCH):
        some = found[first : first + EVALUATION_BATCH]
        logits, lengths = pad([logits for _, logits in some])
        labels, label_lengths = pad([one.labels for one, _ in some])
        if fitted.known.mode == "ctc":
            losses += ctc.ctc_loss(logits, lengths, labels, label_lengths).numpy().tolist()
        else:
            frame_labels, _ = pad([one.frame_labels for one, _ in some], at_least=logits.shape[1])
            losses += ctc.frames_loss(logits, lengths, frame_labels).numpy().tolist()
    return losses


def _best(fitted: Fitted, logits: np.ndarray) -> np.ndarray:  # (network frames,)
    """Class of each network frame; one trained on frames knows no blank."""
    return logits.argmax(-1) if fitted.known.mode == "ctc" else logits[:, 1:].argmax(-1) + 1


def evaluate(fitted: Fitted, found: Sequence[Output]) -> dict[str, float]:
    """Scores over a whole side: loss (mean per clip), phone_error_rate, blank_share; frame_accuracy where all
    times are known, and where some are boundary_mean_ms, boundary_median_ms and boundary_within_20_ms: how
    far phones lie from their onsets when the true ones are aligned.
    """
    return _scores(fitted, found) | boundary_scores(fitted, found)


def _scores(fitted: Fitted, found: Sequence[Output]) -> dict[str, float]:
    phone = dict(enumerate(fitted.known.vocabulary, start=1))
    truth, predicted, right, frames, blanks = [], [], 0, 0, 0
    for one, logits in found:
        truth.append(list(one.phones))
        predicted.append([phone[label] for label in ctc.collapse(_best(fitted, logits), drop=(ctc.BLANK,))])
        frames += len(logits)
        blanks += int((logits.argmax(-1) == 0).sum())
        if len(one.frame_labels):
            # the most likely phone, blank left aside, so that CTC and framewise networks answer the same
            # question
            right += int((logits[:, 1:].argmax(-1) + 1 == one.frame_labels).sum())
    scores = {"loss": float(np.mean(_losses(fitted, found))), "blank_share": blanks / frames}
    scores["phone_error_rate"] = sequences.error_rate(
        sequences.without(truth, PAUSE), sequences.without(predicted, PAUSE)
    )
    if all(len(one.frame_labels) for one, _ in found):
        scores["frame_accuracy"] = right / frames
    return scores


def boundary_scores(fitted: Fitted, found: Sequence[Output]) -> dict[str, float]:
    """Scores of the onsets of aligned phones, over the clips whose times are known; none without such.

    Pauses and phones that the model does not know are left out.
    """
    settings, known = fitted.settings, fitted.known
    classes = {phone: number for number, phone in enumerate(known.vocabulary, start=1) if phone != PAUSE}
    logits, phones, truth = list[np.ndarray](), list[np.ndarray](), list[np.ndarray]()
    for one, output in found:
        kept = [place for place in range(len(one.starts)) if one.phones[place] in classes]
        own = np.array([classes[one.phones[place]] for place in kept], int)
        if kept and ctc.feasible(len(output), own):
            logits.append(output)
            phones.append(own)
            truth.append(one.starts[kept])
    if not truth:
        return {}
    step = settings.features.seconds(settings.network.time_reduction)
    aligned: list[alignment.Aligned] = []
    for first in range(0, len(logits), EVALUATION_BATCH):
        some = slice(first, first + EVALUATION_BATCH)
        aligned += alignment.align(
            logits[some],
            phones[some],
            mode=known.mode,
            pause=pause_of(known.vocabulary),
            extension=alignment.EXTENSION_SECONDS / step,
        )
    return timing.boundaries(truth, [np.maximum(one.starts * step, 0.0) for one in aligned])


def pause_of(vocabulary: Sequence[str]) -> int | None:
    """Class of the pause, where there is one."""
    return vocabulary.index(PAUSE) + 1 if PAUSE in vocabulary else None


def predict(fitted: Fitted, found: Sequence[Output]) -> pd.DataFrame:
    """One row per clip: clip_id, truth and predicted phones (with pauses), start of each predicted phone in
    seconds, edits, phones.

    ``edits`` and ``phones`` (the reference length) leave pauses out, as the phone error rate does.
    """
    reduction, vocabulary, rows = fitted.settings.network.time_reduction, fitted.known.vocabulary, []
    for one, logits in found:
        best = _best(fitted, logits)
        first = np.flatnonzero(np.diff(best, prepend=-1))
        first = first[best[first] > 0]
        times = frame_times(len(one.frames), fitted.settings.features)[first * reduction]
        truth = list(one.phones)
        predicted = [vocabulary[label - 1] for label in best[first]]
        counts = sequences.edit_counts(
            sequences.without([truth], PAUSE), sequences.without([predicted], PAUSE)
        )
        edits = counts["substitutions"] + counts["deletions"] + counts["insertions"]
        rows.append((one.clip_id, truth, predicted, times.tolist(), edits, counts["reference_length"]))
    columns = ["clip_id", "truth", "predicted", "predicted_starts", "edits", "phones"]
    return pd.DataFrame(rows, columns=columns).sort_values("clip_id", ignore_index=True)


def pictures(fitted: Fitted, found: Sequence[Output], folder: Path) -> None:
    """Draw ``posteriors.png`` (the clip of median length) and ``confusion.png`` into ``folder``."""
    table = predict(fitted, found)
    truth, predicted = (
        sequences.without(list(table["truth"]), PAUSE),
        sequences.without(list(table["predicted"]), PAUSE),
    )
    draw.confusion(sequences.alignment_confusion(truth, predicted), folder / "confusion.png")
    one, logits = sorted(found, key=lambda pair: (len(pair[0].frames), pair[0].clip_id))[len(found) // 2]
    scores = np.exp(logits - logits.max(-1, keepdims=True))
    draw.posteriors(
        np.asarray(one.frames),
        scores / scores.sum(-1, keepdims=True),
        ("blank", *fitted.known.vocabulary),
        seconds=len(one.frames) * fitted.settings.features.seconds_per_frame,
        truth=list(one.phones),
        title=one.clip_id,
        path=folder / "posteriors.png",
    )


def produces(settings: Settings) -> tuple[str, ...]:
    return ("phones",)


def save(fitted: Fitted, folder: Path) -> None:
    """Write the network, vocabulary, scaler and mode."""
    known = fitted.known
    use = {"vocabulary": known.vocabulary, "scaler": scaling.to_json(known.scaler), "mode": known.mode}
    contract.save(folder, fitted.model, use, fitted.settings, contract.of_features(fitted.settings))


def load(folder: Path) -> Fitted:
    """Read what `save` wrote."""
    use, settings, model = contract.load(folder, Settings, contract.of_features)
    return _fitted(
        model, settings, Known(tuple(use["vocabulary"]), scaling.from_json(use["scaler"]), use["mode"])
    )


def _fitted(model: keras.Model, settings: Settings, known: Known) -> Fitted:
    return Fitted(model, settings, known, contract.compiled(model), model.count_params())
