"""Several tasks, one encoder: what is sung, when, and on which notes; a clip's class and when it is heard; any set of heads.

Conventions: the encoder (`nn.trunk`) gives one vector per *step* of ``settings.stride`` frames. Frames behind a clip's end are masked
after every layer and have no influence. Any clip may lack any label (``labelled_share``, or None in the column): it adds nothing to that
task's loss or gradient. Raw losses and weights of all tasks are logged each epoch (``train/TASK_loss``, ``train/TASK_weight``), apart from
the total.

Contents: `prepare`, `train`, `evaluate`, `predict`, `save`, `load`, `pictures`; `network`, `outputs_of`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from keras import layers

from audiomtl.data import catalog, protocols, scaling, splits
from audiomtl.data.pipeline import batch_order
from audiomtl.data.scaling import Scaler
from audiomtl.data.scores import KEYS
from audiomtl.errors import UserError
from audiomtl.families.multitask import drawing as showing
from audiomtl.families.multitask import scoring as judging
from audiomtl.families.multitask import targets, tasks
from audiomtl.families.multitask import viterbi as alignment
from audiomtl.families.multitask.balancing import Balancing
from audiomtl.families.multitask.encoder import encoder, text_encoder
from audiomtl.families.multitask.examples import Example, collate, example, frames_of, with_arrays, with_clean, with_few_labels
from audiomtl.families.multitask.settings import Settings
from audiomtl.nn import saved
from audiomtl.nn.fit import Checkpoint, Fit, OnEpoch, Scores, fit

EVALUATION_BATCH = 32  # clips
TEXT_SIZE = 64  # of a symbol's vector


@dataclass(frozen=True)
class Prepared:
    """What a training starts from."""

    splits: splits.Splits
    examples: dict[str, list[Example]]  # train, validation, test
    names: dict[str, tuple[str, ...]]  # of each head's classes
    symbols: tuple[str, ...]  # of texts
    scaler: Scaler
    facts: dict[str, float]


@dataclass(frozen=True)
class Fitted:
    """A trained network with all it needs to be used."""

    model: keras.Model  # [frames, lengths, text, roll] of those that there are -> {head: output}
    settings: Settings
    names: dict[str, tuple[str, ...]]
    symbols: tuple[str, ...]
    scaler: Scaler
    forward: Any
    fit: Fit | None  # None when loaded from disk

    @property
    def parameters(self) -> int:
        return self.model.count_params()


class Bundle:
    """The network and the state of its balancing, as `fit` wants them: what is trained and what a checkpoint holds."""

    def __init__(self, network: keras.Model, balancer: Balancing) -> None:
        self.network, self.balancer = network, balancer

    @property
    def variables(self) -> list[Any]:
        return [*self.network.variables, *self.balancer.variables]

    @property
    def trainable_variables(self) -> list[Any]:
        return [*self.network.trainable_variables, *self.balancer.trainable_variables]


# ---------------------------------------------------------------- data


def prepare(settings: Settings, seed: int) -> Prepared:
    """Split whole clips, then features; scaler, classes and symbols from train only.

    Raises
    ------
    UserError : what `protocols.divide` refuses; a recording that cannot be read; a column that is not there; a head whose label no train
        clip has; a label that does not fit its sound.
    """
    table = with_arrays(catalog.clips(settings.data))
    sides = protocols.divide(table, settings.data, settings.protocol, seed)
    if settings.train_share < 1:
        order = np.random.default_rng(seed).permutation(len(sides.train))[: max(1, round(settings.train_share * len(sides.train)))]
        sides = replace(sides, train=sides.train.iloc[np.sort(order)].reset_index(drop=True))
    names = {name: targets.vocabulary(name, head, sides.train, settings) for name, head in settings.heads.items()}
    columns = {"inputs.text": settings.inputs.text, "inputs.score": settings.inputs.score}
    columns |= {f"heads.{name}.item_weight": head.item_weight for name, head in settings.heads.items()}
    for place, column in columns.items():
        if column and column not in table.columns:
            raise UserError(f'{place} = "{column}": these clips have no such column; they have {", ".join(table.columns)}')
    for name, pair in settings.coupling.items():
        if names[pair.clip_class] != names[pair.segments]:
            classes = " but of ".join(", ".join(names[head]) for head in (pair.clip_class, pair.segments))
            raise UserError(f"coupling.{name}: {pair.clip_class} and {pair.segments} must be of the same classes, but are of {classes}")
    texts: Sequence[Any] = list(sides.train[settings.inputs.text].dropna()) if settings.inputs.text else []
    symbols = tuple(sorted({symbol for phones in texts for symbol in alignment.positions(phones)}))
    frames = frames_of(table, settings)
    examples = {
        side: [example(row, frames, names, symbols, settings) for row in rows.to_dict("records")] for side, rows in sides.sides().items()
    }
    examples["train"] = with_few_labels(examples["train"], settings, seed)
    facts = {name: float(value) for name, value in splits.describe(sides, settings.data.groups).items()}
    for name in settings.heads:
        for side, found in examples.items():
            facts[f"{side}/labelled_{name}"] = float(sum(one.targets[name] is not None for one in found))
        if not facts[f"train/labelled_{name}"]:
            raise UserError(f"heads.{name}: no clip of the train side has its label; raise labelled_share or remove the head")
    scaler = scaling.fit((one.frames for one in examples["train"]), settings.features.scaling)
    return Prepared(sides, with_clean(examples, scaler, settings), names, symbols, scaler, facts)


# ---------------------------------------------------------------- network


def network(settings: Settings, names: Mapping[str, Sequence[str]], symbols: int, seed: int) -> keras.Model:
    """[frames, lengths, text where there is one, roll where there is one] -> {head: output}."""
    bands = settings.features.n_bands
    given, text = _inputs(settings), None
    trunk = encoder(settings.encoder, _hertz(settings), seed=seed, audio=settings.inputs.audio, score=bool(settings.inputs.score))
    if settings.inputs.text:
        text = (text_encoder(symbols + 2, TEXT_SIZE)(given["text"]), given["text"])
    places = [given["frames"], given["lengths"], *([given["roll"]] if settings.inputs.score else [])]
    steps, keys = trunk(places) if settings.encoder.kind == "harmonic" else (trunk(places), None)
    outputs = {}
    for name, head in settings.heads.items():
        outputs[name] = tasks.output(
            name,
            head.kind,
            steps,
            given["lengths"],
            classes=len(names[name]),
            bands=bands,
            stride=settings.stride,
            text=text,
            keys=keys,
        )
    return keras.Model(list(given.values()), outputs, name="multitask")


def _inputs(settings: Settings) -> dict[str, Any]:
    given = {
        "frames": layers.Input((None, settings.features.n_bands), name="frames"),
        "lengths": layers.Input((), dtype="int32", name="lengths"),
    }
    if settings.inputs.text:
        given["text"] = layers.Input((None,), dtype="int32", name="text")
    if settings.inputs.score:
        given["roll"] = layers.Input((None, KEYS), name="roll")
    return given


def _hertz(settings: Settings) -> list[float]:  # (bands,)
    """Centre of each band; of cepstra only their number means something."""
    chosen = settings.features
    if chosen.kind == "log_mel":
        import librosa

        return librosa.mel_frequencies(chosen.bands + 2, fmin=chosen.low_hz, fmax=chosen.high_hz)[1:-1].tolist()
    return [band * chosen.sample_rate / chosen.n_fft for band in range(chosen.n_bands)]


def reads_of(settings: Settings) -> list[str]:
    """Names of the network's inputs in a batch, in order."""
    return ["frames", "lengths", *(["text"] if settings.inputs.text else []), *(["roll"] if settings.inputs.score else [])]


# ---------------------------------------------------------------- training


def train(settings: Settings, prepared: Prepared, seed: int, on_epoch: OnEpoch, checkpoint: Checkpoint | None) -> Fitted:
    """Train one network on all its tasks; it comes back with the weights of its best epoch."""
    examples, reads = prepared.examples["train"], reads_of(settings)
    model = network(settings, prepared.names, len(prepared.symbols), seed)
    heads = {name: head for name, head in settings.heads.items() if head.weight}
    pairs = {name: pair for name, pair in settings.coupling.items() if pair.weight}
    chosen = settings.balancing
    balancer = Balancing(
        chosen.method,
        [*(head.weight for head in heads.values()), *(pair.weight for pair in pairs.values())],
        temperature=chosen.temperature,
        asymmetry=chosen.asymmetry,
        rate=chosen.rate,
        caution=chosen.caution,
        seed=seed,
    )
    bundle, shared = Bundle(model, balancer), model.get_layer("encoder").trainable_variables
    sizes = [len(one.frames) for one in examples]

    def batches(epoch: int) -> Iterator[dict[str, Any]]:
        for indices in batch_order(sizes, settings.training.batch_size, seed=seed, epoch=epoch):
            yield collate([examples[index] for index in indices], prepared.names, prepared.scaler, settings)

    def objective(bundle: Bundle, batch: Any) -> tf.Tensor:
        with tf.GradientTape(persistent=True) as tape:
            outputs = bundle.network([batch[name] for name in reads], training=True)
            losses = [
                tasks.loss(head.kind, outputs[name], batch[f"target_{name}"], batch[f"weight_{name}"], batch["steps"])
                for name, head in heads.items()
            ]
            losses += [tasks.coupling_loss(outputs[pair.clip_class], outputs[pair.segments], batch["steps"]) for pair in pairs.values()]
        present = tf.stack([tf.cast(tf.reduce_any(batch[f"weight_{name}"] > 0), tf.float32) for name in heads] + [1.0] * len(pairs))
        # a head that is not trained has a gradient all the same: zero
        still = sum(0.0 * tf.reduce_sum(variable) for variable in bundle.network.trainable_variables)
        return bundle.balancer.combine(losses, present, tape, shared) + still

    def loss(epoch: int) -> Any:
        balancer.begin_epoch()
        return objective

    fitted = Fitted(model, settings, prepared.names, prepared.symbols, prepared.scaler, _forward(model), None)

    def score(epoch: int) -> Scores:
        raw = (balancer.sums.numpy() / np.maximum(balancer.count.numpy(), 1)).tolist()
        scores = {f"train/{name}_loss": value for name, value in zip([*heads, *pairs], raw, strict=True)}
        scores |= {f"train/{name}_weight": value for name, value in zip([*heads, *pairs], balancer.now.numpy().tolist(), strict=True)}
        found = evaluate(fitted, prepared.examples["validation"], every_score=False)
        return scores | {f"validation/{name}": value for name, value in found.items()}

    result = fit(
        bundle,
        optimizer=settings.optimizer,
        training=settings.training,
        batches=batches,
        loss=loss,
        score=score,
        on_epoch=on_epoch,
        checkpoint=checkpoint,
    )
    return replace(fitted, fit=result)


# ---------------------------------------------------------------- use


def evaluate(fitted: Fitted, examples: Sequence[Example], *, every_score: bool = True) -> dict[str, float]:
    """Scores over a whole set, each over the clips that have its label: HEAD_loss, loss (their sum), and those of `judging.scores`.

    ``every_score`` = False leaves out those that take long.
    """
    kept: dict[str, list[tuple[Example, np.ndarray]]] = {name: [] for name in fitted.settings.heads}
    losses: dict[str, list[float]] = {name: [] for name in fitted.settings.heads}
    for one, outputs in outputs_of(fitted, examples):
        for name, found in outputs.items():
            known = one.targets[name]
            if known is not None:
                kept[name].append((one, found))
                head = fitted.settings.heads[name]
                target = np.asarray(known)[None]
                steps = tf.constant([len(found) if head.kind not in tasks.PER_CLIP else 1])
                losses[name].append(float(tasks.loss(head.kind, found[None], target, tf.ones(1), steps)))
    scores = {f"{name}_loss": float(np.mean(values)) for name, values in losses.items() if values}
    scores["loss"] = float(sum(scores.values()))
    for name, pairs in kept.items():
        if pairs:
            judged = [judging.Judged(one.clip_id, one.row, np.asarray(one.targets[name]), found, len(one.frames)) for one, found in pairs]
            found_scores = judging.scores(fitted.settings.heads[name], judged, fitted.names[name], fitted.settings, every_score=every_score)
            scores |= {f"{name}_{score}": value for score, value in found_scores.items()}
    return scores


def predict(fitted: Fitted, examples: Sequence[Example]) -> dict[str, pd.DataFrame]:
    """Tables that keep their names, sorted by clip and time; those whose heads there are.

    ``predictions``: one row per clip: clip_id, and of each head of kind clip_class HEAD_truth, HEAD_predicted, HEAD_margin (best less
    second-best probability), HEAD_probability_CLASS; of kind value HEAD_truth, HEAD_predicted.
    ``steps``: one row per step, where there are segments: clip_id, step, start_seconds, end_seconds, HEAD_CLASS.
    ``events``: one row per note or phone that was found: clip_id, head, start_seconds, end_seconds, label (MIDI pitch or phone).
    """
    clips, steps, events = [], [], []
    for one, outputs in outputs_of(fitted, examples):
        row: dict[str, Any] = {"clip_id": one.clip_id}
        times = targets.step_times(len(one.frames), fitted.settings)
        for name, found in outputs.items():
            head, names = fitted.settings.heads[name], fitted.names[name]
            if head.kind == "clip_class":
                best, truth = int(found.argmax()), one.targets[name]
                row[f"{name}_truth"] = names[int(truth)] if truth is not None and truth >= 0 else None
                row |= {f"{name}_predicted": names[best], f"{name}_margin": float(found[best] - np.delete(found, best).max())}
                row |= {f"{name}_probability_{label}": float(value) for label, value in zip(names, found, strict=True)}
            elif head.kind == "value":
                known = one.targets[name]
                row |= {f"{name}_truth": None if known is None else float(known), f"{name}_predicted": float(found[0])}
            elif head.kind == "segments":
                half = fitted.settings.step_seconds / 2
                for number, scores in enumerate(found):
                    place = {
                        "clip_id": one.clip_id,
                        "step": number,
                        "start_seconds": times[number] - half,
                        "end_seconds": times[number] + half,
                    }
                    steps.append(place | {f"{name}_{label}": float(value) for label, value in zip(names, scores, strict=True)})
            elif head.kind != "mel":
                text = one.row[fitted.settings.inputs.text] if head.kind == "alignment" else ()
                text = text if text is not None else ()  # a piano alone
                for start, end, label in judging.heard(head, found, text, names, len(one.frames), fitted.settings):
                    events.append({"clip_id": one.clip_id, "head": name, "start_seconds": start, "end_seconds": end, "label": str(label)})
        clips.append(row)
    tables = {"predictions": pd.DataFrame(clips).sort_values("clip_id", ignore_index=True)}
    if steps:
        tables["steps"] = pd.DataFrame(steps).groupby(["clip_id", "step"], as_index=False).first()
    if events:
        tables["events"] = pd.DataFrame(events).sort_values(["clip_id", "head", "start_seconds", "label"], ignore_index=True)
    return tables


def outputs_of(fitted: Fitted, examples: Sequence[Example]) -> Iterator[tuple[Example, dict[str, np.ndarray]]]:
    """Each example once, with each head's output on its own steps and positions."""
    kinds = {name: fitted.settings.heads[name].kind for name in fitted.model.output}
    order = sorted(range(len(examples)), key=lambda index: (len(examples[index].frames), examples[index].clip_id))
    for first in range(0, len(order), EVALUATION_BATCH):
        some = [examples[index] for index in order[first : first + EVALUATION_BATCH]]
        made = collate(some, fitted.names, fitted.scaler, fitted.settings)
        outputs = {name: value.numpy() for name, value in fitted.forward([made[name] for name in reads_of(fitted.settings)]).items()}
        for number, one in enumerate(some):
            mine = {}
            for name, kind in kinds.items():
                mine[name] = outputs[name][number] if kind in tasks.PER_CLIP else outputs[name][number, : made["steps"][number]]
                if kind == "alignment":
                    assert one.text is not None
                    mine[name] = mine[name][:, : len(one.text)]
            yield one, mine


def save(fitted: Fitted, folder: Path) -> None:
    """Write ``model.keras``, without heads that are ``train_only``, and ``use.json`` (settings, names, symbols, scaler) into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = {name: tensor for name, tensor in fitted.model.output.items() if not fitted.settings.heads[name].train_only}
    keras.Model(fitted.model.inputs, kept, name="multitask").save(folder / "model.keras")
    use = {"names": fitted.names, "symbols": fitted.symbols, "scaler": scaling.to_json(fitted.scaler)}
    saved.write(folder, use, fitted.settings, saved.of_features)


def load(folder: Path) -> Fitted:
    """Read what `save` wrote; Keras's safe mode stays on."""
    use, settings = saved.read(folder, Settings, saved.of_features)
    model = keras.models.load_model(folder / "model.keras", safe_mode=True, compile=False)
    names = {name: tuple(classes) for name, classes in use["names"].items()}
    return Fitted(model, settings, names, tuple(use["symbols"]), scaling.from_json(use["scaler"]), _forward(model), None)


def pictures(fitted: Fitted, examples: Sequence[Example], folder: Path) -> None:
    """Draw what `showing.draw` draws into ``folder``."""
    showing.draw(list(outputs_of(fitted, examples)), fitted.names, fitted.settings, fitted.fit, folder)


def _forward(model: keras.Model) -> Any:
    return tf.function(lambda inputs: model(inputs, training=False), reduce_retracing=True)
