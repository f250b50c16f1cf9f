"""Fusion: several inputs of a clip (sound, words, notes, picture, numbers), one label.

Conventions: modalities stand in the order of their names (how their columns are read: `fusion.inputs`). A
clip may lack any of them, but not all. Vocabulary, scaler and scales of numbers come from train only. Index 0
of tokens is padding, 1 is a token that train does not have.

Contents: the functions of `contract.Family`; `evaluate_outputs`, `network`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from keras import layers

from audiomtl import pictures as draw
from audiomtl.data import catalog, fetch, item_weights, protocols, scaling, splits
from audiomtl.data.class_weights import class_weights
from audiomtl.data.pipeline import batch_order
from audiomtl.data.scores import KEYS
from audiomtl.errors import UserError
from audiomtl.families import contract
from audiomtl.families.contract import Fitted, Output, Prepared
from audiomtl.families.fusion import inputs as modalities
from audiomtl.families.fusion import joins
from audiomtl.families.fusion.encoders import ModalityDropout, PoolSteps, encode
from audiomtl.families.fusion.evidence import check_agrees, evidence_of
from audiomtl.families.fusion.examples import (
    UNKNOWN,
    Example,
    Known,
    _as_array,
    _collate,
    _raw,
    training_batch,
    with_variants,
)
from audiomtl.families.fusion.settings import Settings
from audiomtl.metrics import labels
from audiomtl.nn import losses, yamnet, yamnet_store
from audiomtl.nn.fit import Checkpoint, OnEpoch, Scores, fit

EVALUATION_BATCH = 64  # clips


# ---------------------------------------------------------------- data


def prepare(settings: Settings, seed: int) -> Prepared:
    """Split whole clips, then read every modality; what is fitted is fitted on train.

    Raises
    ------
    UserError : what `protocols.divide` or `item_weights` refuses; an absent column, values that are not of
        their kind, modalities of different clips in one row, a clip without any modality, a modality that no
        train clip has.
    """
    table = catalog.clips(settings.data)
    sides = protocols.divide(table, settings.data, settings.protocol, seed)
    weights = item_weights.of_train(table, sides.train, settings.item_weight, settings.data.label)
    for name, modality in settings.used.items():
        modalities.check_column(table, name, modality, settings.data.label)
    classes = tuple(sorted(sides.train[settings.data.label].astype(str).unique()))
    check_agrees(settings, classes)
    raw = {name: _raw(table, name, settings) for name in settings.used}
    for clip in table["clip_id"]:
        if all(values[clip] is None for values in raw.values()):
            raise UserError(
                f"{clip}: has none of the modalities {', '.join(raw)}; remove the clip from the table, or"
                " leave fewer modalities out"
            )
    groups = list(settings.data.groups)
    counted = splits.Splits(
        **{side: rows[groups] for side, rows in sides.sides().items()}, dropped=sides.dropped
    )
    facts = {name: float(value) for name, value in splits.describe(counted, groups).items()}
    for name in raw:
        facts[f"train/with_{name}"] = float(
            sum(raw[name][clip] is not None for clip in sides.train["clip_id"])
        )
        if not facts[f"train/with_{name}"]:
            raise UserError(f"modalities.{name}: no clip of the train split has it; add it to join.leave_out")
    known = _fit(raw, list(sides.train["clip_id"]), classes, settings)
    examples = {
        side: [
            Example(
                clip,
                classes.index(str(label)),
                {name: _as_array(raw[name][clip], name, settings, known) for name in raw},
                weight=weights.get(clip),
            )
            for clip, label in zip(rows["clip_id"], rows[settings.data.label], strict=True)
        ]
        for side, rows in sides.sides().items()
    }
    examples["train"] = with_variants(examples["train"], sides.train, settings)
    return Prepared(sides, examples, known, facts)


def _fit(
    raw: dict[str, dict[str, Any]], train: list[str], classes: tuple[str, ...], settings: Settings
) -> Known:
    vocabularies, scales, shapes = {}, {}, dict[str, tuple[int, ...]]()
    scalers, weights = {}, {}
    frames: list[np.ndarray] = []
    for name, modality in settings.used.items():
        known = [raw[name][clip] for clip in train if raw[name][clip] is not None]
        if modality.kind == "text":
            vocabularies[name], shapes[name] = (
                tuple(sorted({token for tokens in known for token in tokens})),
                (None,),  # type: ignore[assignment]
            )
        elif modality.embedded:
            scalers[name] = scaling.fit(known, "per_band_train")
            weights[name] = fetch.digest(fetch.weights(modality.weights))
            shapes[name] = (None, yamnet.SIZE)  # type: ignore[assignment]
        elif modality.kind == "audio":
            frames += known
            shapes[name] = (None, settings.features.n_bands)  # type: ignore[assignment]
        elif modality.kind == "score":
            shapes[name] = (None, KEYS)  # type: ignore[assignment]
        else:
            shapes[name] = known[0].shape
            if modality.kind == "table":
                numbers = np.array(known, np.float64)
                deviation = numbers.std(axis=0)
                scales[name] = (
                    numbers.mean(axis=0).tolist(),
                    np.where(deviation > 0, deviation, 1.0).tolist(),
                )
    scaler = scaling.fit(frames, settings.features.scaling if frames else "none")
    return Known(classes, vocabularies, scaler, scales, shapes, scalers, weights)


# ---------------------------------------------------------------- network


def network(settings: Settings, known: Known, seed: int | None = None) -> keras.Model:
    """{modality, modality_length, presence} -> clip, probabilities (clips, classes), and clip_logits.

    Of the article's network (one convolution of 64 on a picture of 224 x 224, embedding 128 and LSTM(64) on
    100 tokens, side by side, dense 10) these are repaired: it joined (clips, 222, 222, 64) with (clips, 64):
    here places are pooled first; its picture, vocabulary and classes are those of the data.
    """
    used = settings.used
    inputs = {"presence": layers.Input((len(used),), name="presence")}
    presence = ModalityDropout(settings.modality_dropout, seed=seed, name="modality_dropout")(
        inputs["presence"]
    )
    vectors, sequences, hertz = {}, {}, _hertz(settings)
    for number, (name, modality) in enumerate(used.items()):
        kind = "int32" if modality.kind == "text" else "float32"
        inputs[name] = layers.Input(known.shapes[name], dtype=kind, name=name)
        inputs[f"{name}_length"] = layers.Input((), dtype="int32", name=f"{name}_length")
        vocabulary = len(known.vocabularies.get(name, ())) + UNKNOWN + 1
        length = inputs[f"{name}_length"]
        sequences[name] = encode(
            modality, name, number, inputs[name], length, presence, vocabulary=vocabulary, hertz=hertz
        )
        vectors[name] = PoolSteps(modality.pooling, name=f"{name}_pooled")(list(sequences[name]))
    on_grid = _on_grid(settings)
    weights = [modality.weight for modality in used.values()]
    x = joins.join(
        settings.join,
        presence,
        vectors,
        sequences,
        classes=len(known.classes),
        weights=weights,
        on_grid=on_grid,
    )
    if not getattr(joins.kind(settings.join.kind), "GIVES_LOGITS", False):
        for number, units in enumerate(settings.join.hidden, start=1):
            x = layers.Dropout(settings.join.dropout)(x) if settings.join.dropout else x
            x = layers.Dense(units, activation="relu", name=f"hidden_{number}")(x)
        x = layers.Dropout(settings.join.dropout)(x) if settings.join.dropout else x
        x = layers.Dense(len(known.classes), name="classes")(x)
    answers = {"clip": layers.Softmax(name="clip")(x), "clip_logits": x}
    return keras.Model(inputs, answers, name="fusion")


def _hertz(settings: Settings) -> list[float]:  # (bands,)
    """Centre of each mel band, where an encoder looks for keys in a sound; otherwise none."""
    if not any(
        modality.kind == "audio" and modality.encoder == "keys" for modality in settings.used.values()
    ):
        return []
    import librosa

    chosen = settings.features
    return librosa.mel_frequencies(chosen.bands + 2, fmin=chosen.low_hz, fmax=chosen.high_hz)[1:-1].tolist()


def _on_grid(settings: Settings) -> list[str]:
    """Modalities whose steps begin where those of ``join.by`` do: sound and score through the same pools.

    YAMNet's patches are on a grid of their own.
    """
    timed = {
        name: modality
        for name, modality in settings.used.items()
        if modality.kind in ("audio", "score") and not modality.embedded
    }
    if settings.join.by not in timed:
        return []
    own = timed[settings.join.by]
    return [
        name for name, one in timed.items() if one.pool ** len(one.filters) == own.pool ** len(own.filters)
    ]


# ---------------------------------------------------------------- training


def train(
    settings: Settings, prepared: Prepared, seed: int, on_epoch: OnEpoch, checkpoint: Checkpoint | None
) -> Fitted:
    """Train one network and return it with the weights of its best epoch."""
    examples = prepared.examples["train"]
    model = network(settings, prepared.known, seed)
    sizes = [max(len(value) for value in one.values.values() if value is not None) for one in examples]
    of_class: Any = None
    if settings.class_weights == "balanced":
        of_class = tf.constant(class_weights([one.label for one in examples], len(prepared.known.classes)))

    def batches(epoch: int) -> Iterator[dict[str, Any]]:
        for indices in batch_order(sizes, settings.training.batch_size, seed=seed, epoch=epoch):
            some = [examples[index] for index in indices]
            yield training_batch(some, settings, prepared.known, seed=seed, epoch=epoch)

    evidence = evidence_of(model, settings, prepared.known)

    def loss(model: keras.Model, batch: Any) -> tf.Tensor:
        given = {name: value for name, value in batch.items() if name not in ("labels", "item_weights")}
        labels, weights = batch["labels"], batch.get("item_weights")
        answers, more = evidence(given, labels, weights) if evidence else (model(given, training=True), 0.0)
        return losses.of_items(losses.cross_entropy(answers["clip_logits"], labels, of_class), weights) + more

    fitted = _fitted(model, settings, prepared.known)

    def score(epoch: int) -> Scores:
        found = _scores(outputs(fitted, prepared.examples["validation"]))
        return {f"validation/{name}": value for name, value in found.items()}

    result = fit(
        model,
        optimizer=settings.optimizer,
        training=settings.training,
        batches=batches,
        loss=lambda epoch: loss,
        score=score,
        on_epoch=on_epoch,
        checkpoint=checkpoint,
    )
    return replace(fitted, fit=result)


# ---------------------------------------------------------------- use


def outputs(fitted: Fitted, examples: Sequence[Example], absent: Sequence[str] = ()) -> list[Output]:
    """Each example with clip, its probabilities (classes,), and clip_logits, the modalities ``absent``
    declared absent.
    """

    def longest(one: Example) -> int:
        return max(len(value) for value in one.values.values() if value is not None)

    def answers(batch: list[Example]) -> Any:
        made = _collate(batch, fitted.settings, fitted.known, absent)
        found = fitted.forward(
            {name: value for name, value in made.items() if name not in ("labels", "clip_ids")}
        )
        found = found if isinstance(found, dict) else {"clip": found}  # models of earlier versions
        return contract.of_each(found, [1] * len(batch), flat=(), padded=())

    return contract.walk(examples, longest, answers, clips=EVALUATION_BATCH)


def evaluate(fitted: Fitted, found: Sequence[Output]) -> dict[str, float]:
    """accuracy, balanced_accuracy, loss; and for every set of modalities ``accuracy_from_A_and_B``: the
    others declared absent.

    Such a score is over the clips that have at least one of the set, and is left out where none has. Each set
    is a walk of its own.
    """
    scores, names = evaluate_outputs(fitted, found), list(fitted.settings.used)
    for count in range(1, len(names) + 1):
        for some in combinations(names, count):
            having = [one for one, _ in found if any(one.values[name] is not None for name in some)]
            if having:
                absent = [name for name in names if name not in some]
                answers = outputs(fitted, having, absent) if absent else found
                scores[f"accuracy_from_{'_and_'.join(some)}"] = _scores(answers)["accuracy"]
    return scores


def evaluate_outputs(fitted: Fitted, found: Sequence[Output]) -> dict[str, float]:
    """accuracy, balanced_accuracy, loss: the scores that need no further walk."""
    return _scores(found)


def _scores(found: Sequence[Output]) -> dict[str, float]:
    truth, said = [one.label for one, _ in found], [int(answer["clip"].argmax()) for _, answer in found]
    return {
        "accuracy": labels.accuracy(truth, said),
        "balanced_accuracy": labels.balanced_accuracy(truth, said),
        "loss": losses.mean_of_clips(found),
    }


def predict(fitted: Fitted, found: Sequence[Output]) -> pd.DataFrame:
    """One row per clip: clip_id, truth, predicted, margin (best less second-best probability),
    probability_CLASS.
    """
    classes, rows = fitted.known.classes, []
    for one, answer in found:
        posteriors = answer["clip"]
        row = {
            "clip_id": one.clip_id,
            "truth": classes[one.label],
            "predicted": classes[int(posteriors.argmax())],
        }
        rows.append(row | {"margin": contract.margin(posteriors)} | contract.by_class(classes, posteriors))
    return pd.DataFrame(rows).sort_values("clip_id", ignore_index=True)


def pictures(fitted: Fitted, found: Sequence[Output], folder: Path) -> None:
    """Draw ``confusion.png`` into ``folder``."""
    table = predict(fitted, found)
    draw.confusion(
        labels.confusion(list(table["truth"]), list(table["predicted"])),
        folder / "confusion.png",
        edits=False,
    )


def produces(settings: Settings) -> tuple[str, ...]:
    return ("classes",)


def save(fitted: Fitted, folder: Path) -> None:
    """Write the network, classes, vocabularies, scalers, scales and shapes, and which weights YAMNet had."""
    known = fitted.known
    use = {
        "classes": known.classes,
        "vocabularies": known.vocabularies,
        "scaler": scaling.to_json(known.scaler),
    }
    use |= {"scales": known.scales, "shapes": known.shapes, "weights": dict(known.weights)}
    use["scalers"] = {name: scaling.to_json(scaler) for name, scaler in known.scalers.items()}
    contract.save(folder, fitted.model, use, fitted.settings, _versions(fitted.settings))


def _versions(settings: Settings) -> dict[str, Any]:
    sounds = [one for one in settings.used.values() if one.kind == "audio"]
    versions = contract.of_features(settings) if any(not one.embedded for one in sounds) else {}
    if any(one.embedded for one in sounds):
        versions |= {"embeddings": yamnet_store.VERSION, "profile": yamnet.PROFILE}
    return versions


def load(folder: Path) -> Fitted:
    """Read what `save` wrote."""
    use, settings, model = contract.load(folder, Settings, _versions)
    vocabularies = {name: tuple(tokens) for name, tokens in use["vocabularies"].items()}
    shapes = {name: tuple(shape) for name, shape in use["shapes"].items()}
    scales = {name: tuple(pair) for name, pair in use["scales"].items()}
    scalers = {name: scaling.from_json(text) for name, text in use.get("scalers", {}).items()}
    known = Known(
        tuple(use["classes"]),
        vocabularies,
        scaling.from_json(use["scaler"]),
        scales,
        shapes,
        scalers,
        use.get("weights", {}),  # models of earlier versions read no embeddings
    )
    return _fitted(model, settings, known)


def _fitted(model: keras.Model, settings: Settings, known: Known) -> Fitted:
    return Fitted(model, settings, known, contract.compiled(model), model.count_params())
