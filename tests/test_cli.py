"""The command: help that a newcomer understands, at once.

A slip is one line and exit code 2; a bug is seen whole.
"""

import json
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer

import audiomtl
from audiomtl import cli, harness
from audiomtl.cli import runs
from audiomtl.errors import MissingData, UserError
from tests.command import run

PROJECT = Path(__file__).parents[1]
# typer itself reads options with pydantic
HEAVY = {
    "tensorflow",
    "keras",
    "mlflow",
    "sklearn",
    "pandas",
    "librosa",
    "numpy",
    "optuna",
    "matplotlib",
    "rich",
    "scipy",
}
COMMANDS = [
    "ablations",
    "align",
    "best",
    "check",
    "clean",
    "data",
    "evaluate",
    "export",
    "new",
    "predict",
    "price",
    "promote",
    "report",
]
COMMANDS += ["status", "study", "transcribe", "ui", "verify"]


@pytest.fixture
def raising(monkeypatch):
    """The command with one more subcommand, `slip`, that raises what it is given."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.registered_commands, app.registered_callback = (
        list(cli.app.registered_commands),
        cli.app.registered_callback,
    )
    errors = []

    @app.command()
    def slip() -> None:
        raise errors[0]

    monkeypatch.setattr(cli, "app", app)
    return errors


# ---------------------------------------------------------------- help


def test_help_of_every_command_imports_nothing_heavy():
    """In one process, one after another: what any of them imported would still be there."""
    code = (
        "import json, sys\nfrom audiomtl import cli\ntexts = []\n"
        f"for words in ([], ['--help'], *([name, '--help'] for name in {COMMANDS})):\n"
        "    sys.argv = ['audiomtl', *words]\n"
        "    try:\n        cli.main()\n    except SystemExit as end:\n        print(f'<{end.code}>')\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd="/", capture_output=True, text=True, check=True)
    *lines, modules = done.stdout.splitlines()
    assert done.stderr == "" and lines.count("<0>") == len(COMMANDS) + 2
    assert set(json.loads(modules)) & HEAVY == set()


def test_all_commands_are_known(monkeypatch, capsys):
    code, out, err = run(monkeypatch, capsys, "--help")
    assert (code, err) == (0, "")
    listed = re.findall(
        r"^  ([a-z]+)  +(\S.*)$", out.partition("Commands:")[2].partition("\n\n")[0], re.MULTILINE
    )
    assert sorted(name for name, _ in listed) == COMMANDS
    assert [text for _, text in listed if text.endswith("...")] == [], "a summary is cut off"
    assert run(monkeypatch, capsys)[:2] == (0, out)


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("audiomtl pr", ["promote", "predict", "price"]),
        ("audiomtl best quick", ["quickstart"]),
        ("audiomtl study ctc_german_s", ["ctc_german_sgd"]),
        ("audiomtl report zz", []),
        ("audiomtl n", ["new"]),
    ],
)
def test_a_shell_completes_commands_and_names(words, offered, monkeypatch, capsys):
    monkeypatch.chdir(PROJECT)
    for name, value in {
        "_AUDIOMTL_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }.items():
        monkeypatch.setenv(name, value)
    code, out, err = run(monkeypatch, capsys)
    assert (code, out.split(), err) == (0, offered, "")


def test_a_command_of_earlier_versions_works_and_is_in_no_list(monkeypatch, capsys):
    assert len(COMMANDS) == 18
    code, out, _ = run(monkeypatch, capsys, "notes", "--help")
    assert code == 0 and out.strip().startswith("Usage: audiomtl notes")
    assert not re.search(r"^ *(audiomtl )?notes\b", run(monkeypatch, capsys, "--help")[1], re.MULTILINE)


@pytest.mark.parametrize("words", [["--version"], ["--version", "study"]])
def test_the_version_is_printed(words, monkeypatch, capsys):
    assert run(monkeypatch, capsys, *words) == (0, f"audiomtl {audiomtl.__version__}\n", "")


def test_python_m_audiomtl_is_the_command(monkeypatch, capsys):
    def module(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "audiomtl", *words], cwd=PROJECT, capture_output=True, text=True
        )

    assert module("--version").stdout == f"audiomtl {audiomtl.__version__}\n"
    assert module("--help").stdout == run(monkeypatch, capsys, "--help")[1]
    wrong = module("zzz")
    assert (wrong.returncode, wrong.stderr) == (2, "audiomtl: no such command 'zzz'; see audiomtl --help\n")


def test_there_is_one_version_and_reading_it_imports_nothing():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" in project["project"]["dynamic"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "audiomtl.__version__"}
    assert f"## {audiomtl.__version__}" in (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")
    code = (
        "import sys\nbefore = set(sys.modules)\nimport audiomtl\nprint(audiomtl.__version__,"
        " sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{audiomtl.__version__} ['audiomtl']\n"


def test_a_swallowed_ctrl_c_comes_again(monkeypatch):
    """As when it falls into the callback of a weak reference, where Python can only print it."""
    monkeypatch.setattr(sys, "unraisablehook", cli._ctrl_c_again)

    class Swallows:
        def __del__(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Swallows()
        time.sleep(600)  # until it comes


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            [],
            [
                "folder of the project",
                "study NAME",
                "promote NAME",
                "best NAME --record",
                "AUDIOMTL_DATA",
                "AUDIOMTL_RUNS",
                "AUDIOMTL_CACHE",
            ],
        ),
        (["check"], ["experiments/", "studies/", "Trains nothing"]),
        (
            ["data"],
            [
                *("Corpora", "AUDIOMTL_DATA", "Published", "data fetch yamnet` downloads", "Default: all"),
                *("every seed", "exits with code 1"),
            ],
        ),
        (
            ["study"],
            [
                "studies/",
                "Ctrl-C",
                "the same command resumes it",
                "MLflow",
                "--slots",
                "--storage",
                "--experiment",
                "runs/optuna.db",
            ],
        ),
        (["promote"], ["best trial", "Comments are kept", "[expected]", "--to FOLDER"]),
        (
            ["best"],
            ["every seed", "--record", "[expected]", "exits with code 1", "--again", "skipped", "--exact"],
        ),
        (
            ["ablations"],
            ["[ablation.*]", "validation", "paired", "--curve", "--fractions", "runs/report"],
        ),
        (["report"], ["Markdown", "runs/report", "--readme"]),
        (["export"], ["SavedModel", "TFLite", "README.md", "--seed"]),
        (
            ["predict"],
            ["--stream", "--threshold", "--over-time", "--to", "Audacity", "exits with code 1"],
        ),
        (["ui"], ["127.0.0.1", "MLflow", "--port"]),
        (["price"], ["time"]),
    ],
)
def test_help_says_what_a_newcomer_needs(words, told, monkeypatch, capsys):
    code, out, err = run(monkeypatch, capsys, *words, "--help")
    text = " ".join(out.split())
    assert (code, err) == (0, "")
    assert [part for part in told if part not in text] == []
    assert max(map(len, out.splitlines())) <= 80


# ---------------------------------------------------------------- slips


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["stuy"], "audiomtl: no such command 'stuy'. Did you mean 'study', 'status'?; see audiomtl --help"),
        (["zzz"], "audiomtl: no such command 'zzz'; see audiomtl --help"),
        (["--loud"], "audiomtl: no such option: --loud; see audiomtl --help"),
        (
            ["study"],
            "audiomtl: missing argument 'NAME': studies/ contains one, two; see audiomtl study --help",
        ),
        (
            ["promote"],
            "audiomtl: missing argument 'NAME': studies/ contains one, two; see audiomtl promote --help",
        ),
        (
            ["best"],
            "audiomtl: missing argument 'NAME': experiments/ contains no files; see audiomtl best --help",
        ),
        (["study", "a", "b"], "audiomtl: got unexpected extra argument(s) (b); see audiomtl study --help"),
        (
            ["study", "--slotz", "3", "a"],
            "audiomtl: no such option: --slotz (Possible options: --slots); see audiomtl study --help",
        ),
        (
            ["study", "--slots", "x", "a"],
            "audiomtl: invalid value for '--slots': must be a whole number; see audiomtl study --help",
        ),
        (
            ["best", "--slots", "0", "a"],
            (
                "audiomtl: invalid value for '--slots': must be greater than or equal to 1; see audiomtl best"
                " --help"
            ),
        ),
        (
            ["ablations", "a", "--fractions", "0.5"],
            "audiomtl: invalid value: --fractions needs --curve; see audiomtl ablations --help",
        ),
        (
            ["ablations", "a", "--curve", "--core"],
            (
                "audiomtl: invalid value: --curve draws the ablations of --beside, not those of --core; see"
                " audiomtl ablations --help"
            ),
        ),
        (["best", "a", "--slots"], "audiomtl: option '--slots' requires an argument; see audiomtl --help"),
        (
            ["ui", "--port", "99999"],
            (
                "audiomtl: invalid value for '--port': must be less than or equal to 65535; see audiomtl ui"
                " --help"
            ),
        ),
        (
            ["study", "tow"],
            "audiomtl: studies/tow.toml: no such file; did you mean two?; studies/ contains: one, two",
        ),
        (["best", "one"], "audiomtl: experiments/one.toml: no such file; experiments/ contains: no files"),
        (
            ["check"],
            (
                "audiomtl: {here}: no experiments/*.toml in this folder; run audiomtl in the folder of the"
                " project"
            ),
        ),
        (
            ["data"],
            (
                "audiomtl: {here}: no experiments/*.toml in this folder; run audiomtl in the folder of the"
                " project"
            ),
        ),
    ],
)
def test_a_slip_is_one_line(words, line, tmp_path, monkeypatch, capsys):
    (tmp_path / "studies").mkdir()
    for name in ("one", "two"):
        (tmp_path / "studies" / f"{name}.toml").touch()
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, capsys, *words) == (2, "", line.format(here=tmp_path) + "\n")


def test_a_slip_is_one_line_for_the_real_command(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "audiomtl", "study", "x"], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "audiomtl: studies/x.toml: no such file; studies/ contains: no files\n"


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (UserError("here: this"), 2, "audiomtl: here: this\n"),
        (UserError("two\nlines\x1b[0m"), 2, "audiomtl: two\\nlines\\x1b[0m\n"),
        (UserError("Größe ɡʁøːsə"), 2, "audiomtl: Größe ɡʁøːsə\n"),
        (MissingData("no data"), 2, "audiomtl: no data\n"),
        (typer.Exit(1), 1, ""),
        (typer.Exit(0), 0, ""),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_exit_codes(error, code, line, raising, monkeypatch, capsys):
    raising.append(error)
    assert run(monkeypatch, capsys, "slip") == (code, "", line)


@pytest.mark.parametrize(
    "error", [ValueError("a bug"), KeyError("a bug"), AttributeError("a bug"), OSError("a bug")]
)
def test_a_bug_is_seen_whole(error, raising, monkeypatch):
    raising.append(error)
    monkeypatch.setattr(sys, "argv", ["audiomtl", "slip"])
    with pytest.raises(type(error), match="a bug"):
        cli.main()


@pytest.mark.parametrize("name", ["best", "ablations"])
@pytest.mark.parametrize("well", [True, False])
def test_scores_that_do_not_come_back_are_exit_code_1(name, well, monkeypatch, capsys):
    """`make best-NAME` fails by this code alone."""
    monkeypatch.chdir(PROJECT)
    monkeypatch.setattr(runs, "fit_to_train", lambda *_: None)
    monkeypatch.setattr(harness, name, SimpleNamespace(**{name: lambda *_, **__: well}), raising=False)
    # the real one imports mlflow
    monkeypatch.setitem(sys.modules, f"audiomtl.harness.{name}", getattr(harness, name))
    assert run(monkeypatch, capsys, name, "quickstart")[0] == (0 if well else 1)


@pytest.mark.parametrize("name", ["best", "ablations"])
def test_an_experiment_without_its_data_is_skipped_with_a_line(name, monkeypatch, capsys):
    def absent(*_: object) -> None:
        raise MissingData("data/emodb: not there")

    monkeypatch.chdir(PROJECT)
    monkeypatch.setattr(runs, "fit_to_train", absent)
    assert run(monkeypatch, capsys, name, "quickstart") == (
        0,
        "quickstart: skipped: data/emodb: not there\n",
        "",
    )


@pytest.mark.parametrize("words", [["check"], ["price"], ["check", "good", "bad"]])
def test_one_broken_file_blocks_no_other(words, tmp_path, monkeypatch, capsys):
    """Nor does a family of the user that cannot be imported."""
    (tmp_path / "experiments").mkdir()
    (tmp_path / "studies").mkdir()
    text = (PROJECT / "experiments" / "quickstart.toml").read_text(encoding="utf-8")
    for name, content in (("good", text), ("bad", text.replace("units = [64]", "unit = [64]"))):
        (tmp_path / "experiments" / f"{name}.toml").write_text(content, encoding="utf-8")
    (tmp_path / "experiments" / "own.toml").write_text('model = "brokenlab.tiny"\n', encoding="utf-8")
    (tmp_path / "brokenlab").mkdir()
    (tmp_path / "brokenlab" / "__init__.py").write_text("x = (\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    code, out, err = run(monkeypatch, capsys, *words)
    assert code == 1 and ("good: 4 trainings" in out or "1 experiment " in out), out
    lines = err.splitlines()
    assert lines[0].startswith(
        "audiomtl: experiments/bad.toml: network.unit = [64]: no such setting; did you"
    )
    if len(words) == 1:
        assert lines[1].startswith("audiomtl: experiments/own: SyntaxError: ") and "line 1)" in lines[1]
    assert len(lines) == (2 if len(words) == 1 else 1)


def test_a_name_that_no_file_has_is_refused(tmp_path, monkeypatch, capsys):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "one.toml").touch()
    monkeypatch.chdir(tmp_path)
    line = "audiomtl: oen: no such file in experiments/ or studies/; did you mean one?; they contain one\n"
    assert run(monkeypatch, capsys, "check", "oen") == (2, "", line)


def test_checking_and_describing_import_no_tensorflow(tmp_path):
    """Of any family; a person waits for them many times a day."""
    code = (
        "import sys; from audiomtl import cli, config; from audiomtl.data import preflight\n"
        "sys.argv = ['audiomtl', 'check']\n"
        "try: cli.main()\nexcept SystemExit as end: print(end.code)\n"
        "for name in config.families(): preflight._own(name); config.family('new', name)\n"
        "print(sorted({'tensorflow', 'keras', 'mlflow', 'optuna', 'sklearn'} & {*sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-2:] == ["0", "[]"], done.stderr
