"""Several tasks, one encoder, on a second or two with a tone or noise somewhere in it, which is also a
note and two phones.
"""

import zlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from audiomtl.data import audio, catalog, scaling
from audiomtl.errors import UserError
from audiomtl.families.multitask import model as multitask
from audiomtl.families.multitask.balancing import methods
from audiomtl.families.multitask.examples import collate
from audiomtl.families.multitask.heads import LOGITS, kind
from audiomtl.nn.fit import seed_everything
from tests import small_multitask
from tests.small_multitask import KINDS

RATE = 8000


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> pd.DataFrame:
    """40 clips of two classes in five folds, one event in each."""
    folder, rows = tmp_path_factory.mktemp("sounds"), []
    for number in range(40):
        random, tone = np.random.default_rng(number), number % 2
        y = 0.01 * random.standard_normal(int(random.uniform(1.0, 1.8) * RATE))
        start = int(random.uniform(0.1, 0.4) * RATE)
        count = int(0.5 * RATE)
        event = np.sin(2 * np.pi * 1500 * np.arange(count) / RATE) if tone else random.uniform(-1, 1, count)
        y[start : start + count] += 0.4 * event
        path = folder / f"clip_{number:02}.wav"
        audio.save(path, y, sample_rate=RATE)
        first, end, seconds = start / RATE, (start + count) / RATE, len(y) / RATE
        rows.append({
            "clip_id": path.stem, "path": str(path), "seconds": seconds, "event": ("noise", "tone")[tone],
            "source": f"source_{number // 2:02}", "fold": number // 8 + 1, "passages": ((first, end),),
            "phones": ("_", "t", "o", "_") if tone else ("_", "s", "_"), "given_phones": ("t", "o") if tone else ("s",),
            "starts": (0.0, first, first + 0.2, end) if tone else (0.0, first, end),
            "ends": (first, first + 0.2, end, seconds) if tone else (first, end, seconds),
            "notes": ((first, end, 90),) if tone else (), "score": ((first, end, 90),) if tone else (),
            "vocals_path": str(path), "age": float(tone), "weight": 1.0 + tone,
            "tags": ("loud", "tone") if tone else ("noise",),
        })  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture
def use(table, monkeypatch, tmp_path_factory):
    """Make the family see a clip table, this module's by default."""
    monkeypatch.setenv("AUDIOMTL_CACHE", str(tmp_path_factory.getbasetemp() / "multitask_cache"))

    def as_clips(other: pd.DataFrame) -> None:
        monkeypatch.setattr(catalog, "clips", lambda data: other)

    as_clips(table)
    return as_clips


@pytest.fixture
def eagerly():
    """Steps as they are written, without the seconds that tracing takes; what is computed is the same."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def settings(heads=None, **changes):
    """The settings of multitask_scenes, made small; ``heads`` in place of its own."""
    small = {
        "features__sample_rate": RATE,
        "features__bands": 16,
        "features__n_fft": 256,
        "features__high_hz": 4000.0,
    }
    small |= {
        "encoder__units": 8,
        "training__epochs": 3,
        "training__batch_size": 8,
        "optimizer__learning_rate": 0.002,
    }
    small |= {
        "encoder__kind": "article",
        "encoder__dropout": 0.0,
        "optimizer__name": "adam",
        "encoder__filters": [8, 8],
    }
    # a study may have moved them
    small |= {
        "balancing__method": "fixed",
        "optimizer__schedule": "constant",
        "optimizer__clipnorm": 0.0,
    }
    # of 8 clips: accuracy is soon 1
    small |= {
        "training__monitor": "validation/loss",
        "training__monitor_direction": "minimize",
    }
    if heads is None:
        small["heads__activity__weight"] = 1.0
    elif any(head["kind"] == "alignment" for head in heads.values()) and any(
        head["kind"] == "phones" for head in heads.values()
    ):
        small["inputs__allow_leak"] = True
    return small_multitask.settings("multitask_scenes", heads=heads, **small | changes)


EVERY = {name: dict(head) for name, head in KINDS.items()}
STEPS = {"encoder__pool_frames": [2, 2], "encoder__filters": [4, 4]}  # steps of 40 ms: phones of 0.2 s


def trained(settings, seed: int = 1, on_epoch=lambda epoch, scores: True):
    seed_everything(seed)
    prepared = multitask.prepare(settings, seed)
    return multitask.train(settings, prepared, seed, on_epoch, None), prepared


def network(some, prepared):
    """An untrained network with no weight at 0."""
    seed_everything(0)
    model, random = multitask.network(some, prepared.known, 0), np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(variable.numpy() + 0.02 * random.normal(size=variable.shape))
    return model


def batch_of(examples, prepared, some) -> dict:
    made = collate(examples, prepared.known.names, prepared.known.scaler, some)
    return {name: tf.constant(value) for name, value in made.items() if name != "clip_ids"}


def outputs_of(model, batch, some) -> dict:
    return model([batch[name] for name in multitask.reads_of(some)])


def heads_of(fitted) -> set[str]:
    """Of the network's outputs those that are answers, each with its logits beside it."""
    heads = {name for name in fitted.model.output if not name.endswith(LOGITS)}
    kept = {name for name in heads if fitted.settings.heads[name].about.activation}
    assert set(fitted.model.output) == heads | {name + LOGITS for name in kept}
    return heads


def learned(found: dict, name: str):
    """What the loss of a head is computed from."""
    return found.get(name + LOGITS, found[name])


def loss_of(name: str, model, examples, prepared, some) -> float:
    batch = batch_of(examples, prepared, some)
    found = learned(outputs_of(model, batch, some), name)
    return float(
        kind(some.heads[name].kind).loss(
            found, batch[f"target_{name}"], batch[f"weight_{name}"], batch["steps"]
        )
    )


def without(example, name: str):
    return replace(example, targets={**example.targets, name: None})


def assert_same_tables(one: dict, other: dict) -> None:
    assert list(one) == list(other)
    for table, again in zip(one.values(), other.values(), strict=True):
        pd.testing.assert_frame_equal(table, again)


# ---------------------------------------------------------------- learning


@pytest.mark.slow
def test_both_tasks_are_learned_and_reload(use, tmp_path) -> None:
    fitted, prepared = trained(
        settings(encoder__filters=[16, 16], training__epochs=14, optimizer__learning_rate=0.005)
    )
    scores = multitask.evaluate(fitted, multitask.outputs(fitted, prepared.examples["test"]))
    assert (
        scores["event_accuracy"] >= 0.9
        and scores["activity_step_f1"] >= 0.6
        and scores["activity_segment_f1"] >= 0.55
    )
    assert scores["loss"] == pytest.approx(scores["event_loss"] + scores["activity_loss"])
    last = fitted.fit.history[-1]
    assert last["train/event_weight"] == last["train/activity_weight"] == 1.0
    assert last["train/loss"] == pytest.approx(
        last["train/event_loss"] + last["train/activity_loss"], rel=1e-3
    )
    multitask.save(fitted, tmp_path)
    again = multitask.load(tmp_path)
    assert_same_tables(
        multitask.predict(fitted, multitask.outputs(fitted, prepared.examples["test"])),
        multitask.predict(again, multitask.outputs(again, prepared.examples["test"])),
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["transformer", "harmonic"])
def test_every_head_trains_on_every_encoder_and_reloads(use, eagerly, kind, tmp_path) -> None:
    """Alignment, phones, melody, notes, mel, class, segments and value in one network.

    Safe mode is Keras's own.
    """
    fitted, prepared = trained(settings(EVERY, encoder__kind=kind, training__epochs=2, **STEPS))
    history = fitted.fit.history
    assert heads_of(fitted) == set(EVERY)
    assert history[1]["train/loss"] < history[0]["train/loss"] and {
        f"train/{name}_loss" for name in EVERY
    } <= set(history[0])
    scores = multitask.evaluate(fitted, multitask.outputs(fitted, prepared.examples["test"]))
    known = [
        "loss",
        *(
            f"{name}_{score}"
            for name, head in fitted.settings.heads.items()
            for score in ("loss", *head.about.scores)
        ),
    ]
    of_tags = ("labels_average_precision_", "labels_roc_auc_")  # beside those of each tag
    assert {name for name in scores if not name.startswith(of_tags)} == set(known) - {
        "phones_greedy_error_rate"  # beside that of a decoder
    }  # what a file may name
    multitask.save(fitted, tmp_path)
    again = multitask.load(tmp_path)
    batch = batch_of(prepared.examples["test"][:3], prepared, fitted.settings)
    one, other = (outputs_of(model, batch, fitted.settings) for model in (fitted.model, again.model))
    for name in EVERY:
        assert np.array_equal(one[name], other[name]), name
    assert multitask.evaluate(again, multitask.outputs(again, prepared.examples["test"])) == pytest.approx(
        scores
    )


@pytest.mark.slow
def test_an_auxiliary_head_is_not_saved(use, eagerly, tmp_path) -> None:
    fitted, prepared = trained(settings(heads__activity__train_only=True, training__epochs=1))
    multitask.save(fitted, tmp_path)
    again = multitask.load(tmp_path)
    assert heads_of(again) == {"event"} and again.parameters < fitted.parameters
    assert {"event_accuracy", "activity_step_f1"} <= set(
        multitask.evaluate(fitted, multitask.outputs(fitted, prepared.examples["test"]))
    )
    assert "activity_step_f1" not in multitask.evaluate(
        again, multitask.outputs(again, prepared.examples["test"])
    )
    tables = multitask.predict(again, multitask.outputs(again, prepared.examples["test"]))
    assert set(tables) == {"predictions"}
    whole = multitask.predict(fitted, multitask.outputs(fitted, prepared.examples["test"]))["predictions"]
    counts = ["activity_steps_right", "activity_steps_marked"]  # of the head that is gone
    assert_same_tables(tables, {"predictions": whole.drop(columns=counts)})


@pytest.mark.slow
def test_tables_name_every_clip_step_and_event_once(use, eagerly, table) -> None:
    """A clip without text, such as a piano alone, has no phones and no row of them."""
    silent = table["clip_id"] == "clip_08"
    use(
        table.assign(
            phones=table["phones"].mask(silent, None), given_phones=table["given_phones"].mask(silent, None)
        )
    )
    fitted, prepared = trained(settings(EVERY, training__epochs=1, **STEPS))
    side = "test" if any(one.clip_id == "clip_08" for one in prepared.examples["test"]) else "validation"
    examples = prepared.examples[side]
    assert any(one.clip_id == "clip_08" for one in examples)
    tables = multitask.predict(fitted, multitask.outputs(fitted, list(reversed(examples))))
    assert list(tables) == ["predictions", "steps", "events"]
    assert tables["predictions"]["clip_id"].tolist() == sorted(one.clip_id for one in examples)
    counts = tables["steps"].groupby("clip_id").size()
    assert all(counts[one.clip_id] == -(-len(one.frames) // 4) for one in examples)
    spoken = tables["events"][tables["events"]["head"] == "text"].groupby("clip_id")["label"].agg(list)
    assert "clip_08" not in spoken.index and len(spoken) == len(examples) - 1
    assert all(
        tuple(spoken[one.clip_id]) == one.row["given_phones"] for one in examples if one.clip_id != "clip_08"
    )
    assert np.allclose(
        tables["predictions"][["event_probability_noise", "event_probability_tone"]].sum(axis=1), 1, atol=1e-5
    )


# ---------------------------------------------------------------- padding


@pytest.mark.parametrize("kind", ["article", "recurrent", "transformer", "harmonic"])
def test_padding_has_no_influence(use, kind) -> None:
    """The shortest clip alone and beside the longest, head by head."""
    some = settings(EVERY, encoder__kind=kind, **STEPS)
    prepared = multitask.prepare(some, 1)
    model = network(some, prepared)
    examples = sorted(prepared.examples["train"], key=lambda one: len(one.frames))
    short = next(one for one in examples if len(one.text) == 3)
    long = next(one for one in reversed(examples) if len(one.text) == 5)
    alone, together = (
        outputs_of(model, batch_of(some_of, prepared, some), some) for some_of in ([short], [short, long])
    )
    steps = -(-len(short.frames) // 4)
    for name, head in some.heads.items():
        one, other = alone[name][0].numpy(), together[name][0].numpy()
        if not head.about.per_clip:
            assert len(other) > steps
            other = other[:steps]
        if head.kind == "alignment":
            assert not other[:, len(short.text) :].any()
            other = other[:, : len(short.text)]
        assert np.allclose(one, other, atol=1e-5), name
        assert loss_of(name, model, [short], prepared, some) == pytest.approx(
            loss_of(name, model, [short, without(long, name)], prepared, some), rel=1e-4
        )


# ---------------------------------------------------------------- labels that are missing


@pytest.mark.parametrize("name", EVERY)
def test_a_batch_without_a_label_leaves_its_head_alone(use, name) -> None:
    some = settings(EVERY, **STEPS)
    prepared = multitask.prepare(some, 1)
    model = network(some, prepared)
    batch = batch_of([without(one, name) for one in prepared.examples["train"][:3]], prepared, some)
    with tf.GradientTape(persistent=True) as tape:
        found = outputs_of(model, batch, some)
        losses = {
            other: (
                kind(head.kind).loss(
                    learned(found, other), batch[f"target_{other}"], batch[f"weight_{other}"], batch["steps"]
                )
            )
            for other, head in some.heads.items()
        }
    assert float(losses[name]) == 0.0 and all(
        float(value) > 0 for other, value in losses.items() if other != name
    )
    variables = [variable.value for variable in model.trainable_variables]
    zero = tf.UnconnectedGradients.ZERO
    own = tape.gradient(losses[name], variables, unconnected_gradients=zero)
    assert not any(np.any(tf.convert_to_tensor(gradient)) for gradient in own)
    some_other = tape.gradient(
        losses["event" if name != "event" else "age"], variables, unconnected_gradients=zero
    )
    assert any(np.any(tf.convert_to_tensor(gradient)) for gradient in some_other)


@pytest.mark.parametrize("name", EVERY)
def test_a_clip_without_a_label_counts_in_no_mean(use, name) -> None:
    some = settings(EVERY, **STEPS)
    prepared = multitask.prepare(some, 1)
    model = network(some, prepared)
    first, second, third = prepared.examples["train"][:3]
    with_it, without_it = ([first, second, third], [first, second, without(third, name)])
    alone = loss_of(name, model, [first, second], prepared, some)
    assert loss_of(name, model, without_it, prepared, some) == pytest.approx(alone, rel=1e-4)
    assert loss_of(name, model, with_it, prepared, some) != pytest.approx(alone, rel=1e-4)


@pytest.mark.slow
def test_scores_are_over_the_clips_that_have_the_label(use, eagerly) -> None:
    """Those that lack it change nothing: half of the test side is judged as if it were alone."""
    fitted, prepared = trained(settings(EVERY, training__epochs=1, **STEPS))
    half, rest = prepared.examples["test"][:4], prepared.examples["test"][4:]
    found = multitask.evaluate(fitted, multitask.outputs(fitted, half))
    for name in EVERY:
        rest = [without(one, name) for one in rest]
    assert multitask.evaluate(fitted, multitask.outputs(fitted, half + rest)) == pytest.approx(
        found, rel=1e-4
    )
    assert multitask.evaluate(fitted, multitask.outputs(fitted, rest)) == {"loss": 0.0}


def test_a_share_of_labels_is_kept_and_counted(use) -> None:
    full = multitask.prepare(settings(), 1)
    few, fewer = (
        multitask.prepare(settings(heads__activity__labelled_share=share), 1) for share in (0.5, 0.25)
    )
    assert full.facts["train/labelled_activity"] == 24
    assert few.facts["train/labelled_activity"] == 12 and fewer.facts["train/labelled_activity"] == 6
    assert few.facts["train/labelled_event"] == 24 and few.facts["test/labelled_activity"] == 8
    # scores are over all that is known
    assert all(one.targets["activity"] is not None for one in few.examples["test"])

    def labelled(prepared) -> set[str]:
        return {one.clip_id for one in prepared.examples["train"] if one.targets["activity"] is not None}

    assert labelled(fewer) < labelled(few)
    assert labelled(fewer) == labelled(multitask.prepare(settings(heads__activity__labelled_share=0.25), 1))
    both = settings(heads__activity__labelled_share=0.25, heads__event__labelled_share=0.25)
    other = {
        one.clip_id
        for one in multitask.prepare(both, 1).examples["train"]
        if one.targets["event"] is not None
    }
    assert other != labelled(fewer)  # each head for itself


def test_a_smaller_share_of_train_clips_is_part_of_a_greater_one(use) -> None:
    prepared = [multitask.prepare(settings(train_share=share), 1) for share in (0.25, 0.5, 1.0)]
    sides = [[one.clip_id for one in some.examples["train"]] for some in prepared]
    assert [len(side) for side in sides] == [6, 12, 24] and set(sides[0]) < set(sides[1]) < set(sides[2])
    assert all(side == sorted(side) for side in sides)  # in the order of the whole
    for side in ("validation", "test"):
        assert len({tuple(one.clip_id for one in some.examples[side]) for some in prepared}) == 1
    assert [
        one.clip_id for one in multitask.prepare(settings(train_share=0.25), 2).examples["train"]
    ] != sides[0]


@pytest.mark.parametrize("name", ["event", "activity"])
def test_item_weights_multiply_a_clip(use, table, name) -> None:
    """Weight 2 is the clip twice, weight 0 is leaving it out; the other head has none of it."""
    other = {"event": "activity", "activity": "event"}[name]
    some = settings(**{f"heads__{name}__item_weight": "weight"})
    use(table.assign(weight=[(1.0, 2.0, 0.0)[number % 3] for number in range(len(table))]))
    prepared = multitask.prepare(some, 1)
    model = network(some, prepared)
    one, two, none = (
        next(clip for clip in prepared.examples["train"] if clip.row["weight"] == weight)
        for weight in (1.0, 2.0, 0.0)
    )
    plain = replace(two, weights={name: 1.0, other: 1.0})
    assert loss_of(name, model, [one, two], prepared, some) == pytest.approx(
        loss_of(name, model, [one, plain, plain], prepared, some)
    )
    assert loss_of(name, model, [one, two], prepared, some) != pytest.approx(
        loss_of(name, model, [one, plain], prepared, some), rel=1e-4
    )
    assert loss_of(name, model, [one, none], prepared, some) == pytest.approx(
        loss_of(name, model, [one], prepared, some), rel=1e-5
    )
    assert loss_of(name, model, [none], prepared, some) == 0
    assert loss_of(other, model, [one, two], prepared, some) == pytest.approx(
        loss_of(other, model, [one, plain], prepared, some)
    )
    assert prepared.facts[f"train/labelled_{name}"] == 24


@pytest.mark.slow
def test_a_task_of_weight_0_is_not_trained(use, eagerly) -> None:
    fitted, prepared = trained(settings(heads__activity__weight=0.0, training__epochs=2))
    seed_everything(1)
    start = multitask.network(fitted.settings, prepared.known, 1)
    assert np.array_equal(
        start.get_layer("head_activity").kernel, fitted.model.get_layer("head_activity").kernel
    )
    assert not np.array_equal(
        start.get_layer("head_event").kernel, fitted.model.get_layer("head_event").kernel
    )
    assert "train/activity_loss" not in fitted.fit.history[-1]
    # of the untrained head: a line of the table
    assert "activity_step_f1" in multitask.evaluate(
        fitted, multitask.outputs(fitted, prepared.examples["test"])
    )


# ---------------------------------------------------------------- coupling


@pytest.mark.slow
def test_coupling_teaches_a_head_without_labels(use, eagerly) -> None:
    """Segments have no weight of their own: what moves them is the clip's class, through the coupling."""
    some = settings(heads__activity__weight=0.0, coupling__agreement__weight=1.0, training__epochs=2)
    fitted, prepared = trained(some)
    seed_everything(1)
    start = multitask.network(some, prepared.known, 1)
    for name in ("head_activity", "head_event"):
        assert not np.array_equal(start.get_layer(name).kernel, fitted.model.get_layer(name).kernel)
    last = fitted.fit.history[-1]
    assert last["train/agreement_weight"] == 1.0
    assert last["train/loss"] == pytest.approx(
        last["train/event_loss"] + last["train/agreement_loss"], rel=1e-3
    )
    off, _ = trained(settings(training__epochs=1))
    assert "train/agreement_loss" not in off.fit.history[-1]


def test_coupled_heads_have_the_same_classes(use, table) -> None:
    use(table.assign(kind=[("noise", "tone", "other")[number % 3] for number in range(len(table))]))
    with pytest.raises(
        UserError,
        match=r"coupling\.agreement: event and activity must be of the same classes, but are of noise, other",
    ):
        multitask.prepare(settings(heads__event__column="kind", coupling__agreement__weight=1.0), 1)
    with pytest.raises(
        UserError, match=r'coupling\.agreement\.segments = "event": no head with this name and kind'
    ):
        settings(coupling__agreement__segments="event")


# ---------------------------------------------------------------- balancing


@pytest.mark.slow
@pytest.mark.parametrize("method", methods())
def test_every_method_trains(use, eagerly, method) -> None:
    fitted, _ = trained(settings(balancing__method=method, heads__activity__labelled_share=0.3))
    history = fitted.fit.history
    assert np.isfinite([list(scores.values()) for scores in history]).all()
    assert history[-1]["train/event_loss"] < history[0]["train/event_loss"]
    assert history[-1]["train/activity_loss"] < history[0]["train/activity_loss"]


# ---------------------------------------------------------------- inputs


@pytest.mark.parametrize("audible", [True, False])
def test_a_score_is_an_input_of_its_own(use, audible) -> None:
    """Without audio the frames only say how long a clip is."""
    some = settings({"event": {"kind": "clip_class"}}, inputs__audio=audible, inputs__score="score")
    prepared = multitask.prepare(some, 1)
    model, examples = network(some, prepared), prepared.examples["train"][:4]
    batch = batch_of(examples, prepared, some)
    before = outputs_of(model, batch, some)["event"].numpy()
    assert (
        np.array_equal(
            outputs_of(model, {**batch, "frames": 2 * batch["frames"]}, some)["event"].numpy(), before
        )
        is not audible
    )
    noted = next(number for number, one in enumerate(examples) if one.roll.any())
    after = outputs_of(model, {**batch, "roll": 0 * batch["roll"]}, some)["event"].numpy()
    assert not np.allclose(after[noted], before[noted], atol=1e-6)


LEAKS = {
    "score is the target": (dict(heads={"tune": {"kind": "notes"}}, inputs__score="notes"), "tune", "notes", "inputs.score"),
    "score is the melody": (dict(heads={"tune": {"kind": "melody"}}, inputs__score="notes"), "tune", "notes", "inputs.score"),
    "sound is the target": (dict(heads={"clean": {"kind": "mel"}}), "clean", "path", "inputs.audio"),
    "text is the target": (dict(heads={"when": {"kind": "alignment"}, "what": {"kind": "phones"}}, inputs__allow_leak=False), "what",
                           "phones", "inputs.text"),
}  # fmt: skip


@pytest.mark.parametrize("what", LEAKS)
def test_a_target_among_the_inputs_is_refused_by_name(what) -> None:
    changes, head, column, place = LEAKS[what]
    with pytest.raises(
        UserError,
        match=rf'heads\.{head} learns the column "{column}", which is also {place}: .*allow_leak = true',
    ):
        settings(**changes)
    settings(**{**changes, "inputs__allow_leak": True})


def test_no_leak_where_target_and_input_differ() -> None:
    settings({"tune": {"kind": "notes"}}, inputs__score="score")
    settings({"clean": {"kind": "mel", "column": "vocals_path"}})
    # an autoencoder that helps and goes
    settings({"own": {"kind": "mel", "train_only": True}, "event": {"kind": "clip_class"}})
    settings({"own": {"kind": "mel"}}, inputs__audio=False, inputs__score="score")


REFUSED = {
    "nothing is trained": (dict(heads__event__weight=0.0, heads__activity__weight=0.0), "at least one head must have a weight above 0"),
    "nothing is saved": (dict(heads__event__train_only=True, heads__activity__train_only=True), "every head is train_only"),
    "no input": (dict(inputs__audio=False), "the encoder reads audio or score"),
    "text for nobody": (dict(inputs__text="phones"), r'inputs\.text = "phones" is read by heads of kind alignment, and only by them'),
    "nothing to align": (dict(heads={"when": {"kind": "alignment"}}, inputs__text=""), "name the column of the text to align"),
    "a value of what": (dict(heads={"age": {"kind": "value"}}), r"heads\.age\.column: a head of kind value must name"),
    "harmonics of cepstra": (dict(encoder__kind="harmonic", features__kind="mfcc", features__coefficients=8), "bands of the audio alone"),
    "harmonics of a score": (dict(encoder__kind="harmonic", inputs__score="notes"), "reads bands of the audio alone"),
    "leaky windows": (dict(protocol__leaky=True), "this family uses whole clips only"),
    "a score of nobody": (dict(scores={"event_acuracy": "maximize"}), 'not a score of these heads; did you mean event_accuracy'),
    "a name with a slash": (dict(heads={"a/b": {"kind": "clip_class"}}), 'may contain only letters, digits and _'),
    "a name twice": (dict(coupling__event=dict(clip_class="event", segments="activity", weight=1.0)), "a head has the same name"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_settings_that_make_no_sense_are_refused(what) -> None:
    changes, words = REFUSED[what]
    with pytest.raises(UserError, match=words):
        settings(**changes)


def test_clips_that_cannot_be_learned_are_refused(use, table) -> None:
    use(table.drop(columns="passages"))
    with pytest.raises(
        UserError, match=r"heads\.activity: kind segments needs a column passages, which data\.dataset = "
    ):
        multitask.prepare(settings(), 1)
    use(table.assign(event="tone"))
    with pytest.raises(UserError, match=r"every clip has the same class \(tone\); at least two are needed"):
        multitask.prepare(settings(), 1)
    use(table.assign(passages=None))
    with pytest.raises(UserError, match=r"heads\.activity: no clip of the train split has its label"):
        multitask.prepare(settings(), 1)
    use(table)
    with pytest.raises(
        UserError, match=r'heads\.event\.item_weight = "wight": the clip table has no such column'
    ):
        multitask.prepare(settings(heads__event__item_weight="wight"), 1)
    with pytest.raises(UserError, match=r'inputs\.score = "tune": the clip table has no such column'):
        multitask.prepare(settings(inputs__score="tune"), 1)
    for wrong in (-1.0, float("nan"), "much"):
        use(table.assign(weight=[wrong] * len(table)))
        with pytest.raises(
            UserError,
            match=r"heads\.event\.item_weight: clip clip_.. has .*; a weight must be a number of at least 0",
        ):
            multitask.prepare(settings(heads__event__item_weight="weight"), 1)
    use(table.assign(vocals_path=[*table["path"][1:], table["path"][0]]))
    with pytest.raises(
        UserError,
        match=r"heads\.clean: clip clip_.. has \d+ frames, its vocals_path \d+: the numbers of frames must be equal",
    ):
        multitask.prepare(settings({"clean": {"kind": "mel", "column": "vocals_path"}}), 1)


def test_a_given_text_is_aligned_where_it_is_what_was_sung(use, table) -> None:
    some = settings({"text": {"kind": "alignment"}}, inputs__text="given_phones", **STEPS)
    prepared = multitask.prepare(some, 1)
    assert prepared.known.symbols == ("_", "o", "s", "t")
    one = prepared.examples["train"][0]
    assert len(one.text) == 2 * len(one.row["given_phones"]) + 1 and set(one.targets["text"]) == set(
        range(len(one.text))
    )
    use(table.assign(given_phones=[("o", "t")] * len(table)))
    with pytest.raises(
        UserError,
        match=r'heads\.text: clip clip_..: the text of inputs\.text = "given_phones" differs from the labelled phones',
    ):
        multitask.prepare(some, 1)


def test_clean_targets_are_scaled_frames_averaged_over_steps(use) -> None:
    some = settings({"clean": {"kind": "mel", "column": "vocals_path"}}, **STEPS)
    prepared = multitask.prepare(some, 1)
    one = prepared.examples["test"][0]
    scaled = scaling.apply(one.frames, prepared.known.scaler)
    by_hand = np.array([scaled[first : first + 4].mean(axis=0) for first in range(0, len(scaled), 4)])
    assert np.allclose(one.targets["clean"], by_hand, atol=1e-5) and one.targets["clean"].dtype == np.float32
    assert zlib.crc32(one.frames.tobytes()) == zlib.crc32(
        multitask.prepare(some, 1).examples["test"][0].frames.tobytes()
    )
