"""Sound to phones: one recurrent network trained with CTC, on phone times frame by frame, or first the one and then the other.

Conventions: class 0 is the blank, classes 1.. are the phones of `Prepared.vocabulary` (sorted; the pause ``_`` is one of them).
Scores leave pauses out. A network trained on frames is decoded by runs of its best phone, one trained with CTC by greedy collapse.

Contents: `prepare`, `train`, `evaluate`, `predict`, `save`, `load`, `pictures`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from audiomtl.data import catalog, protocols, scaling, splits
from audiomtl.data.features import frame_times
from audiomtl.data.pipeline import Example, batch_order, pad
from audiomtl.data.scaling import Scaler
from audiomtl.data.store import FeatureStore
from audiomtl.errors import UserError
from audiomtl.families.ctc import loss as ctc
from audiomtl.families.ctc.network import frame_centres, recurrent_network, reduced
from audiomtl.families.ctc.settings import Settings
from audiomtl.metrics import sequences
from audiomtl.nn import saved
from audiomtl.nn.fit import Checkpoint, Fit, OnEpoch, Scores, fit

PAUSE = "_"
EVALUATION_BATCH = 32
Mode = Literal["ctc", "frames"]


@dataclass(frozen=True)
class Prepared:
    """What a training starts from."""

    splits: splits.Splits
    examples: dict[str, list[Example]]  # train, validation, test
    vocabulary: tuple[str, ...]  # phone of class 1, 2, ...
    scaler: Scaler
    facts: dict[str, float]  # counts worth a line in the record


@dataclass(frozen=True)
class Fitted:
    """A trained network with all it needs to be used."""

    model: keras.Model
    settings: Settings
    vocabulary: tuple[str, ...]
    scaler: Scaler
    mode: Mode  # how the softmax is read
    forward: Any  # the model without dropout, compiled once: (frames, lengths) -> logits
    fit: Fit | None  # None when loaded from disk

    @property
    def parameters(self) -> int:
        return self.model.count_params()


# ---------------------------------------------------------------- data


def prepare(settings: Settings, seed: int) -> Prepared:
    """Split first, then features, vocabulary and scaler from train only.

    Raises
    ------
    UserError : groups on two sides, an empty side, a phone absent from train, a clip with more phones than frames.
    """
    table = catalog.clips(settings.data)
    sides = protocols.divide(table, settings.data, settings.protocol, seed)
    splits.check_phones(sides)
    vocabulary = tuple(sorted({phone for phones in sides.train["phones"] for phone in phones}))
    store = FeatureStore(catalog.cache_folder() / "features")
    facts = {name: float(value) for name, value in splits.describe(sides, settings.data.groups).items()}
    if copied := getattr(catalog.module(settings.data), "copy_baseline", None):  # what a system gets that never listens
        facts["test/copied_transcript_error_rate"] = copied(table, sides.test)
    examples = {}
    for side in ("train", "validation", "test"):
        rows = getattr(sides, side)
        frames = store.features(list(rows["path"]), settings.features)
        built = [_example(row, matrix, vocabulary, settings) for row, matrix in zip(rows.itertuples(), frames, strict=True)]
        examples[side] = _audit(built, side, settings, facts)
    scaler = scaling.fit((example.frames for example in examples["train"]), settings.features.scaling)
    return Prepared(sides, examples, vocabulary, scaler, facts)


def _example(row: Any, frames: np.ndarray, vocabulary: tuple[str, ...], settings: Settings) -> Example:
    classes = {phone: index + 1 for index, phone in enumerate(vocabulary)}
    labels = np.array([classes[phone] for phone in row.phones], np.int32)
    centres = frame_times(len(frames), settings.features)[frame_centres(len(frames), settings.network.time_reduction)]
    frame_labels = np.zeros(0, np.int32)
    if len(row.starts):
        frame_labels = labels[np.clip(np.searchsorted(row.starts, centres, side="right") - 1, 0, len(labels) - 1)]
    return Example(row.clip_id, row.path, frames, labels, frame_labels)


def _audit(examples: list[Example], side: str, settings: Settings, facts: dict[str, float]) -> list[Example]:
    """Refuse or drop what the settings cannot train on, naming the clips."""
    reduction = settings.network.time_reduction
    bad = [one.clip_id for one in examples if not ctc.feasible(reduced(len(one.frames), reduction), one.labels)]
    facts[f"{side}/infeasible"] = float(len(bad))
    if bad and (settings.network.infeasible == "error" or len(bad) == len(examples)):
        raise UserError(
            f"{len(bad)} {side} clips have more phones (and repeats) than network frames: {', '.join(bad[:5])}: "
            f'shorten features.hop_seconds, lower network.time_reduction, or set network.infeasible = "drop"'
        )
    if bad:
        print(f"dropped {len(bad)} {side} clips with more phones than frames: {', '.join(bad)}", flush=True)
    if settings.network.objective != "ctc" and any(not len(one.frame_labels) for one in examples):
        raise UserError(
            f'network.objective = "{settings.network.objective}": needs phone times, which {settings.data.dataset} lacks: use "ctc"'
        )
    return [one for one in examples if one.clip_id not in set(bad)]


def _collate(examples: Sequence[Example], scaler: Scaler, reduction: int) -> dict[str, Any]:
    frames, lengths = pad([scaling.apply(one.frames, scaler) for one in examples])
    labels, label_lengths = pad([one.labels for one in examples])
    frame_labels, _ = pad([one.frame_labels for one in examples], at_least=reduced(frames.shape[1], reduction))
    return {
        "clip_ids": [one.clip_id for one in examples],
        "frames": frames,  # (batch, frames, bands)
        "lengths": lengths,
        "labels": labels,  # (batch, labels)
        "label_lengths": label_lengths,
        "frame_labels": frame_labels,  # (batch, network frames)
    }


# ---------------------------------------------------------------- training


def train(settings: Settings, prepared: Prepared, seed: int, on_epoch: OnEpoch, checkpoint: Checkpoint | None) -> Fitted:
    """Train one network; it comes back with the weights of its best epoch."""
    network, training = settings.network, settings.training
    model = recurrent_network(
        settings.features.n_bands,
        len(prepared.vocabulary) + 1,
        units=network.units,
        cell=network.cell,
        dropout=network.dropout,
        layer_normalization=network.layer_normalization,
        convolution_filters=network.convolution_filters,
        convolution_frames=network.convolution_frames,
        time_reduction=network.time_reduction,
    )
    examples = prepared.examples["train"]
    lengths = [len(one.frames) for one in examples]
    # frames_then_ctc: at least one epoch of each
    between = min(training.epochs - 1, max(1, round((network.frames_share or 0.0) * training.epochs)))
    switch = {"ctc": 0, "frames": training.epochs, "frames_then_ctc": between}[network.objective]

    def mode(epoch: int) -> Mode:
        return "frames" if epoch < switch else "ctc"

    def network_frames(n_frames: Any) -> Any:
        return reduced(n_frames, network.time_reduction)

    def batches(epoch: int) -> Any:
        for indices in batch_order(lengths, training.batch_size, seed=seed, epoch=epoch):
            yield _collate([examples[index] for index in indices], prepared.scaler, network.time_reduction)

    def ctc_objective(model: keras.Model, batch: Any) -> tf.Tensor:
        logits = model([batch["frames"], batch["lengths"]], training=True)
        return tf.reduce_mean(ctc.ctc_loss(logits, network_frames(batch["lengths"]), batch["labels"], batch["label_lengths"]))

    def frames_objective(model: keras.Model, batch: Any) -> tf.Tensor:
        logits = model([batch["frames"], batch["lengths"]], training=True)
        return tf.reduce_mean(ctc.frames_loss(logits, network_frames(batch["lengths"]), batch["frame_labels"]))

    final: Mode = "frames" if network.objective == "frames" else "ctc"
    fitted = Fitted(model, settings, prepared.vocabulary, prepared.scaler, final, _forward(model), None)

    def score(epoch: int) -> Scores:
        scores = evaluate(replace(fitted, mode=mode(epoch)), prepared.examples["validation"])
        return {f"validation/{name}": value for name, value in scores.items()}

    result = fit(
        model,
        optimizer=settings.optimizer,
        training=training,
        batches=batches,
        loss=lambda epoch: frames_objective if mode(epoch) == "frames" else ctc_objective,
        score=score,
        on_epoch=on_epoch,
        checkpoint=checkpoint,
        monitor_from=switch if network.objective == "frames_then_ctc" else 0,
    )
    return replace(fitted, fit=result)


# ---------------------------------------------------------------- use


def evaluate(fitted: Fitted, examples: Sequence[Example]) -> dict[str, float]:
    """Scores over a whole set: loss (mean per clip), phone_error_rate, blank_share, and frame_accuracy where times exist."""
    losses, truth, predicted, right, frames, blanks = [], [], [], 0, 0, 0
    for batch, logits, lengths in _outputs(fitted, examples):
        if fitted.mode == "ctc":
            losses += ctc.ctc_loss(logits, lengths, batch["labels"], batch["label_lengths"]).numpy().tolist()
            decoded = ctc.greedy_decode(logits, lengths)
        else:
            losses += ctc.frames_loss(logits, lengths, batch["frame_labels"]).numpy().tolist()
            decoded = [ctc.collapse(row[:length, 1:].argmax(-1) + 1) for row, length in zip(logits, lengths, strict=True)]
        predicted += [[fitted.vocabulary[label - 1] for label in labels] for labels in decoded]
        for index, length in enumerate(lengths):
            truth.append([fitted.vocabulary[label - 1] for label in batch["labels"][index, : batch["label_lengths"][index]]])
            frames += int(length)
            blanks += int((logits[index, :length].argmax(-1) == 0).sum())
            # the most likely phone, blank left aside, so that CTC and framewise networks answer the same question
            right += int((logits[index, :length, 1:].argmax(-1) + 1 == batch["frame_labels"][index, :length]).sum())
    scores = {"loss": float(np.mean(losses)), "blank_share": blanks / frames}
    scores["phone_error_rate"] = sequences.error_rate(sequences.without(truth, PAUSE), sequences.without(predicted, PAUSE))
    if all(len(one.frame_labels) for one in examples):
        scores["frame_accuracy"] = right / frames
    return scores


def predict(fitted: Fitted, examples: Sequence[Example]) -> pd.DataFrame:
    """One row per clip: clip_id, truth and predicted phones (with pauses), start of each predicted phone in seconds, edits, phones.

    ``edits`` and ``phones`` (the reference length) leave pauses out, as the phone error rate does.
    """
    reduction = fitted.settings.network.time_reduction
    rows = []
    for batch, logits, lengths in _outputs(fitted, examples):
        for index, clip_id in enumerate(batch["clip_ids"]):
            best = (
                logits[index, : lengths[index]].argmax(-1) if fitted.mode == "ctc" else logits[index, : lengths[index], 1:].argmax(-1) + 1
            )
            first = np.flatnonzero(np.diff(best, prepend=-1))
            first = first[best[first] > 0]
            times = frame_times(int(batch["lengths"][index]), fitted.settings.features)[first * reduction]
            truth = [fitted.vocabulary[label - 1] for label in batch["labels"][index, : batch["label_lengths"][index]]]
            predicted = [fitted.vocabulary[label - 1] for label in best[first]]
            counts = sequences.edit_counts(sequences.without([truth], PAUSE), sequences.without([predicted], PAUSE))
            edits = counts["substitutions"] + counts["deletions"] + counts["insertions"]
            rows.append((clip_id, truth, predicted, times.tolist(), edits, counts["reference_length"]))
    columns = ["clip_id", "truth", "predicted", "predicted_starts", "edits", "phones"]
    return pd.DataFrame(rows, columns=columns).sort_values("clip_id", ignore_index=True)


def save(fitted: Fitted, folder: Path) -> None:
    """Write ``model.keras`` and ``use.json`` (settings, vocabulary, scaler, mode) into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    fitted.model.save(folder / "model.keras")
    use: dict[str, Any] = {"vocabulary": fitted.vocabulary, "scaler": scaling.to_json(fitted.scaler), "mode": fitted.mode}
    saved.write(folder, use, fitted.settings, saved.of_features)


def load(folder: Path) -> Fitted:
    """Read what `save` wrote; Keras's safe mode stays on."""
    use, settings = saved.read(folder, Settings, saved.of_features)
    model = keras.models.load_model(folder / "model.keras", safe_mode=True, compile=False)
    vocabulary, scaler = tuple(use["vocabulary"]), scaling.from_json(use["scaler"])
    return Fitted(model, settings, vocabulary, scaler, use["mode"], _forward(model), None)


def pictures(fitted: Fitted, examples: Sequence[Example], folder: Path) -> None:
    """Draw ``posteriors.png`` (the clip of median length) and ``confusion.png`` into ``folder``."""
    from audiomtl import pictures as draw

    table = predict(fitted, examples)
    truth, predicted = sequences.without(list(table["truth"]), PAUSE), sequences.without(list(table["predicted"]), PAUSE)
    draw.confusion(sequences.alignment_confusion(truth, predicted), folder / "confusion.png")
    example = sorted(examples, key=lambda one: (len(one.frames), one.clip_id))[len(examples) // 2]
    [(_, logits, lengths)] = _outputs(fitted, [example])
    scores = np.exp(logits[0, : lengths[0]] - logits[0, : lengths[0]].max(-1, keepdims=True))
    hop = fitted.settings.features.hop_samples / fitted.settings.features.sample_rate
    draw.posteriors(
        np.asarray(example.frames),
        scores / scores.sum(-1, keepdims=True),
        ("blank", *fitted.vocabulary),
        seconds=len(example.frames) * hop,
        truth=[fitted.vocabulary[label - 1] for label in example.labels],
        title=example.clip_id,
        path=folder / "posteriors.png",
    )


def _forward(model: keras.Model) -> Any:
    return tf.function(lambda frames, lengths: model([frames, lengths], training=False), reduce_retracing=True)


def _outputs(fitted: Fitted, examples: Sequence[Example]) -> Iterator[tuple[dict[str, Any], np.ndarray, np.ndarray]]:
    """Batches of examples in order of length, with logits (batch, network frames, classes) and network lengths (batch,)."""
    reduction = fitted.settings.network.time_reduction
    order = sorted(range(len(examples)), key=lambda index: (len(examples[index].frames), examples[index].clip_id))
    for start in range(0, len(order), EVALUATION_BATCH):
        batch = _collate([examples[index] for index in order[start : start + EVALUATION_BATCH]], fitted.scaler, reduction)
        logits = fitted.forward(tf.constant(batch["frames"]), tf.constant(batch["lengths"])).numpy()
        yield batch, logits, reduced(batch["lengths"], reduction)
