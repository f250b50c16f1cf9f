"""Fenced blocks of README and docs/ are read: every command, option, file, setting and name in them exists.

`tests.pages` says what a block is and how comments in front of it mark it; `tests.test_docs_runs` runs them.
"""

import ast
import importlib.util
import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pytest
import typer

import audiomtl
from audiomtl import cli
from audiomtl.settings import reference
from tests.pages import COMMANDS, MARKS, PAGES, PROJECT, RUN, Block, blocks, commands, made, words

LANGUAGES = {*RUN, "text", "ini", "nginx", "{toctree}", "{results}"}
OTHERS = {"export", "curl", "cp", "sed", "source"}  # programs of the reader's own
SERVERS = {"createuser", "createdb", "psql", "nginx", "printf", "chmod", "squeue"}  # of cluster.md
VARIABLES = {"SLOTS", "EXACT", "TIER", "ONLY", "PYTHON"}  # of the Makefile
STANDS_FOR = {"NAME", "mine"}  # any experiment
BY_NAME = (
    "study",
    "promote",
    "best",
    "verify",
    "ablations",
    "report",
    "export",
    "predict",
    "transcribe",
    "align",
)
BY_NAME += ("notes", "evaluate", "data", "status", "price")
page = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(PROJECT)))


# ---------------------------------------------------------------- commands


@cache
def command_line() -> Any:
    return typer.main.get_command(cli.app)


def audiomtl_faults(arguments: list[str], known: set[str]) -> Iterator[str]:
    """What `audiomtl ARGUMENTS` would be refused for before any work: command, options, names."""
    if not arguments or arguments == ["--version"] or "--help" in arguments:
        return
    name, *rest = arguments
    if name not in command_line().commands:
        yield f"audiomtl has no command {name}"
        return
    try:
        context = command_line().commands[name].make_context(name, list(rest))
    except Exception as error:  # click's; typer may bring its own click
        said = error.format_message() if hasattr(error, "format_message") else str(error)
        yield f"audiomtl {name}: {said}"
        return
    if rest[:1] == ["fetch"] and name == "data":
        return
    if name in BY_NAME or (name == "check" and not context.params.get("settings")):
        given = context.params.get("names") or context.params.get("name") or context.params.get("model") or []
        for each in [given] if isinstance(given, str) else given:
            if (
                re.fullmatch(r"\w+", str(each))
                and str(each) not in known
                and not re.fullmatch(r"[0-9a-f]{32}", each)
            ):
                yield f"audiomtl {name}: no experiment, study or folder {each}"


def make_faults(arguments: list[str]) -> Iterator[str]:
    text = (PROJECT / "Makefile").read_text(encoding="utf-8")
    for word in arguments:
        variable, assigned, _ = word.partition("=")
        if assigned:
            if variable not in VARIABLES or (f"$({variable})" not in text and f"{variable} ?=" not in text):
                yield f"make: no variable {variable}"
        elif not re.search(rf"^{word}:(?!=)", text, re.MULTILINE):
            kind = word.partition("-")[0]  # study-NAME: `test_docs` looks at the name
            if not re.search(rf"^{kind}-%:", text, re.MULTILINE):
                yield f"make: no target {word}"


def command_faults(command: str, known: set[str]) -> list[str]:
    """Reasons why a command line cannot work."""
    program, *arguments = words(command) or [""]
    program = program.removeprefix(".venv/bin/")
    if program == "audiomtl":
        return list(audiomtl_faults(arguments, known))
    if program == "make":
        return list(make_faults(arguments))
    if program == "python":
        files = [word for word in arguments if "/" in word and word.endswith(".py")]
        return [f"no file {file}" for file in files if not (PROJECT / file).is_file()]
    if program == "mlflow":
        return [] if arguments[:2] in (["models", "serve"], ["server", "--host"]) else [f"mlflow {arguments}"]
    return [] if program in OTHERS | SERVERS else [f"unknown program {program}"]


def unreachable(page: list[Block]) -> list[str]:
    """Commands that a shell would not find: neither in .venv/bin/, nor after the environment was activated."""
    found, active = [], False
    for block in page:
        for command in commands(block) if block.language == "bash" else ():
            active |= command.strip() == "source .venv/bin/activate"
            if (words(command) or [""])[0] in ("audiomtl", "python", "mlflow") and not active:
                found.append(f"{block}: {command}")
    return found


def names_on(page: list[Block]) -> set[str]:
    """Names that a page may use: shipped experiments and studies, those made on it, and exported folders."""
    names = {path.stem for kind in ("experiments", "studies") for path in (PROJECT / kind).glob("*.toml")}
    for block in page:
        for command in commands(block) if block.language in COMMANDS else ():
            names |= set(re.findall(r"audiomtl export \w+ (\w+)", command))
    return names | made(page) | STANDS_FOR


@page
def test_every_block_has_a_language_and_marks_that_exist(page):
    for block in blocks(page):
        assert block.language in LANGUAGES, f"{block}: {block.language or 'no language'}"
        assert block.marks.keys() <= set(MARKS), f"{block}: {block.marks}"
        assert all(block.marks.get("skip", ["?"])), f"{block}: skip needs a reason"


@page
def test_every_command_exists_with_its_options_and_names(page):
    found = blocks(page)
    known = names_on(found)
    faults = [
        f"{block}: {command}: {fault}"
        for block in found
        if block.language in COMMANDS
        for command in commands(block)
        for fault in command_faults(command, known)
    ]
    assert faults == []


@page
def test_every_command_is_found_by_a_shell(page):
    assert unreachable(blocks(page)) == []


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        (".venv/bin/audiomtl best mine --record  # a comment", ""),
        ("audiomtl best mine --recrod", "No such option: --recrod"),
        ("audiomtl bset mine", "no command bset"),
        ("audiomtl best absent_one", "no experiment, study or folder absent_one"),
        ("audiomtl align mine", "Missing argument"),
        ("audiomtl predict models:/mine@champion a.wav", ""),
        ("make study-mine SLOTS=1", ""),
        ("make stduy-mine", "no target stduy-mine"),
        ("make test SLOT=1", "no variable SLOT"),
        ("python benchmarks/absent.py", "no file benchmarks/absent.py"),
        ("audiomlt best mine", "unknown program audiomlt"),
    ],
)
def test_wrong_commands_are_found(command, fault):
    found = command_faults(command, STANDS_FOR)
    assert fault in "".join(found) and bool(found) is bool(fault)


def test_the_reference_lists_every_command_and_options_that_exist():
    text = (PROJECT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `audiomtl (\w+)[^`]*` \|(.+)\|$", text, re.MULTILINE)
    shown = [name for name, one in command_line().commands.items() if not one.hidden]
    assert sorted({name for name, _ in rows}) == sorted(shown)
    wrong = []
    for name, row in rows:
        known = {option for one in command_line().commands[name].params for option in one.opts}
        wrong += [f"{name} {option}" for option in re.findall(r"`(--[a-z-]+)", row) if option not in known]
    assert wrong == []


def test_the_reference_lists_every_make_target():
    text = (PROJECT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    targets = {
        name.replace("%", "NAME") for name in re.findall(r"^([a-z][a-z%-]*):(?!=)", makefile, re.MULTILINE)
    }
    of_the_project = {"help", "lock"}  # `make` alone; CONTRIBUTING.md
    assert {name for name in targets - of_the_project if f"`make {name}`" not in text} == set()


# ---------------------------------------------------------------- settings


@cache
def settings_known() -> frozenset[str]:
    """Paths of every setting of every family, data set and study; NAME stands for any name."""
    paths = {row.path for name in reference.names() for row in reference.rows(name)}
    paths |= {row.path for row in reference.beside()}
    return frozenset(re.sub(r"\bNAME\b", "*", path) for path in paths)


def leaves(table: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            yield from leaves(value[0], f"{prefix}{key}.")
        else:
            yield prefix + key


def toml_faults(text: str, own: set[str]) -> list[str]:
    """Keys of a TOML block that are no setting, bar those that Python blocks of its page define (``own``)."""
    raw = tomllib.loads(text)
    paths = [
        path
        for path in leaves({key: value for key, value in raw.items() if key not in ("search", "expected")})
    ]
    paths += [path for path in leaves(raw.get("search", {})) if path]
    found = []
    for path in paths:
        plain = re.sub(r"^ablation\.\w+\.(?!core$|curve$|question$)", "", path)
        if path in leaves(raw.get("search", {})):
            plain = re.sub(r"\.(low|high|log|step|choices|when\..*)$", "", plain)
        forms = {plain, f"data.{plain}"}  # lines of [data] alone
        parts = plain.split(".")
        forms |= {".".join([*parts[:n], "*", *parts[n + 1 :]]) for n in range(1, len(parts))}
        if not forms & settings_known() and parts[-1] not in own:
            found.append(plain)
    return found


@page
def test_every_setting_of_a_toml_block_exists(page):
    found = blocks(page)
    own = {
        word
        for block in found
        if block.language == "python"
        for word in re.findall(r"^ +(\w+): ", block.text, re.MULTILINE)
    }
    faults = {str(block): toml_faults(block.text, own) for block in found if block.language == "toml"}
    assert {block: paths for block, paths in faults.items() if paths} == {}


def test_wrong_settings_are_found():
    text = '[optimizer]\nlearning_rat = 0.1\n[ablation.a]\nfeatures.scalling = "none"\n[search]\nheads.x.wieght = { low = 1 }\n'
    assert toml_faults(text, set()) == ["optimizer.learning_rat", "features.scalling", "heads.x.wieght"]


# ---------------------------------------------------------------- Python


def defined(module: str) -> set[str] | None:
    """Names at the top of a module of audiomtl, without importing it; None where there is no such module."""
    path = PROJECT.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not file.is_file():
        return None
    names = {each.stem for each in path.glob("*")} if path.is_dir() else set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.alias):
            names.add((node.asname or node.name).split(".")[0])
    return names


def python_faults(text: str) -> list[str]:
    """Names of audiomtl that a Python block uses and that do not exist."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("audiomtl"):
            there = defined(str(node.module))
            lacking = [str(node.module)] if there is None else []
            lacking += [
                f"{node.module}.{each.name}" for each in node.names if each.name not in (there or set())
            ]
            found += lacking
        elif isinstance(node, ast.Import):
            found += [
                each.name
                for each in node.names
                if each.name.startswith("audiomtl.") and defined(each.name) is None
            ]
        elif (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "audiomtl"
        ):
            found += [f"audiomtl.{node.attr}"] if node.attr not in audiomtl.__all__ else []
    return found


@page
def test_every_name_in_a_python_block_exists(page):
    faults = {str(block): python_faults(block.text) for block in blocks(page) if block.language == "python"}
    assert {block: names for block, names in faults.items() if names} == {}


def test_the_reference_of_python_has_every_public_function():
    text = (PROJECT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
    names = set(audiomtl.__all__) - {"Model", "__version__"}
    assert {name for name in names if f"`audiomtl.{name}(" not in text} == set()
    methods = set(re.findall(r"`model\.(\w+)\(", text))
    assert len(methods) > 5 and methods <= set(method_names("harness/use/trained.py", "Model"))


def method_names(file: str, name: str) -> list[str]:
    """Methods and properties of a class of the package, without importing it."""
    tree = ast.parse((PROJECT / "audiomtl" / file).read_text(encoding="utf-8"))
    [found] = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name]
    return [node.name for node in found.body if isinstance(node, ast.FunctionDef)]


def test_wrong_names_are_found():
    text = "import audiomtl\nfrom audiomtl.data import audoi, audio\nfrom audiomtl.absent import x\naudiomtl.laod('x')\n"
    assert python_faults(text) == [
        "audiomtl.data.audoi",
        "audiomtl.absent",
        "audiomtl.absent.x",
        "audiomtl.laod",
    ]
    assert importlib.util.find_spec("audiomtl.data.audio")
