"""Setting paths, keys, and edits in place that keep every other byte."""

import copy
import json
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiomtl import config
from audiomtl.errors import UserError
from tests.settings.files import EXPERIMENT

# ---------------------------------------------------------------- paths, keys


def test_flatten_and_override_undo_each_other():
    raw = tomllib.loads(EXPERIMENT)
    flat = config.flatten(raw)
    assert flat["ablation.unscaled.features.scaling"] == "none" and flat["seeds"] == raw["seeds"]
    assert config.override({}, flat) == raw


def test_override_leaves_its_argument_alone():
    raw = tomllib.loads(EXPERIMENT)
    kept = copy.deepcopy(raw)
    new = config.override(
        raw, {"network.dropout": 0.5, "ablation.unscaled.features.scaling": "minmax", "new.table.key": 1}
    )
    assert raw == kept
    assert new["network"]["dropout"] == 0.5 and new["ablation"]["unscaled"]["features"]["scaling"] == "minmax"
    assert new["new"] == {"table": {"key": 1}}
    new["limits"]["seconds"] = "x"
    assert raw == kept


def test_digest_is_of_values_not_of_their_spelling():
    assert config.digest({"a": 5.0, "b": [1e-6, True]}) == config.digest({"b": (1e-6, True), "a": 5})
    assert (
        len(
            {
                config.digest(value)
                for value in (
                    {"a": 1},
                    {"a": 1.5},
                    {"a": "1"},
                    {"a": True},
                    {"a": [1]},
                    {"b": 1},
                    {"a": None},
                )
            }
        )
        == 7
    )
    assert config.digest({"a": [1, 2]}) == "0bf464f8d802"  # for good: recorded studies are found by such keys


# ---------------------------------------------------------------- editing

EXACT = """\
# what it is
seeds = [ 1,2 ]   # kept as it stands
name    = 'single quotes'  # comment

[optimizer]          # of all layers
learning_rate = 0.02     # up to 0.1
  clipnorm=5             # no space, indented
nesterov = true
decay = 1e-6

units = [
    64,   # first
    32,
]

# about the ablation
[ablation.adam]  # as good as it gets
optimizer.name = "adam"   # the point
features.scaling = "none"

# about the next one
[ablation.frames]
network.objective = "frames"
"""


@pytest.mark.parametrize(
    ("table", "values", "old", "new"),
    [
        (
            "",
            {"optimizer.learning_rate": 0.014563004479356975},
            "= 0.02     #",
            "= 0.014563004479356975     #",
        ),
        ("", {"optimizer.learning_rate": 1e-6}, "= 0.02 ", "= 1e-6 "),
        ("", {"optimizer.learning_rate": 3e22}, "= 0.02 ", "= 3e22 "),
        ("", {"optimizer.clipnorm": 0.0}, "  clipnorm=5   ", "  clipnorm=0.0   "),
        ("", {"optimizer.nesterov": False}, "nesterov = true", "nesterov = false"),
        ("", {"optimizer.decay": 0}, "decay = 1e-6", "decay = 0"),
        ("", {"name": 'a "quoted" word'}, "'single quotes'  #", '"a \\"quoted\\" word"  #'),
        ("", {"seeds": [3, 4, 5]}, "[ 1,2 ]   #", "[3, 4, 5]   #"),
        ("", {"optimizer.units": [100, 100]}, "[\n    64,   # first\n    32,\n]", "[100, 100]"),
        ("ablation.adam", {"optimizer.name": "sgd"}, '"adam"   #', '"sgd"   #'),
        ("ablation.adam", {"features.scaling": "minmax"}, 'scaling = "none"', 'scaling = "minmax"'),
        ("ablation.frames", {"network.objective": "ctc"}, '"frames"\n', '"ctc"\n'),
        # new lines: below their siblings, else last in the table, before the comment that belongs to the next
        (
            "ablation.adam",
            {"optimizer.learning_rate": 1e-3},
            "# the point\n",
            "# the point\noptimizer.learning_rate = 0.001\n",
        ),
        (
            "ablation.adam",
            {"network.units": [64]},
            'scaling = "none"\n',
            'scaling = "none"\nnetwork.units = [64]\n',
        ),
        (
            "ablation.frames",
            {"optimizer.nesterov": False},
            'objective = "frames"\n',
            'objective = "frames"\noptimizer.nesterov = false\n',
        ),
        (
            "ablation.adam",
            {"optimizer.learning_rate": 0.5, "optimizer.decay": 0.0},
            "# the point\n",
            "# the point\noptimizer.decay = 0.0\noptimizer.learning_rate = 0.5\n",
        ),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_an_edit_keeps_every_other_byte(table, values, old, new, end):
    assert EXACT.count(old) == 1
    assert config.edit(EXACT.replace("\n", end), values, table) == EXACT.replace(old, new).replace("\n", end)


@pytest.mark.parametrize(
    ("text", "new"),
    [
        ('[ablation.a.optimizer]\nname = "adam"', '[ablation.a.optimizer]\nname = "adam"\ndecay = 0.5\n'),
        (
            '[ablation.a.optimizer]\nname = "adam"\n[b]\n',
            '[ablation.a.optimizer]\nname = "adam"\ndecay = 0.5\n[b]\n',
        ),
        (
            '[ablation]\na.optimizer.name = "adam"\n',
            '[ablation]\na.optimizer.name = "adam"\na.optimizer.decay = 0.5\n',
        ),
        (
            "[ ablation.a ] # x\nu = [\n  [1],\n  [2],\n]\n",
            "[ ablation.a ] # x\nu = [\n  [1],\n  [2],\n]\noptimizer.decay = 0.5\n",
        ),
        ("[ablation.a]\n\n[b]\n", "[ablation.a]\noptimizer.decay = 0.5\n\n[b]\n"),
    ],
)
def test_a_new_key_finds_its_table(text, new):
    assert config.edit(text, {"optimizer.decay": 0.5}, "ablation.a") == new


def test_an_edit_that_cannot_be_is_refused():
    with pytest.raises(
        UserError,
        match=(
            r"ablation.a.optimizer.decay = 0.5: this line cannot be inserted automatically: add it to the file by hand"
        ),
    ):
        config.edit("ablation = { a = { x = 3 } }\n", {"optimizer.decay": 0.5}, "ablation.a")
    with pytest.raises(UserError, match="must be a number, text"):
        config.edit("a = 1\n", {"a": None})


FINITE = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.one_of(
    st.booleans(), st.integers(-(2**62), 2**62), FINITE, st.text(st.characters(exclude_categories=["Cs"]))
)
VALUES = st.one_of(
    SCALARS,
    st.lists(st.integers(-9, 9), max_size=4),
    st.lists(FINITE, max_size=3),
    st.lists(st.text("aß\"\\'\n#=[]"), max_size=3),
)
PATHS = sorted(
    config.flatten({key: value for key, value in tomllib.loads(EXPERIMENT).items() if key != "ablation"})
)


@given(
    st.dictionaries(st.sampled_from(PATHS), VALUES, max_size=5), st.sampled_from(["", "ablation.unscaled"])
)
def test_what_is_edited_reads_back(values, table):
    old = tomllib.loads(EXPERIMENT)
    # lines end with \n alone: Python would also split at U+0085 and its like, which TOML has in a text as
    # they are
    new = config.edit(EXPERIMENT, values, table)
    wanted = config.override(
        old, {f"{table}.{path}" if table else path: value for path, value in values.items()}
    )
    # of the same types, too
    assert json.dumps(tomllib.loads(new), sort_keys=True) == json.dumps(wanted, sort_keys=True)
    assert [line for line in EXPERIMENT.split("\n") if line.startswith("#")] == [
        line for line in new.split("\n") if line.startswith("#")
    ]
    assert all(line[0] not in " \t" for line in new.split("\n") if line)
    if not table:  # nothing but the changed lines changes
        assert len(new.split("\n")) == len(EXPERIMENT.split("\n"))
        touched = {path.rpartition(".")[2] for path in values}
        pairs = zip(EXPERIMENT.split("\n"), new.split("\n"), strict=True)
        assert {before.split(" ")[0] for before, after in pairs if before != after} <= touched
