"""The rules, and that the machinery tells a mutant that tests notice from one that they do not."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.mutants.rules import RULES, mutants_of
from tests.mutants.run import HERE, chosen, targets_of

PROJECT = HERE.parents[1]
EQUIVALENT = tomllib.loads((HERE / "equivalent.toml").read_text(encoding="utf-8"))["equivalent"]


@pytest.mark.parametrize(
    ("rule", "source", "changes"),
    [
        ("comparison", "a < b", ["a < b -> (a <= b)"]),
        ("comparison", "x if a not in b else y", ["a not in b -> (a in b)"]),
        ("arithmetic", "a - b * c", ["a - b * c -> ((a) + (b * c))", "b * c -> ((b) / (c))"]),
        ("arithmetic", "'a' + b", []),
        ("constant", "f(0, 1.5, True, None)", ["0 -> 1", "1.5 -> 3.0", "True -> False"]),
        ("logic", "a and not b", ["a and (not b) -> ((a) or (not b))", "not b -> (b)"]),
        ("condition", "if ready: go()", ["ready -> (not (ready))"]),
        ("extreme", "tf.maximum(a, min(b))", ["tf.maximum -> tf.minimum", "min -> max"]),
        ("axis", "x.sum(axis=-1)", ["-1 -> 0"]),
        ("mask", "tf.where(mask, x, 0)", ["tf.where(mask, x, 0) -> (x)"]),
        ("mask", "x * valid[:, 0]", ["x * valid[:, 0] -> (x)"]),
        ("mask", "x * weight", []),
        ("sides", "fit(examples['train'])", ["examples['train'] -> sum(examples.values(), [])"]),
        ("part", "key = [a, b]", ["[a, b] -> [a]", "[a, b] -> [b]"]),
        ("part", "key = {'a': 1}", ["{'a': 1} -> {}"]),
    ],
)
def test_rules(rule, source, changes) -> None:
    found = [f"{one.before} -> {one.after}" for one in mutants_of("x.py", source, rules=[rule])]
    assert found == changes


def test_what_computes_nothing_is_left_and_names_do_not_depend_on_lines() -> None:
    source = 'def f(x: "1 < 2" = 3) -> 4:\n    """1 + 2"""\n    raise ValueError(f"{1 + 2}", 3)\n'
    assert mutants_of("x.py", source) == []
    one = "class A:\n    def f(self):\n        return 'ü', 1 < x\n"
    [first], [second] = (
        mutants_of("x.py", above + one, rules=["comparison"]) for above in ("", "# above\n\n")
    )
    assert first.name == second.name and second.line == first.line + 2
    assert first.name == "x.py A.f: 1 < x -> (1 <= x)"
    assert [two.name[-12:] for two in mutants_of("x.py", "f(0, 0)", rules=["constant"])] == [
        "x.py : 0 -> 1"[-12:],
        "1 (number 2)",
    ]
    assert first.applied(one.encode()).decode() == one.replace("1 < x", "(1 <= x)")


def test_every_target_has_mutants_and_tests_and_every_equivalent_one_is_still_a_mutant() -> None:
    targets, _ = targets_of(HERE / "targets.toml")
    left, listed = [], []
    for target in targets:
        assert set(target.rules) <= RULES.keys()
        assert all(
            (PROJECT / one.partition("::")[0]).is_file() for one in target.tests if one.startswith("tests/")
        )
        some, known = chosen(target, PROJECT, [one["mutant"] for one in EQUIVALENT])
        assert some, target.file
        left, listed = left + some, listed + known
    assert len(left) >= 120 and len({one.name for one in left} & {one.name for one in listed}) == 0
    assert {one["mutant"] for one in EQUIVALENT} == {one.name for one in listed}
    assert all(len(one["reason"]) > 20 for one in EQUIVALENT)


def test_a_survivor_is_found_and_named(tmp_path: Path) -> None:
    """The tests of a tiny project notice that a minimum became a maximum, and not that 10 became 11."""
    (tmp_path / "audiomtl").mkdir()
    (tmp_path / "tests").mkdir()
    code = "def least(values):\n    return min([10, *values])\n"
    test = "from audiomtl.least import least\n\n\ndef test_least():\n    assert least([2, 1]) == 1\n"
    (tmp_path / "audiomtl" / "least.py").write_text(code)
    (tmp_path / "tests" / "test_least.py").write_text(test)
    (tmp_path / "targets.toml").write_text(
        '[[target]]\nfile = "audiomtl/least.py"\ntests = ["tests/test_least.py"]\n'
    )
    words = ["--project", tmp_path, "--targets", tmp_path / "targets.toml"]
    command = [sys.executable, "-m", "tests.mutants", *map(str, words)]
    (tmp_path / "equivalent.toml").write_text("equivalent = []\n")
    command += ["--equivalent", str(tmp_path / "equivalent.toml")]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "50.0 % killed" in done.stdout and done.stdout.count("survived:") == 1
    assert "survived: audiomtl/least.py:2 least (constant): 10 -> 11" in done.stdout
    assert (tmp_path / "audiomtl" / "least.py").read_text() == code
