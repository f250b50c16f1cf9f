"""Transfer on a second or two of sine, chord or noise, with a YAMNet of random weights, whose patches
tell them apart.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from audiomtl import config
from audiomtl.data import audio, catalog
from audiomtl.errors import MissingData, UserError
from audiomtl.families.transfer import model as transfer
from audiomtl.families.transfer import patches
from audiomtl.nn import yamnet
from audiomtl.nn.classifiers import class_probabilities, fit_classifier
from audiomtl.nn.fit import seed_everything
from tests.nn import yamnet_weights
from tests.whole_settings import whole_settings

PROJECT = Path(__file__).parents[3]
HEADS = ["dense", "logistic_regression", "svm", "random_forest", "nearest_neighbours"]


def sound(random: np.random.Generator, kind: str) -> np.ndarray:
    times = np.arange(int(random.uniform(0.6, 2.2) * 16000)) / 16000
    noise = 0.01 * random.standard_normal(len(times))
    if kind == "noise":
        return np.clip(30 * noise, -1, 1)
    pitch = random.uniform(380, 420)
    return (
        noise
        + 0.3 * np.sin(2 * np.pi * pitch * times)
        + (0.5 * np.sin(14 * np.pi * pitch * times) if kind == "chord" else 0)
    )


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    return yamnet_weights.write(tmp_path_factory.mktemp("weights") / "yamnet.h5")


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> pd.DataFrame:
    """48 clips in four folds, two clips to a source."""
    folder, random, rows = tmp_path_factory.mktemp("sounds"), np.random.default_rng(0), []
    for number in range(48):
        kind = ("chord", "noise", "sine")[number // 2 % 3]
        path = folder / f"clip_{number:02}.wav"
        audio.save(path, sound(random, kind), sample_rate=16000)
        rows.append(
            (
                path.stem,
                str(path),
                audio.info(path).seconds,
                kind,
                number // 12 + 1,
                f"source_{number // 2:02}",
            )
        )
    return pd.DataFrame(rows, columns=["clip_id", "path", "seconds", "category", "fold", "src_file"])


@pytest.fixture
def use(table, monkeypatch, tmp_path_factory):
    """Make the family see a clip table, this module's by default."""
    monkeypatch.setenv("AUDIOMTL_CACHE", str(tmp_path_factory.getbasetemp() / "transfer_cache"))

    def as_clips(other: pd.DataFrame) -> None:
        monkeypatch.setattr(catalog, "clips", lambda data: other)

    as_clips(table)
    return as_clips


@pytest.fixture
def settings(weights):
    """The settings of transfer_esc10, made small; keyword ``a__b`` is the setting path a.b."""

    def made(**changes):
        raw = whole_settings("transfer_esc10")
        small = {
            "extractor.weights": str(weights),
            "fine_tune.blocks": 0,
            "head.kind": "dense",
            "head.hidden": [16],
            "head.standardise": True,
            "head.trees": 100,
            "head.loss": "clip",
            "head.mixup_alpha": 0.0,
            "head.dropout": 0.0,
            "head.label_smoothing": 0.0,
            "pooling.name": "mean",
            "pooling.of": "logits",
            "training.epochs": 6,
            "optimizer.learning_rate": 0.01,
            "optimizer.name": "adam",
        }
        return config.settings_of(
            config.override(raw, small | {path.replace("__", "."): value for path, value in changes.items()}),
            "test",
        )

    return made


def trained(settings, seed: int = 1, on_epoch=lambda epoch, scores: True):
    seed_everything(seed)
    prepared = transfer.prepare(settings, seed)
    return transfer.train(settings, prepared, seed, on_epoch, None), prepared


@pytest.mark.parametrize("kind", HEADS)
def test_every_head_learns_and_reloads_to_the_same_numbers(use, settings, kind, tmp_path) -> None:
    fitted, prepared = trained(settings(head__kind=kind))
    scores = transfer.evaluate(fitted, transfer.outputs(fitted, prepared.examples["validation"]))
    assert transfer.evaluate(fitted, transfer.outputs(fitted, prepared.examples["train"]))["accuracy"] >= 0.8
    assert scores["accuracy"] >= 0.5 and set(scores) == {
        "loss",
        "accuracy",
        "balanced_accuracy",
        "patch_accuracy",
    }
    transfer.save(fitted, tmp_path)
    again = transfer.load(tmp_path)
    assert again.known.classes == ("chord", "noise", "sine") and again.parameters == fitted.parameters
    for one, other in zip(
        transfer.predict(fitted, transfer.outputs(fitted, prepared.examples["test"])).values(),
        transfer.predict(again, transfer.outputs(again, prepared.examples["test"])).values(),
        strict=True,
    ):
        pd.testing.assert_frame_equal(one, other)


def test_logistic_regression_becomes_the_same_network(use, settings) -> None:
    for classes in (None, ["noise", "sine"]):
        if classes:
            table = catalog.clips(None)
            use(table[table["category"].isin(classes)].reset_index(drop=True))
        fitted, prepared = trained(settings(head__kind="logistic_regression"))
        examples = prepared.examples["train"]
        rows, truth = (
            np.stack([one.patches.mean(axis=0) for one in examples]),
            np.array([one.label for one in examples]),
        )
        pipeline = fit_classifier(fitted.settings.head.classifier, rows.astype(float), truth, 1)
        expected = class_probabilities(pipeline, rows)
        got = (
            transfer.predict(fitted, transfer.outputs(fitted, examples))["predictions"]
            .set_index("clip_id")
            .loc[[one.clip_id for one in examples]]
        )
        assert np.allclose(got[[f"probability_{name}" for name in fitted.known.classes]], expected, atol=1e-4)


def test_tables_name_every_clip_and_patch_once(use, settings) -> None:
    fitted, prepared = trained(settings(pooling__name="attention"))
    examples = prepared.examples["validation"]
    tables = transfer.predict(fitted, transfer.outputs(fitted, list(reversed(examples))))
    assert sorted(tables["predictions"]["clip_id"]) == sorted(one.clip_id for one in examples)
    truth = dict(
        zip(prepared.splits.validation["clip_id"], prepared.splits.validation["category"], strict=True)
    )
    assert all(truth[row.clip_id] == row.truth for row in tables["predictions"].itertuples())
    counts = tables["patches"].groupby("clip_id").size()
    assert all(counts[one.clip_id] == len(one.patches) for one in examples)
    assert np.allclose(tables["patches"].groupby("clip_id")["weight"].sum(), 1, atol=1e-5)
    assert tables["patches"]["start_seconds"].max() <= 2.2 and tables["patches"][
        "end_seconds"
    ].min() == pytest.approx(0.975)


def test_no_source_on_two_sides(use, settings) -> None:
    for seed in range(4):
        sides = transfer.prepare(settings(), seed).splits.sides()
        sources = [set(rows["src_file"]) for rows in sides.values()]
        assert sum(map(len, sources)) == len(set.union(*sources)) == 24


def test_the_articles_case_on_the_published_layout(weights, monkeypatch, tmp_path) -> None:
    """transfer_dog_cat as it stands: folds 1-3 train, 4 validates, 5 tests.

    40 clips of each class are published, here 2 a fold.
    """
    from audiomtl.data.datasets.esc50 import Settings as Esc50

    rows = [
        (
            f"{fold}-{fold}{take}{target}-A-{target}.wav",
            fold,
            target,
            name,
            False,
            f"{fold}{take}{target}",
            "A",
        )
        for fold in range(1, 6)
        for take in range(2)
        for target, name in ((0, "dog"), (5, "cat"), (1, "rooster"))
    ]
    root = tmp_path / "ESC-50"
    (root / "meta").mkdir(parents=True)
    (root / "audio").mkdir()
    columns = ["filename", "fold", "target", "category", "esc10", "src_file", "take"]
    pd.DataFrame(rows, columns=columns).to_csv(root / "meta" / "esc50.csv", index=False)
    random = np.random.default_rng(0)
    for name, *_ in rows:
        audio.save(root / "audio" / name, random.uniform(-0.1, 0.1, 44100), sample_rate=44100)
    monkeypatch.setenv("AUDIOMTL_DATA", str(tmp_path))
    monkeypatch.setenv("AUDIOMTL_CACHE", str(tmp_path / "cache"))
    raw = config.load_experiment(str(PROJECT / "experiments" / "transfer_dog_cat.toml")).raw
    some = config.settings_of(
        config.override(
            raw, {"extractor.weights": str(weights), "training.epochs": 1, "data.subset.clip_id": 20}
        ),
        "test",
    )
    assert (
        isinstance(some.data, Esc50)
        and not config.load_experiment(str(PROJECT / "experiments" / "transfer_dog_cat.toml")).expected
    )
    fitted, prepared = trained(some)
    assert {side: set(rows["fold"]) for side, rows in prepared.splits.sides().items()} == {
        "train": {1, 2, 3},
        "validation": {4},
        "test": {5},
    }
    assert (
        fitted.known.classes == ("cat", "dog")
        and len(transfer.predict(fitted, transfer.outputs(fitted, prepared.examples["test"]))["predictions"])
        == 4
    )


# ---------------------------------------------------------------- share of the training data


def test_shares_hold_whole_sources_of_every_class_and_lie_in_each_other(use, settings) -> None:
    before: set[str] = set()
    for share in (0.1, 0.25, 0.5, 1.0):
        train = transfer.prepare(settings(train_share=share), 1).splits.train
        assert set(train["category"]) == {"chord", "noise", "sine"} and before <= set(train["clip_id"])
        assert (train.groupby("src_file").size() == 2).all()
        assert len(train) >= share * 24
        before = set(train["clip_id"])
    assert len(before) == 24
    # the same test fold
    some = [
        set(transfer.prepare(settings(train_share=0.25), seed).splits.train["clip_id"]) for seed in (1, 5)
    ]
    assert some[0] != some[1]


# ---------------------------------------------------------------- losses


def test_losses_by_hand(settings) -> None:
    outputs = {"clip_logits": np.log(np.array([[0.5, 0.5], [0.1, 0.9]], np.float32))}
    outputs["patch_logits"] = np.log(np.array([[0.5, 0.5], [0.25, 0.75], [0.2, 0.8]], np.float32))
    batch = {"counts": np.array([2, 1], np.int32), "targets": np.array([[1, 0], [0, 1]], np.float32)}
    assert float(transfer.loss(outputs, batch, settings())) == pytest.approx(
        -(np.log(0.5) + np.log(0.9)) / 2, rel=1e-4
    )
    per_patch = -((np.log(0.5) + np.log(0.25)) / 2 + np.log(0.8)) / 2
    assert float(transfer.loss(outputs, batch, settings(head__loss="patch"))) == pytest.approx(
        per_patch, rel=1e-4
    )


# ---------------------------------------------------------------- fine-tuning


@pytest.mark.slow
def test_the_end_of_yamnet_waits_for_its_epoch_and_then_moves(use, settings, weights) -> None:
    start = yamnet.read_weights(weights)["layer14_pointwise_conv/kernel"]
    moved = {}
    for from_epoch in (0, 99):
        fitted, prepared = trained(
            settings(fine_tune__blocks=1, fine_tune__from_epoch=from_epoch, training__epochs=2)
        )
        moved[from_epoch] = np.abs(
            fitted.known.tail.get_layer("layer14").kernel("pointwise_conv").numpy() - start
        ).max()
        assert (
            transfer.evaluate(fitted, transfer.outputs(fitted, prepared.examples["validation"]))["loss"] > 0
        )
    assert moved[99] == 0 and moved[0] > 1e-4


def test_a_tuned_network_starts_where_the_frozen_one_is(use, settings) -> None:
    """With nothing trained yet, and with the same head, both say the same of the same clips."""
    said = []
    for blocks in (0, 2):
        seed_everything(3)
        some = settings(fine_tune__blocks=blocks)
        prepared = transfer.prepare(some, 1)
        read = yamnet.read_weights(prepared.known.weights) if blocks else {}
        fitted = transfer._with_network(
            some, prepared.known, *transfer._mean_and_deviation(some, prepared.examples["train"], read), read
        )
        head = fitted.model.get_layer("head") if blocks else fitted.model
        for variable in head.trainable_variables:
            variable.assign(np.random.default_rng(len(variable.shape)).normal(0, 0.1, variable.shape))
        said.append(
            transfer.predict(fitted, transfer.outputs(fitted, prepared.examples["validation"]))[
                "predictions"
            ].filter(like="probability_")
        )
    assert np.allclose(said[0], said[1], atol=1e-3) and said[0].to_numpy().std() > 0.01


# ---------------------------------------------------------------- other extractors


@pytest.mark.parametrize("kind", ["log_mel", "mfcc"])
def test_statistics_are_means_and_deviations_of_patches(use, settings, kind) -> None:
    some = settings(extractor__kind="statistics", features__kind=kind)
    fitted, prepared = trained(some)
    size = 2 * some.features.n_bands
    assert {one.patches.shape[1] for one in prepared.examples["train"]} == {
        size
    } and fitted.known.weights_digest == ""
    frames = np.random.default_rng(0).normal(size=(200, some.features.n_bands))
    rows = patches.statistics(frames, some)
    assert np.allclose(rows[1], np.concatenate([frames[48:146].mean(axis=0), frames[48:146].std(axis=0)]))
    assert len(rows) == 4 and len(patches.statistics(frames[:5], some)) == 1


def test_stored_embeddings_of_any_other_extractor(use, settings, tmp_path) -> None:
    table, random = catalog.clips(None), np.random.default_rng(0)
    paths = []
    for row in table.itertuples():
        paths.append(str(tmp_path / f"{row.clip_id}.npy"))
        np.save(
            paths[-1],
            random.normal({"chord": 0, "noise": 1, "sine": 2}[row.category], 0.5, (random.integers(1, 5), 7)),
        )
    use(table.assign(path=paths, embedding_path=paths))
    fitted, prepared = trained(settings(extractor__kind="stored", training__epochs=25))
    assert transfer.evaluate(fitted, transfer.outputs(fitted, prepared.examples["test"]))["accuracy"] > 0.8
    assert np.isnan(
        transfer.predict(fitted, transfer.outputs(fitted, prepared.examples["test"]))["patches"][
            "start_seconds"
        ]
    ).all()
    with pytest.raises(UserError, match=r'extractor\.kind = "yamnet": stored embeddings'):
        transfer.prepare(settings(), 1)
    np.save(paths[0], np.zeros((2, 8)))
    with pytest.raises(
        UserError, match=r"embedding_path: arrays \(patches, 8\) are required; different shapes: clip_01"
    ):
        transfer.prepare(settings(extractor__kind="stored"), 1)


# ---------------------------------------------------------------- refusals


def test_one_class_only_is_refused(use, settings) -> None:
    use(catalog.clips(None).assign(category="noise"))
    with pytest.raises(UserError, match=r"every clip has the same class \(noise\); at least two are needed"):
        transfer.prepare(settings(), 1)


def test_absent_weights_are_missing_data(use, settings, tmp_path) -> None:
    with pytest.raises(MissingData, match="no such file"):
        transfer.prepare(settings(extractor__weights=str(tmp_path / "none.h5")), 1)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"fine_tune.blocks": 1, "extractor.kind": "statistics"}, "nothing is pretrained"),
        ({"fine_tune.blocks": 1, "head.kind": "svm"}, "scikit-learn gives no gradient"),
        ({"fine_tune.blocks": 1, "optimizer.name": "sgd"}, "use adam or adamw"),
        ({"protocol.leaky": True}, "whole clips only"),
        ({"train_share": 0.0}, "train_share"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings, changes, text) -> None:
    raw = json.loads(settings().model_dump_json(exclude_none=True))
    with pytest.raises(UserError, match=text):
        config.settings_of(config.override(raw, changes), "test")
