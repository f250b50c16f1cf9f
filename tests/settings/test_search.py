"""What a study may sweep, and what makes it the same study."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from audiomtl import config
from audiomtl.errors import UserError
from audiomtl.settings.study import Dimension
from tests.settings.files import (
    BOTH,
    EXPERIMENT,
    PROJECT,
    STUDY,
    Edit,
    add,
    append,
    put,
    search,
    several,
    whole,
)

# ---------------------------------------------------------------- what is allowed


@pytest.mark.parametrize(
    "edit",
    [
        search(
            "network.units",
            "{ choices = [[64], [32, 32]] }",
            lambda text: text.replace("[search]", "[search]  # lists"),
        ),
        search("training.epochs", "{ low = 2, high = 1000, log = true }"),
        search("training.epochs", "{ low = 2, high = 1002, step = 2 }"),
        search("optimizer.clipnorm", "{ choices = [0, 5] }"),  # whole numbers are numbers
        # dotted, without quotes
        search("optimizer.momentum", "{ low = 0.0, high = 0.95, when = { optimizer.name = ['sgd'] } }"),
        search("features.scaling", '{ choices = ["none", "minmax"] }', put("metric", '"validation/loss"')),
        search(
            "features.scaling",
            '{ choices = ["none", "minmax"] }',
            put("metric", '"validation/frame_accuracy"'),
            put("direction", '"maximize"'),
        ),
        search(  # an end that another swept setting of the table sets right
            "features.high_hz",
            "{ low = 40.0, high = 8000.0 }",
            append("features.low_hz = { low = 20.0, high = 5000.0 }\n"),
        ),
        search(  # outside its range, but trial 0 does not use it
            "optimizer.weight_decay",
            '{ low = 1e-5, high = 1e-2, log = true, when = { "optimizer.name" = ["adam"] } }',
        ),
        search(  # allowed only together with its condition
            "optimizer.global_clipnorm",
            '{ low = 0.0, high = 9.0, when = { "optimizer.clipnorm" = [0.0] } }',
            append("optimizer.clipnorm = { choices = [5.0, 0.0] }\n"),
        ),
        add("", 'ablation = "unscaled"'),
    ],
)
def test_a_good_study_passes(edit, project):
    path = project / "studies" / "one.toml"
    path.write_text(edit(STUDY), encoding="utf-8")
    assert config.load_study("one").study.search


def test_quoted_and_dotted_conditions_are_the_same_study(project):
    path = project / "studies" / "one.toml"
    before = config.load_study("one").identity
    path.write_text(STUDY.replace('"optimizer.name" = ["sgd"]', 'optimizer.name = ["sgd"]'), encoding="utf-8")
    assert config.load_study("one").identity == before


@pytest.mark.parametrize(
    ("dimension", "inside", "outside"),
    [
        ({"low": 1, "high": 5}, [1, 3, 5], [0, 6, 2.5, 3.0, True, "3", [3]]),
        ({"low": 0.0, "high": 1.0}, [0.0, 0.5, 1, 1.0], [-0.1, 1.1, True, "0.5"]),
        ({"low": 0.0, "high": 0.9, "step": 0.1}, [0.0, 0.3, 0.7, 0.9], [0.25, 0.95]),
        ({"low": 2, "high": 10, "step": 4}, [2, 6, 10], [4, 8]),
        ({"choices": ["a", [1, 2], 5.0]}, ["a", [1, 2], 5, 5.0], ["b", [1], [2, 1], 4]),
    ],
)
def test_a_dimension_holds_what_it_sweeps(dimension, inside, outside):
    space = Dimension.model_validate(dimension)
    assert [value for value in inside if not space.holds(value)] == []
    assert [value for value in outside if space.holds(value)] == []


def test_conditions_come_first():
    search = {
        "a": Dimension(low=0, high=1, when={"c": [1]}),
        "b": Dimension(low=0, high=1),
        "c": Dimension(low=0, high=1, when={"d": [1], "fixed": [2]}),
        "d": Dimension(low=0, high=1),
    }
    assert config.ordered(search) == ["b", "d", "c", "a"]


# ---------------------------------------------------------------- identity


SAME_STUDY: dict[str, tuple[str, Edit]] = {
    "number of trials": ("studies", put("trials", "99")),
    "description of the study": ("studies", put("description", '"Another."')),
    "description of the experiment": ("experiments", put("description", '"Another."')),
    "reporting seeds": ("experiments", put("seeds", "[7, 8, 9]")),
    "limits": ("experiments", put("limits.seconds", "1.0")),
    "memory": ("experiments", put("limits.memory_megabytes", "9000")),
    "a swept number": ("experiments", put("optimizer.learning_rate", "0.014563004479356975")),
    "a swept choice": ("experiments", put("optimizer.name", '"adam"')),
    "a swept conditional": ("experiments", put("optimizer.momentum", "0.51")),
    "another ablation": ("experiments", append("[ablation.more]\nnetwork.dropout = 0.0\n")),
    "5 for 5.0": ("experiments", put("optimizer.clipnorm", "5")),
    "a comment": ("studies", append("# a comment\n")),
    "order of lines": (
        "studies",
        lambda text: text.replace("trials = 8\n", "").replace("[search]", "trials = 8\n[search]"),
    ),
}
OTHER_STUDY: dict[str, tuple[str, Edit]] = {
    "metric": ("studies", put("metric", '"validation/loss"')),
    "several metrics": ("studies", several(BOTH, '["minimize", "maximize"]')),
    "prune_on": ("studies", put("prune_on", '"validation/phone_error_rate"')),
    "direction": (
        "studies",
        lambda text: text.replace("phone_error_rate", "frame_accuracy").replace(
            'n = "minimize"', 'n = "maximize"', 1
        ),
    ),
    "prune_after_epochs": ("studies", put("prune_after_epochs", "4")),
    "sampler_seed": ("studies", put("sampler_seed", "2")),
    "a range": ("studies", whole("", "high = 1.0", "high = 0.5")),
    "log": ("studies", whole("", ", log = true", "")),
    "choices": ("studies", whole("", ', "rmsprop"', "")),
    "when": ("studies", whole("", '= ["sgd"] }', '= ["sgd", "rmsprop"] }')),
    "one more path": ("studies", append("network.dropout = { low = 0.0, high = 0.5 }\n")),
    "one path less": ("studies", lambda text: re.sub("(?m)^optimizer.momentum.*\n", "", text)),
    "ablation": ("studies", add("", 'ablation = "unscaled"')),
    "study seed": ("experiments", put("study_seed", "77")),
    "a setting that is not swept": ("experiments", put("network.dropout", "0.123")),
    "a list": ("experiments", put("network.units", "[7, 8]")),
    "data": ("experiments", put("data.corpus_seed", "77")),
    "training": ("experiments", put("training.epochs", "77")),
}


@pytest.mark.parametrize("change", [*SAME_STUDY, *OTHER_STUDY])
def test_the_identity_of_a_study(change, project):
    folder, edit = (SAME_STUDY | OTHER_STUDY)[change]
    before = config.load_study("one").identity
    path = project / folder / "one.toml"
    text = path.read_text(encoding="utf-8")
    assert edit(text) != text
    path.write_text(edit(text), encoding="utf-8")
    after = config.load_study("one")
    assert (after.identity == before) is (change in SAME_STUDY)
    assert re.fullmatch("[0-9a-f]{12}", after.identity)


def test_the_identity_of_a_study_with_several_metrics_is_in_their_order(project):
    path, text = (
        project / "studies" / "one.toml",
        (project / "studies" / "one.toml").read_text(encoding="utf-8"),
    )
    found = []
    for metrics, directions in (
        (BOTH, '["minimize", "maximize"]'),
        ('["validation/frame_accuracy", "validation/phone_error_rate"]', '["maximize", "minimize"]'),
    ):
        path.write_text(several(metrics, directions)(text), encoding="utf-8")
        found.append(config.load_study("one"))
    assert found[0].identity != found[1].identity
    assert list(found[1].study.objectives.items()) == [
        ("validation/frame_accuracy", "maximize"),
        ("validation/phone_error_rate", "minimize"),
    ]
    assert "metric" not in found[0].study.told() and "metrics" in found[0].study.told()


def test_a_second_form_of_judging_left_the_studies_of_the_first_as_they_were(project):
    """Keys that a study does not use are not in its identity: its trials were recorded before there were
    any.
    """
    told = config.load_study("one").study.told(*config.NOT_OF_IDENTITY)
    assert sorted(told) == [
        "ablation",
        "direction",
        "metric",
        "prune_after_epochs",
        "prune_direction",
        "prune_on",
        "sampler_seed",
        "search",
    ]


def test_every_untold_setting_counts_in_the_identity(project):
    """Whatever the family's schema has: only swept settings and those that train nothing leave a study as
    it is.
    """
    file = config.load_study("one")
    for path, value in config.flatten(file.raw).items():
        raw = config.override(file.raw, {path: "changed" if value != "changed" else "again"})
        other = config.StudyFile(
            file.name,
            file.path,
            file.study,
            config.ExperimentFile("one", file.path, raw, file.experiment.settings, {}),
        )
        free = path in file.study.search or path in ("description", "seeds") or path.startswith("limits.")
        assert (other.identity == file.identity) is free, path


def test_two_studies_of_one_text_are_two(project):
    (project / "studies" / "two.toml").write_text(STUDY, encoding="utf-8")
    (project / "experiments" / "two.toml").write_text(EXPERIMENT, encoding="utf-8")
    assert len({config.load_study(*names).identity for names in (("one",), ("two",), ("one", "two"))}) == 3


# ---------------------------------------------------------------- scores that the file names itself


SCENES = (PROJECT / "experiments" / "multitask_scenes.toml").read_text(encoding="utf-8")
SCENES_STUDY = (PROJECT / "studies" / "multitask_scenes.toml").read_text(encoding="utf-8")


@pytest.fixture
def scenes(tmp_path, monkeypatch) -> Callable[..., config.StudyFile]:
    """Write multitask_scenes and its study, edited; the study as it is read."""
    for folder in ("experiments", "studies"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path)

    def load(experiment: Edit = str, study: Edit = str) -> config.StudyFile:
        Path("experiments/multitask_scenes.toml").write_text(experiment(SCENES), encoding="utf-8")
        Path("studies/multitask_scenes.toml").write_text(study(SCENES_STUDY), encoding="utf-8")
        return config.load_study("multitask_scenes")

    return load


def test_a_table_of_scores_decides_what_is_reported(scenes):
    file = scenes()
    assert list(config.scores(file.raw)) == list(file.experiment.settings.scores)
    first = next(iter(file.experiment.settings.scores))
    other = scenes(add("scores", 'activity_loss = "minimize"'))
    assert next(iter(config.scores(other.raw))) == "activity_loss" != first
    # the family's, where the file names none
    assert config.scores({"model": "ctc"}) == config.family("settings", "ctc").SCORES


def test_a_table_of_scores_is_no_part_of_what_is_trained(scenes):
    """The same trainings and the same study, whatever is reported of them."""
    file, other = scenes(), scenes(add("scores", 'activity_loss = "minimize"'))
    assert (
        config.scored_settings(file.raw) == config.scored_settings(other.raw)
        and config.trained_settings(file.raw) == config.trained_settings(other.raw)
        and file.identity == other.identity
    )
    assert not [path for path in config.scored_settings(file.raw) if path.startswith("scores")]
    assert "heads.event.weight" in config.scored_settings(file.raw)
    with pytest.raises(
        UserError, match=r"scores\.event_accuracy does not affect training: remove it from the search"
    ):
        scenes(study=append('scores.event_accuracy = { choices = ["maximize", "minimize"] }\n'))


@pytest.mark.parametrize(
    ("swept", "space"),
    [
        ("heads.activity.weight", "{ low = 0.1, high = 3.0, log = true }"),
        ("heads.event.weight", "{ low = 0.1, high = 3.0 }"),
        ("coupling.agreement.weight", "{ choices = [0.0, 1.0] }"),
        ("balancing.method", '{ choices = ["fixed", "uncertainty"] }'),
    ],
)
def test_a_loss_does_not_judge_where_its_own_weights_are_swept(swept, space, scenes):
    def only(text: str) -> str:
        return re.split(r"(?m)^\[search\]", text)[0] + f"[search]\n{swept} = {space}\n"

    def by_loss(text: str) -> str:
        return put("direction", '"minimize"')(put("metric", '"validation/loss"')(only(text)))

    assert scenes(study=only).study.search.keys() == {swept}
    with pytest.raises(UserError, match=f"losses are not comparable while {re.escape(swept)} is swept"):
        scenes(study=by_loss)
    swept = "optimizer.learning_rate"
    space = "{ low = 1e-5, high = 1e-1, log = true }"
    assert scenes(study=by_loss).study.metric == "validation/loss"  # nothing that a loss is made of
