"""Weights of clips in the loss of every family that takes them: what they change, and what they do not."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from audiomtl import config
from audiomtl.errors import UserError
from audiomtl.nn.fit import seed_everything
from tests.families.test_augmentation import CLIPS
from tests.surroundings.families import digest, raw_settings, sounds

TAGS = {"data__label": "tags", "data__labels": "several"}
MIXED = {name: CLIPS[name] for name in ("mixup", "label_smoothing")}
WINDOWS = {"network__loss": "window", "pooling__name": "mean"}
SCIKIT = {"transfer": "head__kind", "baseline": "classifier__name"}
STATISTICS = {
    "extractor__kind": "statistics",
    "extractor__patch_seconds": 0.3,
    "extractor__hop_seconds": 0.15,
    "head__mixup_alpha": 0.0,
}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "mil": ("mil", {}),
    "mil windows, mixed": ("mil", WINDOWS | {"augmentation": MIXED}),
    "mil tags, mixed": ("mil", TAGS | {"augmentation": MIXED}),
    "fusion": ("fusion", {}),
    "fusion, mixed": ("fusion", {"augmentation": MIXED}),
    "transfer": ("transfer", STATISTICS),
    "transfer patches, mixed": (
        "transfer",
        STATISTICS | {"head__loss": "patch", "head__mixup_alpha": 0.4, "head__label_smoothing": 0.1},
    ),
    "transfer tags, mixed": ("transfer", STATISTICS | TAGS | {"head__mixup_alpha": 0.4}),
    "transfer logistic_regression": ("transfer", STATISTICS | {"head__kind": "logistic_regression"}),
    "transfer svm, tags": ("transfer", STATISTICS | TAGS | {"head__kind": "svm"}),
    "baseline random_forest": ("baseline", {"classifier__name": "random_forest"}),
    "baseline extra_trees, tags": ("baseline", TAGS | {"classifier__name": "extra_trees"}),
    "baseline svm": ("baseline", {"classifier__name": "svm"}),
    "baseline logistic_regression": ("baseline", {"classifier__name": "logistic_regression"}),
}
NETWORKS = (
    *("mil", "fusion", "transfer"),
    *("mil windows, mixed", "mil tags, mixed", "fusion, mixed"),
    *("transfer patches, mixed", "transfer tags, mixed"),
)
SMALL = {
    "transfer": {
        "features__kind": "log_mel",
        "head__inverse_regularization": 1.0,
        "head__kernel": "linear",
    },
    "baseline": {
        "classifier__inverse_regularization": 1.0,
        "classifier__kernel": "rbf",
        "classifier__trees": 9,
    },
}
WRONG = ("clip_01", "clip_10", "clip_15", "clip_26")  # of folds that seed 1 trains on


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory):
    """Clips with columns of weights: ``ones``, ``trust`` (0 for `WRONG`, others 1 or 2), and bad ones. In
    ``wrong.parquet`` the clips `WRONG` have the classes and tags of others.
    """
    made = sounds(tmp_path_factory.mktemp("item_weights") / "sounds")
    table = pd.read_parquet(made / "clips.parquet")
    wrong = table["clip_id"].isin(WRONG).to_numpy()
    trust = np.where(wrong, 0.0, 1.0 + (np.arange(len(table)) % 4 == 0))
    table = table.assign(
        ones=1, trust=trust, nothing=0.0, no_a=(table["kind"] != "a").astype(float), text="much"
    )
    for name, value in (("negative", -0.5), ("missing", np.nan), ("endless", np.inf)):
        table[name] = [*[1.0] * 7, value, *[1.0] * (len(table) - 8)]
    table.to_parquet(made / "clips.parquet")
    number = np.arange(len(table))
    other = np.where(wrong, (number + 1) % len(table), number)
    changed = table.assign(kind=table["kind"].to_numpy()[other], tags=table["tags"].to_numpy()[other])
    changed.to_parquet(made / "wrong.parquet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIOMTL_CACHE", str(made / "cache"))
        yield made


@pytest.fixture
def eagerly():
    """No graphs: a training of a few steps takes a third of the time."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def settings_of(case: str, folder: Path, **changes: Any) -> Any:
    family, own = CASES[case]
    small = SMALL.get(family, {}) | ({} if family == "baseline" else {"training__epochs": 1})
    return config.settings_of(raw_settings(family, folder, **{**small, **own, **changes}), case)


def trained(case: str, folder: Path, **changes: Any) -> Any:
    family, settings = config.family("model", CASES[case][0]), settings_of(case, folder, **changes)
    seed_everything(1)
    prepared = family.prepare(settings, 1)
    return family, prepared, family.train(settings, prepared, 1, lambda epoch, scores: True, None)


def bits(folder: Path, case: str, to: Path, **changes: Any) -> str:
    family, _, fitted = trained(case, folder, **changes)
    family.save(fitted, to)
    return digest(to) if fitted.model is not None and CASES[case][0] != "baseline" else answers(family, to)


def answers(family: Any, place: Path) -> str:
    """Of a classifier that is fitted again when it is loaded: its probabilities, to the bit."""
    fitted = family.load(place)
    rows = np.random.default_rng(0).normal(size=(20, fitted.known.rows.shape[1]))
    given = (rows,) if "baseline" in family.__name__ else (rows, [5] * 4)
    found = fitted.forward(*given)
    return np.asarray(found["clip"] if isinstance(found, dict) else found).tobytes().hex()


@pytest.mark.parametrize("case", [case for case in CASES if case not in NETWORKS[3:]])
def test_weights_of_1_change_no_bit(case, folder, tmp_path, eagerly):
    given = {"class_weights": "balanced"}
    plain = bits(folder, case, tmp_path / "plain", **given)
    assert bits(folder, case, tmp_path / "ones", item_weight="ones", **given) == plain


@pytest.mark.parametrize("case", [case for case in CASES if case not in NETWORKS[:3]])
def test_the_label_of_a_clip_of_weight_0_is_not_learned(case, folder, tmp_path, eagerly):
    given, other = {"class_weights": "none"}, {"data__table": str(folder / "wrong.parquet")}
    first = bits(folder, case, tmp_path / "first", item_weight="trust", **given)
    assert bits(folder, case, tmp_path / "second", item_weight="trust", **given, **other) == first
    assert bits(folder, case, tmp_path / "third", item_weight="ones", **given, **other) != first


@pytest.mark.parametrize("case", ["mil", "fusion", "transfer", "baseline svm"])
def test_only_train_clips_have_weights(case, folder, eagerly):
    family, prepared, fitted = trained(case, folder, item_weight="trust")
    train = prepared.examples["train"]
    assert set(WRONG) <= {one.clip_id for one in train}
    if case == "baseline svm":
        known = dict(zip((one.clip_id for one in train), prepared.known.item_weights, strict=True))
    else:
        known = {one.clip_id: one.weight for one in train}
        others = [*prepared.examples["validation"], *prepared.examples["test"]]
        assert {one.weight for one in others} == {None}
    table = pd.read_parquet(folder / "clips.parquet").set_index("clip_id")
    assert known == table["trust"][list(known)].to_dict() and set(known.values()) == {0.0, 1.0, 2.0}
    plain = family.prepare(settings_of(case, folder), 1)
    scores = [
        family.evaluate(fitted, family.outputs(fitted, of.examples["validation"])) for of in (prepared, plain)
    ]
    assert scores[0] == scores[1]


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("trusst", r'^item_weight = "trusst": the clip table has no such column; did you mean trust\?'),
        (
            "missing",
            r"^item_weight: clip clip_07 has nan; a weight must be a number of at least 0, and finite",
        ),
        ("negative", r"^item_weight: clip clip_07 has -0\.5; a weight must be a number of at least 0"),
        (
            "endless",
            r"^item_weight: clip clip_07 has inf; a weight must be a number of at least 0, and finite",
        ),
        ("text", r'^item_weight: clip clip_00 has "much"; a weight must be a number of at least 0'),
        ("nothing", r'^item_weight = "nothing": all 18 clips of the train split have weight 0; give some'),
        ("no_a", r'^item_weight = "no_a": all train clips of kind a have weight 0, so that the class cannot'),
    ],
)
@pytest.mark.parametrize("case", ["mil", "fusion", "transfer", "baseline svm"])
def test_bad_weights_are_refused_before_anything_is_read(case, column, said, folder, monkeypatch):
    from audiomtl.data import catalog, preflight
    from audiomtl.data.store import FeatureStore

    settings = settings_of(case, folder, item_weight=column)
    seen = preflight.look(settings, catalog.clips(settings.data))
    assert len(seen.faults) == 1 and "\n" not in seen.faults[0]
    monkeypatch.setattr(FeatureStore, "features", lambda *_, **options: pytest.fail("features were made"))
    with pytest.raises(UserError, match=said) as raised:
        config.family("model", CASES[case][0]).prepare(settings, 1)
    assert str(raised.value) in seen.faults[0]


def test_a_tag_that_only_clips_of_weight_0_lack_or_have_is_a_constant(folder, tmp_path):
    """A classifier of one class alone cannot be fitted."""
    table = pd.read_parquet(folder / "clips.parquet")
    table["tags"] = [
        [*tags, *(["rare"] if clip in WRONG else ["usual"])]
        for tags, clip in zip(table["tags"], table["clip_id"], strict=True)
    ]
    table.to_parquet(folder / "rare.parquet")
    given = {"item_weight": "trust", "data__table": str(folder / "rare.parquet")}
    for case in ("transfer svm, tags", "baseline extra_trees, tags"):
        family, prepared, fitted = trained(case, folder, **given)
        found = family.outputs(fitted, prepared.examples["train"])
        probabilities = np.stack([row["clip"] if isinstance(row, dict) else row for _, row in found])
        classes = list(prepared.known.classes)
        assert (probabilities[:, classes.index("rare")] == 0).all()
        assert (probabilities[:, classes.index("usual")] == 1).all()


def test_recognisers_of_join_likelihood_are_weighted_as_well():
    """Two clips that agree: the mean cost, of one with weight 0 that of the other."""
    import tensorflow as tf

    from audiomtl.families.fusion import evidence

    class Chosen:
        kind, by, leave_out, evidence_weight = "likelihood", "sound", (), 1.0

    class Given:
        join, used = Chosen, {"sound": None, "text": None}
        modalities = {"text": type("Text", (), {"agrees": ("same",)})}

    inputs = {"costs": tf.keras.Input((6,), name="costs")}
    outputs = tf.keras.layers.Activation("linear", name="join")(inputs["costs"])
    known = type("Known", (), {"classes": ("other", "same")})
    loss = evidence.evidence_of(tf.keras.Model(inputs, outputs), Given, known)  # type: ignore[arg-type]
    costs = {"costs": np.tile(np.array([[2.0], [6.0], [9.0]], np.float32), 6)}
    labels = tf.constant([1, 1, 0])
    assert float(loss(costs, labels, None)[1]) == 4
    assert float(loss(costs, labels, tf.constant([1.0, 1.0, 1.0]))[1]) == 4
    assert float(loss(costs, labels, tf.constant([0.0, 2.0, 1.0]))[1]) == 6
