"""Sound to phones: one recurrent network trained with CTC, on frame-wise labels, or on frame-wise labels
first and then with CTC.

Conventions: class 0 is the blank, classes 1.. are the phones of `Prepared.vocabulary` (sorted; the pause
``_`` is one of them). Scores leave pauses out. Epochs are judged by runs of the best class of each step; the
trained network is read as ``[decoding]`` says (`reading`).

Contents: the functions of `contract.Family`; `with_decoder`, `chosen_decoding`, `decoded_scores`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from audiomtl import pictures as draw
from audiomtl.data import catalog, protocols, scaling, splits
from audiomtl.data.features import frame_times
from audiomtl.data.pauses import pauses_of
from audiomtl.data.pipeline import pad
from audiomtl.data.scaling import Scaler
from audiomtl.families import contract
from audiomtl.families.contract import Fitted, Output, Prepared
from audiomtl.families.ctc import forced, reading
from audiomtl.families.ctc import training as learning
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
from audiomtl.families.ctc.reading import Decoder, Mode, Transcript
from audiomtl.families.ctc.said import Said
from audiomtl.families.ctc.settings import Settings
from audiomtl.metrics import calibration, sequences
from audiomtl.nn import ctc
from audiomtl.nn.fit import Checkpoint, OnEpoch, Scores, fit

EVALUATION_BATCH = 32


@dataclass(frozen=True)
class Known:
    """State fitted on the train split."""

    vocabulary: tuple[str, ...]  # phone of class 1, 2, ...
    scaler: Scaler
    mode: Mode  # how the softmax is read
    decoder: Decoder | None = None  # of `with_decoder`; None reads each step by itself
    said: Said | None = None  # of alignments; of `with_decoder`


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
        batch_normalization=network.batch_normalization,
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


def with_decoder(fitted: Fitted, prepared: Prepared, found: Sequence[Output]) -> Fitted:
    """The network with the decoder of ``[decoding]``: its n-gram from the train split, its numbers and
    confidences from the outputs ``found`` of the validation split, whose reliability is printed; and with the
    probabilities of its alignments, from the same outputs. A network that was trained on the validation split
    is too sure there: nothing is calibrated then.
    """
    unseen = fitted.settings.protocol.train_on == "train"
    said = fitted.known.said  # the same however phones are read
    if said is None and unseen:
        said = forced.calibrated(fitted, found)
    fitted = replace(fitted, known=replace(fitted.known, said=said, decoder=None))
    decoding, known = fitted.settings.decoding, fitted.known
    if decoding is None or decoding.method == "greedy":
        return fitted
    train = [(one.labels, one.frame_labels) for one in prepared.examples["train"]]
    validation = [(one.phones, logits) for one, logits in found]
    pauses = pauses_of(fitted.settings.data)
    decoder = reading.fit(decoding, known.vocabulary, known.mode, train, validation, pauses)
    if not unseen:
        print("decoding: confidences are not calibrated: validation was trained on", flush=True)
        return replace(fitted, known=replace(known, decoder=replace(decoder, calibration=reading.NEUTRAL)))
    scores, right = reading.confidences(
        decoder, [phones for phones, _ in validation], [logits for _, logits in validation], pauses
    )
    numbers = ", ".join(f"{name} {value}" for name, value in decoder.numbers.items())
    print(f"decoding: {numbers}", flush=True)
    for one in calibration.reliability(scores, right):
        print(
            f"confidence {one.low:.1f} to {one.high:.1f}: {one.count} phones of validation, mean"
            f" {one.confidence:.3f}, right {one.right:.3f}",
            flush=True,
        )
    return replace(fitted, known=replace(known, decoder=decoder))


def chosen_decoding(fitted: Fitted) -> dict[str, Any]:
    """Setting path and value of every number of ``[decoding]`` that validation has chosen."""
    decoder = fitted.known.decoder
    return {} if decoder is None else {f"decoding.{name}": value for name, value in decoder.numbers.items()}


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


def _read(fitted: Fitted, found: Sequence[Output]) -> list[Transcript]:
    return reading.read([logits for _, logits in found], fitted.known.mode, fitted.known.decoder)


def evaluate(fitted: Fitted, found: Sequence[Output]) -> dict[str, float]:
    """Scores over a whole side: loss (mean per clip), phone_error_rate, blank_share; frame_accuracy where all
    times are known, and where some are those of `forced.boundary_scores`. With a decoder confidence_error:
    how far confidences are from the share of phones that are right (`metrics.calibration`).
    """
    return _scores(fitted, found) | forced.boundary_scores(fitted, found)


def decoded_scores(fitted: Fitted, found: Sequence[Output]) -> dict[str, float]:
    """Those of the scores that ``[decoding]`` changes: phone_error_rate; with a decoder also what it is
    without, greedy_error_rate, and confidence_error.
    """
    known, logits = fitted.known, [one for _, one in found]
    truth = [list(one.phones) for one, _ in found]
    pauses = pauses_of(fitted.settings.data)

    def rate(decoder: Decoder | None, left_out: Collection[str]) -> float:
        said = [one.phones(known.vocabulary) for one in reading.read(logits, known.mode, decoder)]
        return sequences.error_rate(sequences.without(truth, left_out), sequences.without(said, left_out))

    scores = {"phone_error_rate": rate(known.decoder, pauses)}
    if pauses & set(known.vocabulary):
        scores["phone_error_rate_with_pauses"] = rate(known.decoder, ())
    if known.decoder is not None:
        scores["greedy_error_rate"] = rate(None, pauses)
        scores["confidence_error"] = calibration.error(
            *reading.confidences(known.decoder, truth, logits, pauses)
        )
    return scores


def _scores(fitted: Fitted, found: Sequence[Output]) -> dict[str, float]:
    right, frames, blanks = 0, 0, 0
    for one, logits in found:
        frames += len(logits)
        blanks += int((logits.argmax(-1) == 0).sum())
        if len(one.frame_labels):
            # the most likely phone, blank left aside, so that CTC and framewise networks answer the same
            # question
            right += int((logits[:, 1:].argmax(-1) + 1 == one.frame_labels).sum())
    scores = {"loss": float(np.mean(_losses(fitted, found))), "blank_share": blanks / frames}
    scores |= decoded_scores(fitted, found)
    if all(len(one.frame_labels) for one, _ in found):
        scores["frame_accuracy"] = right / frames
    return scores


def predict(fitted: Fitted, found: Sequence[Output]) -> pd.DataFrame:
    """One row per clip: clip_id, truth and predicted phones (with pauses), start of each predicted phone in
    seconds, edits, phones; with a decoder predicted_scores, the confidence of each predicted phone, and
    alternatives, transcripts that are less likely.

    ``edits`` and ``phones`` (the reference length) leave pauses out, as the phone error rate does.
    """
    reduction, vocabulary, rows = fitted.settings.network.time_reduction, fitted.known.vocabulary, []
    read, pauses = _read(fitted, found), pauses_of(fitted.settings.data)
    for (one, _), transcript in zip(found, read, strict=True):
        times = frame_times(len(one.frames), fitted.settings.features)[transcript.begins * reduction]
        truth, predicted = list(one.phones), transcript.phones(vocabulary)
        counts = sequences.edit_counts(
            sequences.without([truth], pauses), sequences.without([predicted], pauses)
        )
        edits = counts["substitutions"] + counts["deletions"] + counts["insertions"]
        rows.append((one.clip_id, truth, predicted, times.tolist(), edits, counts["reference_length"]))
    columns = ["clip_id", "truth", "predicted", "predicted_starts", "edits", "phones"]
    table = pd.DataFrame(rows, columns=columns)
    if fitted.known.decoder is not None:
        table["predicted_scores"] = [one.scores.tolist() for one in read]
        table["alternatives"] = [
            [" ".join(vocabulary[symbol - 1] for symbol in other) for other in one.alternatives]
            for one in read
        ]
    return table.sort_values("clip_id", ignore_index=True)


def pictures(fitted: Fitted, found: Sequence[Output], folder: Path) -> None:
    """Draw ``posteriors.png`` (the clip of median length) and ``confusion.png`` into ``folder``."""
    table, pauses = predict(fitted, found), pauses_of(fitted.settings.data)
    truth, predicted = (
        sequences.without(list(table["truth"]), pauses),
        sequences.without(list(table["predicted"]), pauses),
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
    """Write the network, vocabulary, scaler, mode and decoder."""
    known = fitted.known
    use: dict[str, Any] = {
        "vocabulary": known.vocabulary,
        "scaler": scaling.to_json(known.scaler),
        "mode": known.mode,
    }
    if known.decoder is not None:
        use["decoder"] = reading.to_json(known.decoder)
    if known.said:
        use["said"] = known.said.to_json()
    contract.save(folder, fitted.model, use, fitted.settings, contract.of_features(fitted.settings))


def load(folder: Path) -> Fitted:
    """Read what `save` wrote."""
    use, settings, model = contract.load(folder, Settings, contract.of_features)
    said = Said.from_json(use["said"]) if "said" in use else None  # models of earlier versions have none
    scaler = scaling.from_json(use["scaler"])
    known = Known(tuple(use["vocabulary"]), scaler, use["mode"], said=said)
    if saved := use.get("decoder"):
        known = replace(known, decoder=reading.from_json(saved, known.vocabulary, known.mode))
    return _fitted(model, settings, known)


def _fitted(model: keras.Model, settings: Settings, known: Known) -> Fitted:
    return Fitted(model, settings, known, contract.compiled(model), model.count_params())
