"""Every setting is described.

What the chosen kinds do not use may be left out, what they use may not; `audiomtl check --settings` lists all.
"""

import re
from pathlib import Path
from typing import get_args

import pytest

from audiomtl import config
from audiomtl.errors import UserError
from audiomtl.settings import reference
from audiomtl.settings.datasets import dataset, datasets
from audiomtl.settings.expected import Expected
from audiomtl.settings.family import families, family, settings_class
from audiomtl.settings.fields import known_paths, settings_in
from audiomtl.settings.shared import Features, Optimizer
from audiomtl.settings.study import Study
from audiomtl.settings.table import Table, used_values
from tests.command import run
from tests.settings.files import PROJECT

OWNERS = {
    **{name: family("settings", name).Settings for name in families()},
    **{name: dataset(name).Settings for name in datasets()},
    "study": Study,
    "expected": Expected,
}
ADAM = {
    **{"name": "adam", "learning_rate": 0.1, "decay": 0.0, "clipnorm": 0.0, "global_clipnorm": 0.0},
    "schedule": "constant",
}


def tables(schema: type[Table]) -> set[type[Table]]:
    """A class of settings and those of all tables in it."""
    found, todo = {schema}, [field.annotation for field in schema.model_fields.values()]
    while todo:
        annotation = todo.pop()
        if isinstance(annotation, type) and issubclass(annotation, Table):
            found |= tables(annotation)
        todo += get_args(annotation)
    return found


@pytest.mark.parametrize("owner", OWNERS)
def test_every_setting_has_a_description(owner):
    for table in tables(OWNERS[owner]):
        for name, field in table.model_fields.items():
            text = field.description or ""
            assert text and text.endswith(".") and len(text) <= 200, f"{table.__name__}.{name}: {text!r}"


def test_all_tables_are_looked_at():
    assert {"Head", "Coupling", "Balancing", "Protocol", "Limits"} <= {
        table.__name__ for table in tables(OWNERS["multitask"])
    }
    assert {"Dimension"} <= {table.__name__ for table in tables(Study)}


# ---------------------------------------------------------------- used and unused


def test_a_key_that_the_kind_does_not_use_may_be_left_out_or_stand():
    short = Optimizer.model_validate(ADAM)
    assert short.momentum is None and short.plateau_factor is None
    assert Optimizer.model_validate(ADAM | {"momentum": 0.9}).momentum == 0.9
    whole = ADAM | {"warmup_steps": 0}
    assert used_values(short) == used_values(Optimizer.model_validate(ADAM | {"momentum": 0.9})) == whole


@pytest.mark.parametrize(
    ("experiment", "changes", "message"),
    [
        (
            "multitask_timit",
            {"optimizer.name": "sgd"},
            'optimizer.momentum is missing: it is needed with name = "sgd"; add it',
        ),
        (
            "multitask_timit",
            {"features.kind": "mfcc"},
            'features.coefficients is missing: it is needed with kind = "mfcc"; add it',
        ),
        (
            "multitask_timit",
            {"encoder.kind": "harmonic"},
            'encoder.shift_bands is missing: it is needed with kind = "harmonic"; add it',
        ),
        (
            "ctc_german",
            {"network.objective": "frames_then_ctc"},
            "network.frames_share is missing: it is needed with objective",
        ),
        (
            "mil_songs",
            {"protocol.leaky": True},
            "protocol.test_share is missing: it is needed with leaky = true; add it",
        ),
        (
            "mil_songs",
            {"protocol.kind": "split"},
            'protocol.column is missing: it is needed with kind = "split"; add it',
        ),
        (
            "transfer_dog_cat",
            {"fine_tune.blocks": 1},
            "fine_tune.rate_share is missing: it is needed with blocks = 1; add it",
        ),
        (
            "transfer_esc10_logistic",
            {"head.kind": "dense"},
            'head.hidden is missing: it is needed with kind = "dense"; add it',
        ),
        (
            "transfer_esc10_logistic",
            {"extractor.kind": "statistics"},
            'extractor.patch_seconds is missing: it is needed with kind = "stat',
        ),
        (
            "fusion_pictures",
            {"join.kind": "weighted"},
            'join.learn_weights is missing: it is needed with kind = "weighted"',
        ),
        (
            "fusion_pictures",
            {"join.kind": "weighted", "join.learn_weights": True},
            'modalities.picture.weight is missing: it is needed with join.kind = "weighted"; add it',
        ),
    ],
)
def test_a_key_that_is_used_and_missing_is_refused_in_one_line(experiment, changes, message):
    raw = config.load_experiment(str(PROJECT / "experiments" / f"{experiment}.toml")).raw
    if experiment == "mil_songs":
        raw["protocol"] = {
            key: raw["protocol"][key]
            for key in ("kind", "leaky", "test_values", "validation_values", "rotations")
        }
    with pytest.raises(UserError, match=f"^here: {re.escape(message)}") as caught:
        config.settings_of(config.override(raw, changes), "here")
    assert "\n" not in str(caught.value)


def test_whole_tables_that_no_kind_uses_may_be_left_out():
    settings = config.load_experiment(str(PROJECT / "experiments" / "transfer_esc10_logistic.toml")).settings
    assert settings.optimizer is None and settings.features is None


def test_features_of_a_kind_are_the_same_whatever_stands_unused(monkeypatch):
    raw = config.load_experiment(str(PROJECT / "experiments" / "ctc_german.toml")).raw["features"]
    raw = {name: value for name, value in raw.items() if name not in ("bands", "low_hz", "high_hz")}
    raw["kind"] = "log_stft"
    assert used_values(Features.model_validate(raw)) == used_values(
        Features.model_validate(raw | {"bands": 80, "low_hz": 60.0})
    )


@pytest.mark.parametrize("path", sorted((PROJECT / "experiments").glob("*.toml")), ids=lambda path: path.stem)
def test_a_shipped_file_has_no_key_that_nothing_in_it_or_in_its_studies_uses(path):
    """Neither its own kinds, nor those of an ablation, nor of a trial."""
    file = config.load_experiment(str(path))
    known = known_paths(settings_class(file.raw, "here"), file.raw)
    switches = {
        other for setting in known.values() for condition in setting.conditions for other in condition
    }
    studies = [file_.read_text(encoding="utf-8") for file_ in (PROJECT / "studies").glob("*.toml")]
    swept = {
        name
        for name in switches
        for text in studies
        if f'experiment = "{path.stem}"' in text and f"\n{name} = " in text
    }
    for name in config.flatten(file.raw):
        if not known[name].conditions:
            continue
        used = False
        for arm in ["", *file.ablations]:
            flat = config.flatten(config.settings_of(file.arm(arm), "here").model_dump(mode="json"))
            for condition in known[name].conditions:
                used |= all(
                    holds(flat.get(other), wanted) or (other in swept and not arm)
                    for other, wanted in condition.items()
                )
        assert used, f"{path}: {name} is used by nothing: remove it"


def holds(value, wanted) -> bool:
    if wanted == "above 0":
        return value is not None and value > 0
    return value in wanted if isinstance(wanted, tuple) else value == wanted


@pytest.mark.parametrize("path", sorted((PROJECT / "experiments").glob("*.toml")), ids=lambda path: path.stem)
def test_a_shipped_file_can_be_read(path):
    flat = config.flatten(config.load_experiment(str(path)).raw)
    assert sum(not one.startswith("decoding.") for one in flat) <= 76


# ---------------------------------------------------------------- the list of settings


@pytest.mark.parametrize("width", [80, 100, 140, 200])
@pytest.mark.parametrize("name", reference.names())
def test_the_list_fits_the_terminal_and_has_every_setting(name, width):
    text = reference.as_table(name, width)
    assert max(map(len, text.splitlines())) <= width
    first = {line.split("  ")[0] for line in text.splitlines()}
    assert {row.path for row in reference.rows(name)} <= first


def test_the_list_says_type_range_and_use(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "140")
    code, out, err = run(monkeypatch, capsys, "check", "--settings", "ctc")
    assert (code, err) == (0, "")
    line = next(line for line in out.splitlines() if line.startswith("optimizer.momentum"))
    assert re.split(r"  +", line) == [
        "optimizer.momentum",
        "number >= 0, < 1",
        'name = "sgd" or "rmsprop"',
        "Momentum, in [0, 1).",
    ]


def test_the_reference_has_every_setting_once(monkeypatch, capsys):
    code, out, _ = run(monkeypatch, capsys, "check", "--settings", "--markdown")
    assert code == 0 and out.startswith("# All settings\n")
    for name in families():
        for setting in settings_in(family("settings", name).Settings):
            assert setting.never or f"| `{setting.path}` |" in out
    assert out.count("| `optimizer.momentum` |") == 2  # that of transfer has a condition more


def test_the_reference_in_the_docs_is_that_of_the_code():
    path = PROJECT / "docs" / "reference" / "all-settings.md"
    assert path.read_text(encoding="utf-8") == reference.as_markdown() + "\n", (
        f"run: audiomtl check --settings --markdown > {path}"
    )


def test_an_unknown_name_is_one_line(monkeypatch, capsys):
    code, _, err = run(monkeypatch, capsys, "check", "--settings", "mill")
    assert code == 2 and err.startswith(
        "audiomtl: mill: no such family or data set; did you mean mil?; available: baseline, ctc"
    )
    assert err.count("\n") == 1


def test_nothing_is_listed_without_a_name(monkeypatch, capsys):
    assert "baseline" in run(monkeypatch, capsys, "check", "--settings")[1]


# ---------------------------------------------------------------- studies of what the file leaves out

STUDY_HEAD = """\
experiment = "mil"
description = "A study."
metric = "validation/accuracy"
direction = "maximize"
prune_on = "validation/loss"
prune_direction = "minimize"
prune_after_epochs = 3
trials = 8
sampler = "random"
sampler_seed = 1

[search]
"""


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """Load a study of mil_esc10 whose file has no key of another pooling than the mean, with this search."""
    (tmp_path / "experiments").mkdir()
    (tmp_path / "studies").mkdir()
    text = (PROJECT / "experiments" / "mil_esc10.toml").read_text(encoding="utf-8").partition("[ablation")[0]
    text = re.sub(r"\[pooling\]\n(?:[^\[\n].*\n)+", '[pooling]\nname = "mean"\nevaluation = "same"\n', text)
    Path(tmp_path / "experiments" / "mil.toml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    def load(search: str) -> config.StudyFile:
        Path("studies/mil.toml").write_text(STUDY_HEAD + search, encoding="utf-8")
        return config.load_study("mil")

    return load


UNITS = "pooling.units = { low = 8, high = 64 }\n"
WHEN = 'pooling.units = { low = 8, high = 64, when = { "pooling.name" = ["attention"] } }\n'


def test_a_study_sweeps_what_only_its_kinds_use(sweep):
    file = sweep('pooling.name = { choices = ["mean", "attention"] }\n' + WHEN)
    assert "pooling.units" not in config.flatten(file.raw) and len(file.study.search) == 2


@pytest.mark.parametrize(
    ("search", "message"),
    [
        (
            'pooling.name = { choices = ["mean", "attention"] }\n',
            (
                'search: a trial with pooling.name = "attention" would lack a setting: pooling.units is'
                " missing: it is needed with name"
            ),
        ),
        (  # the condition leaves one of the kinds out
            'pooling.name = { choices = ["mean", "attention", "lstm"] }\n' + WHEN,
            'search: a trial with pooling.name = "lstm" would lack a setting: pooling.units is missing',
        ),
        (  # a condition on something else: gated only
            (
                'pooling.name = { choices = ["mean", "attention"] }\nnetwork.loss = { choices = ["clip",'
                ' "window"] }\npooling.units = { low = 8, high = 64, when = { "pooling.name" = ["attention"],'
                ' "network.loss" = ["clip"] } }\n'
            ),
            "would lack a setting: pooling.units is missing",
        ),
        (
            'pooling.name = { choices = ["mean", "attention"] }\n' + UNITS,
            (
                "trial 0 has the settings of the experiment, which lacks pooling.units: add it, or sweep it only where"
                ' it is used, when = { "pooling.name" = ["attention", "gated_attention", "lstm"] }'
            ),
        ),
        (
            (
                'pooling.name = { choices = ["mean", "attention"] }\npooling.units = { low = 8.5, high ='
                ' 64.0, when = { "pooling.name" = ["attention"] } }\n'
            ),
            "search.pooling.units: low = 8.5: ",
        ),
        (
            'pooling.units = { low = 8, high = 64, when = { "pooling.heads" = [4] } }\n',
            (
                "search.pooling.units: when.pooling.heads = [4]: is never true: it is neither in the"
                " experiment nor swept"
            ),
        ),
        (
            "pooling.unit = { low = 8, high = 64 }\n",
            "search.pooling.unit: no such setting; did you mean pooling.units?",
        ),
    ],
)
def test_a_study_with_a_trial_that_would_lack_a_setting_is_refused(search, message, sweep):
    with pytest.raises(UserError, match=re.escape(message)):
        sweep(search)


def test_an_ablation_may_name_a_setting_that_the_file_leaves_out(sweep):
    sweep('pooling.name = { choices = ["mean", "max"] }\n')
    path = Path("experiments/mil.toml")
    text = path.read_text(encoding="utf-8")
    path.write_text(
        text + '[ablation.attention]\npooling.name = "attention"\npooling.units = 8\n', encoding="utf-8"
    )
    assert config.settings_of(config.load_experiment("mil").arm("attention"), "here").pooling.units == 8
    path.write_text(
        text + '[ablation.attention]\npooling.name = "attention"\npooling.unit = 8\n', encoding="utf-8"
    )
    with pytest.raises(
        UserError, match=r"ablation.attention.pooling.unit = 8: no such setting; did you mean pooling.units\?"
    ):
        config.load_experiment("mil")
    path.write_text(text + '[ablation.attention]\npooling.name = "attention"\n', encoding="utf-8")
    with pytest.raises(
        UserError,
        match=r'ablation\.attention: pooling\.units is missing: it is needed with name = "attention"; add it',
    ):
        config.load_experiment("mil")


def test_promoting_adds_a_setting_that_the_file_left_out(sweep):
    from audiomtl.harness.search.promote import promote

    file = sweep('pooling.name = { choices = ["mean", "attention"] }\n' + WHEN)
    done = promote(file, {"pooling.name": "attention", "pooling.units": 16})
    assert done.changed == {"pooling.name": ("mean", "attention"), "pooling.units": (None, 16)}
    assert config.load_experiment("mil").settings.pooling.units == 16
    assert '[pooling]\nname = "attention"\nevaluation = "same"\nunits = 16\n' in done.path.read_text(
        encoding="utf-8"
    )
    assert config.load_study("mil").identity == file.identity


def test_promoting_what_would_break_an_ablation_writes_nothing(sweep):
    from audiomtl.harness.search.promote import promote

    sweep('pooling.name = { choices = ["mean", "attention"] }\n' + WHEN)
    path = Path("experiments/mil.toml")
    text = path.read_text(encoding="utf-8") + '[ablation.window_loss]\nnetwork.loss = "window"\n'
    path.write_text(text, encoding="utf-8")
    file = config.load_study("mil")
    with pytest.raises(
        UserError,
        match=r"mil.toml: not valid with the settings of the trial, nothing was written: ablation.window_loss: "
        r"[^\n]*; change or remove that in the file, then promote again$",
    ):
        promote(file, {"pooling.name": "attention", "pooling.units": 16})
    assert path.read_text(encoding="utf-8") == text
    assert not promote(file, {"pooling.name": "mean"}).changed


def test_trial_0_and_samples_leave_out_what_their_kind_does_not_use(sweep):
    from audiomtl.harness.search import space

    file = sweep('pooling.name = { choices = ["mean", "attention"] }\n' + WHEN)
    assert space.encode(file, config.flatten(file.raw)) == {"pooling.name": "mean"}

    class Trial:
        def suggest_categorical(self, path, options):
            return options[1]

        def suggest_int(self, path, low, high, **_):
            return low

    assert space.suggest(Trial(), file) == {"pooling.name": "attention", "pooling.units": 8}
