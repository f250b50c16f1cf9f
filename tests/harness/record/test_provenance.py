"""What makes two trainings the same."""

from audiomtl import config
from audiomtl.harness.record import provenance


def test_settings_seed_data_threads_and_device_make_a_training() -> None:
    raw = config.load_experiment("mil_songs").raw
    key = provenance.training_key(raw, 1, "data", 1, "CPU")
    assert key == provenance.training_key({**raw, "description": "other words"}, 1, "data", 1, "CPU")
    others = [
        provenance.training_key(config.override(raw, {"pooling.name": "max"}), 1, "data", 1, "CPU"),
        provenance.training_key(raw, 2, "data", 1, "CPU"),
        provenance.training_key(raw, 1, "other data", 1, "CPU"),
        # the bits of a convolution's gradient depend on it
        provenance.training_key(raw, 1, "data", 2, "CPU"),
        provenance.training_key(raw, 1, "data", 1, "GPU NVIDIA A100"),
        provenance.training_key(raw, 1, "data", 1, "GPU NVIDIA T4"),
        provenance.training_key(config.override(raw, {"data.dataset": "scenes"}), 1, "data", 1, "CPU"),
    ]
    assert len({key, *others}) == 8


def test_decoding_settings_belong_to_the_scores_not_to_the_training() -> None:
    raw = {key: value for key, value in config.load_experiment("ctc_german").raw.items() if key != "decoding"}
    decoded = {**raw, "decoding": {"method": "beam", "width": 16}}
    training = provenance.training_key(raw, 1, "data", 1, "CPU")
    assert provenance.training_key(decoded, 1, "data", 1, "CPU") == training
    keys = [
        provenance.scores_key(training, one)
        for one in (raw, decoded, {**raw, "decoding": {"method": "beam", "width": 8}})
    ]
    assert keys[0] == training and len(set(keys)) == 3


def test_a_study_that_judges_or_decodes_otherwise_is_another_study(monkeypatch) -> None:
    file = config.load_study("ctc_german")
    identity = file.identity
    for change in (
        {"metric": "validation/frame_accuracy", "direction": "maximize"},
        {"prune_after_epochs": 5},
        {"prune_on": "validation/x"},
    ):
        other = config.StudyFile(file.name, file.path, file.study.model_copy(update=change), file.experiment)
        assert other.identity != identity, change
    assert (
        config.StudyFile(
            file.name, file.path, file.study.model_copy(update={"trials": 99}), file.experiment
        ).identity
        == identity
    )
    file.experiment.raw["decoding"] = {"method": "beam"}
    assert file.identity != identity


def test_each_family_and_data_set_has_its_own_code() -> None:
    raws = {
        name: config.load_experiment(name).raw
        for name in ("ctc_german", "ctc_emodb", "mil_songs", "transfer_esc10", "fusion_pictures")
    }
    assert len({provenance.code_version(raw) for raw in raws.values()}) == len(raws)


def test_the_code_and_packages_that_compute_are_covered() -> None:
    from audiomtl import definitions

    hashes, packages = definitions.reached(provenance._roots(config.load_experiment("multitask_scenes").raw))
    wanted = [
        "settings.shared.Features",
        "nn.fit.fit",
        "harness.train.child._train",
        "metrics.events.event_based",
        "data.corpora.scenes.clips",
    ]
    assert {f"audiomtl.{name}" for name in wanted} <= hashes.keys()
    assert {"tensorflow", "keras", "numpy", "scipy", "soundfile", "soxr", "mir_eval"} <= packages
    assert not [
        name
        for name in hashes
        if name.startswith(("audiomtl.pictures", "audiomtl.harness.record", "audiomtl.families.ctc"))
    ]
    assert {"sklearn"} <= definitions.reached(
        provenance._roots(config.load_experiment("baseline_esc10").raw)
    )[1]


def test_files_that_settings_name_count_for_those_settings() -> None:
    """A pooling, a scaling, a join, a balancing, a kind of head: looked up by name, so no import shows
    them.
    """
    named = {
        "mil_songs": ["nn.pooling.", "data.scaling."],
        "transfer_esc10": ["nn.pooling."],
        "fusion_pictures": ["families.fusion.joins."],
        "multitask_singing": [
            "families.multitask.balancing.",
            "families.multitask.heads.alignment",
            "families.multitask.heads.notes",
        ],
        "ctc_german": [
            "data.corpora.german_speech.clips",
            "data.corpora.german_speech.Settings",
            "data.scaling.",
        ],
    }
    for experiment, wanted in named.items():
        roots = provenance._roots(config.load_experiment(experiment).raw)
        for beginning in wanted:
            assert [root for root in roots if root.startswith(f"audiomtl.{beginning}")], (
                experiment,
                beginning,
            )
    raw = config.load_experiment("mil_songs").raw
    assert provenance.code_version(raw) != provenance.code_version(
        config.override(raw, {"pooling.name": "max"})
    )
