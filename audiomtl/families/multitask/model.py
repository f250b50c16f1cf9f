"""Multi-task networks: one encoder and any set of heads: phones, their times, notes, a clip's class and its
times.

Conventions: the encoder (`multitask.encoder`) gives one vector per *step* of ``settings.stride`` frames.
Frames behind a clip's end are masked after every layer and have no influence. Any clip may lack any label
(``labelled_share``, or None in the column): it adds nothing to that task's loss or gradient. Raw losses and
weights of all tasks are logged each epoch (``train/TASK_loss``, ``train/TASK_weight``), apart from the total.

Contents: the functions of `contract.Family`; `with_decoder`, `chosen_decoding`, `decoded_scores`; `Bundle`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from audiomtl import pictures as draw
from audiomtl.data import catalog, item_weights, protocols, scaling, splits, text
from audiomtl.data.pauses import pauses_of
from audiomtl.data.pipeline import batch_order
from audiomtl.errors import UserError
from audiomtl.families import contract
from audiomtl.families.contract import Fitted, Output, Prepared
from audiomtl.families.multitask import augment
from audiomtl.families.multitask.balancing import Balancing
from audiomtl.families.multitask.decoders import (
    answer_of,
    by_head,
    chosen_decoding,
    decoded_scores,
    from_json,
    to_json,
    with_decoder,
)
from audiomtl.families.multitask.examples import (
    Example,
    classes_of,
    collate,
    example,
    frames_of,
    refuse_texts,
    with_arrays,
    with_class_weights,
    with_few_labels,
    with_scaled_targets,
)
from audiomtl.families.multitask.heads import LOGITS, Answer, kind
from audiomtl.families.multitask.losses import coupling_loss
from audiomtl.families.multitask.network import Known, network, reads_of
from audiomtl.families.multitask.settings import Settings
from audiomtl.families.multitask.viterbi import positions
from audiomtl.names import safe_name
from audiomtl.nn.fit import Checkpoint, OnEpoch, Scores, fit
from audiomtl.nn.losses import logits_of

__all__ = ["chosen_decoding", "decoded_scores", "with_decoder"]  # of `decoders`, found here as well

EVALUATION_BATCH = 32  # clips
DRAWN = 3  # clips, the first by clip_id


class Bundle:
    """The network and the state of its balancing, as `fit` wants them: what is trained and what a
    checkpoint holds.
    """

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
    UserError : what `protocols.divide` refuses; a recording that cannot be read; a column that is not there;
        a head whose label no train clip has; a label that does not fit its sound.
    """
    table = text.with_phones(with_arrays(catalog.clips(settings.data)), settings.text)
    refuse_texts(table, settings)
    sides = protocols.divide(table, settings.data, settings.protocol, seed)
    if settings.train_share < 1:
        order = np.random.default_rng(seed).permutation(len(sides.train))[
            : max(1, round(settings.train_share * len(sides.train)))
        ]
        sides = replace(sides, train=sides.train.iloc[np.sort(order)].reset_index(drop=True))
    names = {name: classes_of(name, head, sides.train, settings) for name, head in settings.heads.items()}
    columns = {"inputs.text": settings.inputs.text, "inputs.score": settings.inputs.score}
    columns |= {f"heads.{name}.item_weight": head.item_weight for name, head in settings.heads.items()}
    for place, column in columns.items():
        item_weights.check_column(column, table.columns, place)
    for name, pair in settings.coupling.items():
        if names[pair.clip_class] != names[pair.segments]:
            classes = " but of ".join(", ".join(names[head]) for head in (pair.clip_class, pair.segments))
            raise UserError(
                f"coupling.{name}: {pair.clip_class} and {pair.segments} must be of the same classes, but are"
                f" of {classes}"
            )
    texts: Sequence[Any] = list(sides.train[settings.inputs.text].dropna()) if settings.inputs.text else []
    pauses = pauses_of(settings.data)
    symbols = tuple(sorted({symbol for phones in texts for symbol in positions(phones, pauses)}))
    frames = frames_of(table, settings)
    examples = {
        side: [example(row, frames, names, symbols, settings) for row in rows.to_dict("records")]
        for side, rows in sides.sides().items()
    }
    examples["train"] = with_few_labels(examples["train"], settings, seed)
    examples["train"] = with_class_weights(examples["train"], names, settings)
    facts = {name: float(value) for name, value in splits.describe(sides, settings.data.groups).items()}
    for name in settings.heads:
        for side, found in examples.items():
            facts[f"{side}/labelled_{name}"] = float(sum(one.targets[name] is not None for one in found))
        if not facts[f"train/labelled_{name}"]:
            raise UserError(
                f"heads.{name}: no clip of the train split has its label; raise labelled_share or remove the"
                " head"
            )
    scaler = scaling.fit((one.frames for one in examples["train"]), settings.features.scaling)
    examples = with_scaled_targets(examples, scaler, settings)
    examples["train"] = augment.with_variants(
        examples["train"], sides.train, names, symbols, scaler, settings, seed
    )
    return Prepared(sides, examples, Known(names, symbols, scaler), facts)


# ---------------------------------------------------------------- training


def train(
    settings: Settings, prepared: Prepared, seed: int, on_epoch: OnEpoch, checkpoint: Checkpoint | None
) -> Fitted:
    """Train one network on all its tasks and return it with the weights of its best epoch."""
    examples, known, reads = prepared.examples["train"], prepared.known, reads_of(settings)
    model = network(settings, known, seed)
    heads = {name: head for name, head in settings.heads.items() if head.weight}
    pairs = {name: pair for name, pair in settings.coupling.items() if pair.weight}
    chosen = settings.balancing
    balancer = Balancing(
        chosen.method,
        [*(head.weight for head in heads.values()), *(pair.weight for pair in pairs.values())],
        temperature=chosen.temperature,
        asymmetry=chosen.asymmetry,
        rate=chosen.rate,
        c=chosen.c,
        seed=seed,
    )
    bundle, shared = Bundle(model, balancer), model.get_layer("encoder").trainable_variables
    sizes = [len(one.frames) for one in examples]

    def batches(epoch: int) -> Iterator[dict[str, Any]]:
        for indices in batch_order(sizes, settings.training.batch_size, seed=seed, epoch=epoch):
            some = [examples[index] for index in indices]
            yield augment.training_batch(some, known.names, known.scaler, settings, seed=seed, epoch=epoch)

    def objective(bundle: Bundle, batch: Any) -> tf.Tensor:
        with tf.GradientTape(persistent=True) as tape:
            answers = bundle.network([batch[name] for name in reads], training=True)
            losses = [
                kind(head.kind).loss(
                    answers.get(name + LOGITS, answers[name]),
                    batch[f"target_{name}"],
                    batch[f"weight_{name}"],
                    batch["steps"],
                )
                for name, head in heads.items()
            ]
            losses += [
                coupling_loss(answers[pair.clip_class], answers[pair.segments], batch["steps"])
                for pair in pairs.values()
            ]
        present = tf.stack(
            [tf.cast(tf.reduce_any(batch[f"weight_{name}"] > 0), tf.float32) for name in heads]
            + [1.0] * len(pairs)
        )
        # a head that is not trained has a gradient all the same: zero
        still = sum(0.0 * tf.reduce_sum(variable) for variable in bundle.network.trainable_variables)
        return bundle.balancer.combine(losses, present, tape, shared) + still

    def loss(epoch: int) -> Any:
        balancer.begin_epoch()
        return objective

    fitted = _fitted(model, settings, known)

    def score(epoch: int) -> Scores:
        raw = (balancer.sums.numpy() / np.maximum(balancer.count.numpy(), 1)).tolist()
        scores = {f"train/{name}_loss": value for name, value in zip([*heads, *pairs], raw, strict=True)}
        scores |= {
            f"train/{name}_weight": value
            for name, value in zip([*heads, *pairs], balancer.now.numpy().tolist(), strict=True)
        }
        found = evaluate(fitted, outputs(fitted, prepared.examples["validation"]), every_score=False)
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


def outputs(fitted: Fitted, examples: Sequence[Example]) -> list[Output]:
    """Each example with {head: output on its own steps and positions, and its logits, as HEAD.logits}."""
    settings, known = fitted.settings, fitted.known
    about = {name: settings.heads[name.removesuffix(LOGITS)].about for name in fitted.model.output}

    def answers(batch: list[Example]) -> list[dict[str, np.ndarray]]:
        made = collate(batch, known.names, known.scaler, settings)
        found = {
            name: value.numpy()
            for name, value in fitted.forward([made[name] for name in reads_of(settings)]).items()
        }
        return [
            {name: own(name, found[name][number], one, made["steps"][number]) for name in about}
            for number, one in enumerate(batch)
        ]

    def own(name: str, output: np.ndarray, one: Example, steps: int) -> np.ndarray:
        output = output if about[name].per_clip else output[:steps]
        return output[:, : len(one.text)] if about[name].reads_text and one.text is not None else output

    return contract.walk(examples, lambda one: len(one.frames), answers, clips=EVALUATION_BATCH)


def evaluate(fitted: Fitted, found: Sequence[Output], *, every_score: bool = True) -> dict[str, float]:
    """Scores over a whole side, each over the clips that have its label: HEAD_loss, loss (their sum), and
    those of its kind.

    ``every_score`` = False leaves out those that take long.
    """
    settings, losses, others = fitted.settings, dict[str, float](), dict[str, float]()
    answers = by_head(fitted, found)
    for name, head in settings.heads.items():
        known = [one for one in answers.get(name, ()) if one.target is not None]
        if known:
            losses[f"{name}_loss"] = float(np.mean([_loss(head, one) for one in known]))
            scores = kind(head.kind).scores(
                head, known, fitted.known.names[name], settings, every_score=every_score
            )
            others |= {f"{name}_{score}": value for score, value in scores.items()}
    return losses | {"loss": float(sum(losses.values()))} | others


def _loss(head: Any, answer: Answer) -> float:
    """Of one clip, all of its steps its own."""
    steps = tf.constant([1 if head.about.per_clip else len(answer.output)])
    logits = answer.logits
    if logits is None:
        logits = logits_of(answer.output, head.about.activation).astype(np.float32)
    return float(kind(head.kind).loss(logits[None], np.asarray(answer.target)[None], tf.ones(1), steps))


def predict(fitted: Fitted, found: Sequence[Output]) -> dict[str, pd.DataFrame]:
    """Tables that keep their names, sorted by clip and time; those whose heads there are (`rows` of each kind
    says their columns).

    ``predictions``: one row per clip: clip_id, columns of heads that give one answer, and counts of others
    (`per_clip` of a kind).
    ``steps``: one row per step, where there are segments: clip_id, step, start_seconds, end_seconds,
    HEAD_CLASS. ``events``: one row per note or phone that was found: clip_id, head, start_seconds,
    end_seconds, label (MIDI pitch or phone).
    """
    clips: dict[str, dict[str, Any]] = {one.clip_id: {"clip_id": one.clip_id} for one, _ in found}
    rows: dict[str, list[dict[str, Any]]] = {"steps": [], "events": []}
    for name, answers in by_head(fitted, found).items():
        head = fitted.settings.heads[name]
        for one in answers:
            counts = getattr(kind(head.kind), "per_clip", None)
            if counts and one.target is not None:
                clips[one.clip_id] |= counts(name, head, one, fitted.known.names[name], fitted.settings)
            for table, some in (
                kind(head.kind).rows(name, head, one, fitted.known.names[name], fitted.settings).items()
            ):
                if table == "predictions":
                    clips[one.clip_id] |= some[0]
                else:
                    rows[table] += some
    tables = {"predictions": pd.DataFrame(list(clips.values())).sort_values("clip_id", ignore_index=True)}
    if rows["steps"]:
        tables["steps"] = pd.DataFrame(rows["steps"]).groupby(["clip_id", "step"], as_index=False).first()
    if rows["events"]:
        tables["events"] = pd.DataFrame(rows["events"]).sort_values(
            ["clip_id", "head", "start_seconds", "label"], ignore_index=True
        )
    return tables


def produces(settings: Settings) -> tuple[str, ...]:
    """What the heads that are kept give."""
    return tuple(
        sorted({head.about.produces for head in settings.heads.values() if not head.train_only} - {""})
    )


def pictures(fitted: Fitted, found: Sequence[Output], folder: Path) -> None:
    """Draw ``heard_CLIP.png`` of a few clips, a picture of each head whose kind has one,
    ``loss_weights.png``, and ``learning_curves.png`` with the experiment's own scores before others: this
    family has more than are shown.
    """
    settings, names, by_name = fitted.settings, fitted.known.names, by_head(fitted, found)
    for name, answers in by_name.items():
        kind(settings.heads[name].kind).picture(name, answers, names[name], folder)
    for one, answers in sorted(found, key=lambda pair: pair[0].clip_id)[:DRAWN]:
        panels: dict[str, dict[str, Any]] = {"texts": {}, "notes": {}, "activities": {}}
        for name in by_name:
            head, answer = settings.heads[name], answer_of(fitted, name, one, answers)
            if panel := kind(head.kind).panel(head, answer, names[name], settings):
                panels[panel[0]][name] = panel[1]
        draw.heard(
            np.asarray(one.frames),
            seconds_per_frame=settings.features.seconds_per_frame,
            seconds_per_step=settings.step_seconds,
            **panels,
            title=one.clip_id,
            path=folder / f"heard_{safe_name(one.clip_id)}.png",
        )
    if how := fitted.fit:
        tasks = [
            name
            for name in (*settings.heads, *settings.coupling)
            if any(f"train/{name}_weight" in one for one in how.history)
        ]
        draw.trajectories(how.history, tasks, folder / "loss_weights.png")
        draw.learning_curves(
            how.history,
            folder / "learning_curves.png",
            best_epoch=how.best_epoch,
            before=list(settings.scores),
        )


def save(fitted: Fitted, folder: Path) -> None:
    """Write the model without heads that are ``train_only``, and names, symbols and scaler."""
    kept = {
        name: tensor
        for name, tensor in fitted.model.output.items()
        if not fitted.settings.heads[name.removesuffix(LOGITS)].train_only
    }
    model, known = keras.Model(fitted.model.inputs, kept, name="multitask"), fitted.known
    use = {"names": known.names, "symbols": known.symbols, "scaler": scaling.to_json(known.scaler)}
    use["decoders"] = to_json(fitted, kept)
    contract.save(folder, model, use, fitted.settings, contract.of_features(fitted.settings))


def load(folder: Path) -> Fitted:
    """Read what `save` wrote."""
    use, settings, model = contract.load(folder, Settings, contract.of_features)
    names = {name: tuple(classes) for name, classes in use["names"].items()}
    known = Known(names, tuple(use["symbols"]), scaling.from_json(use["scaler"]), from_json(use, settings))
    return _fitted(model, settings, known)


def _fitted(model: keras.Model, settings: Settings, known: Known) -> Fitted:
    return Fitted(model, settings, known, contract.compiled(model), model.count_params())
