"""The Makefile: its lists come from the files themselves, and a new experiment or study has its targets
at once.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(folder: Path, *words: str) -> str:
    """What make prints in a folder; it must end well."""
    done = subprocess.run(
        ["make", "--no-print-directory", *words], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr, done.stderr  # such as two recipes for one target
    return done.stdout


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Makefile, experiments and studies only; .venv counts as built."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("experiments", "studies"):
        shutil.copytree(PROJECT / name, folder / name)
    shutil.copy(PROJECT / "Makefile", folder)
    for name in ("requirements.lock", "pyproject.toml", ".venv/.ready"):  # in order of age
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    return folder


def targets() -> set[str]:
    """Every target of the Makefile but files and special ones."""
    text = (PROJECT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][a-z%-]*):(?!=)", text, re.MULTILINE))


def test_make_lists_every_target_with_a_word_about_it_on_one_screen():
    lines = make(PROJECT).splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 80
    listed = {
        words[0].replace("NAME", "%") for line in lines if len(words := line[9:].split(maxsplit=1)) == 2
    }
    assert listed == targets() - {"help"}
    assert lines[0].startswith("start    quickstart ") and lines[1].startswith(" " * 9 + "list ")
    wanted = (
        "quickstart list test check data study-% promote-% best-% ablations-% best ablations reproduce report"
        " ui bench lock docs clean"
    )
    assert listed >= set(wanted.split())


def test_make_list_has_every_experiment_and_study_within_80_columns():
    out = make(PROJECT, "list")
    assert max(map(len, out.splitlines())) <= 80
    listed = {block.split(maxsplit=1)[0]: block.split(maxsplit=1)[1] for block in re.split(r"\n(?=\S)", out)}
    for path in [*PROJECT.glob("experiments/*.toml"), *PROJECT.glob("studies/*.toml")]:
        description = re.search(r'^description = "(.*)"', path.read_text(encoding="utf-8"), re.MULTILINE)
        assert description
        assert " ".join(listed[f"{path.parent.name}/{path.name}"].split()) == " ".join(description[1].split())


def test_a_new_file_is_listed_and_has_targets_without_an_edit(copy):
    before = make(copy, "list")
    assert "zither" not in before
    (copy / "experiments" / "zither.toml").write_text(
        '# new\ndescription = "A new sound."\nx = 1\n', encoding="utf-8"
    )
    (copy / "studies" / "zither_wide.toml").write_text('description = "A new sweep."\n', encoding="utf-8")
    new = [
        line.split(maxsplit=1) for line in make(copy, "list").splitlines() if line not in before.splitlines()
    ]
    assert new == [["experiments/zither.toml", "A new sound."], ["studies/zither_wide.toml", "A new sweep."]]
    assert "audiomtl best zither" in make(copy, "-n", "best-zither")
    assert "zither" not in make(copy, "-n", "best")  # of recorded experiments
    with (copy / "experiments" / "zither.toml").open("a", encoding="utf-8") as file:
        file.write("[expected.recorded]\n")
    assert "audiomtl best zither" in make(copy, "-n", "best")
    assert "audiomtl ablations zither" in make(copy, "-n", "ablations")


@pytest.mark.parametrize(
    ("target", "command"),
    [
        ("study-quickstart", "study quickstart"),
        ("study-some_new-name", "study some_new-name"),
        ("promote-quickstart", "promote quickstart"),
        ("best-quickstart", "best quickstart"),
        ("ablations-quickstart", "ablations quickstart"),
        ("data", "data"),
        ("report", "report --readme"),
        ("ui", "ui"),
    ],
)
def test_a_target_is_one_command(target, command, copy):
    assert [" ".join(line.split()) for line in make(copy, "-n", target).splitlines()] == [
        f".venv/bin/audiomtl {command}"
    ]


def test_slots_are_passed_on(copy):
    assert make(copy, "-n", "study-quickstart", "SLOTS=3").split() == [
        ".venv/bin/audiomtl",
        "study",
        "quickstart",
        "--slots",
        "3",
    ]


def test_the_quickstart_writes_into_runs_only_and_ends_with_what_comes_next(copy):
    *lines, last = make(copy, "-n", "quickstart").splitlines()
    words = [line.split("audiomtl ")[1].split()[0] for line in lines]
    assert words == ["study", "promote", "best", "best", "ablations", "report"]
    assert all("runs/quickstart" in line for line in lines[1:]), "a tracked file would be written"
    assert lines[0].startswith("AUDIOMTL_HINTS=off "), "it takes the next steps itself"
    assert last.startswith('echo "make ui: ')


def test_best_leaves_the_quickstart_out(copy):
    assert "quickstart" not in make(copy, "-n", "best", "ablations")


@pytest.mark.parametrize(
    "target",
    ["quickstart", "test", "check", "data", "study-a", "promote-a", "best-a", "ablations-a", "report", "ui"],
)
def test_the_environment_is_built_first_and_once(target, copy):
    (copy / ".venv" / ".ready").unlink()
    lines = [line.split() for line in make(copy, "-n", target).splitlines()]
    builds = [index for index, line in enumerate(lines) if line[1:3] == ["-m", "venv"]]
    uses = [
        index
        for index, line in enumerate(lines)
        if line[0].startswith(".venv/bin/") and "install" not in line
    ]
    assert len(builds) == 1 and builds[0] < min(uses)
    assert any(
        {"--require-hashes", "--only-binary", ":all:", "-r", "requirements.lock"} <= set(line)
        for line in lines
    )


def test_docs_have_an_environment_of_their_own(copy):
    (copy / "requirements-docs.lock").touch()
    lines = [line.split() for line in make(copy, "-n", "docs").splitlines()]
    assert not any(word.startswith(".venv/") for line in lines for word in line)
    assert any(
        {"--require-hashes", "--only-binary", ":all:", "-r", "requirements-docs.lock"} <= set(line)
        for line in lines
    )
    assert lines[-1] == [
        ".venv-docs/bin/sphinx-build",
        "-W",
        "--keep-going",
        "-b",
        "html",
        "docs",
        "docs/_build/html",
    ]
