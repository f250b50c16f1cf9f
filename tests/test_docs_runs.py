"""Every command of README and docs/ is run: the blocks of a page in their order, in a project of small
experiments (`tests.sandbox`).

`tests.pages` says how comments on a page leave blocks to `make long`, or out with a reason.
"""

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.pages import COMMANDS, PAGES, PROJECT, RUN, Block, blocks, commands
from tests.sandbox import Sandbox, write_sources

pytestmark = pytest.mark.slow
TO_RUN = {page: [block for block in blocks(page) if block.language in RUN] for page in PAGES}
NOTEBOOKS = sorted((PROJECT / "docs").glob("[a-z]*/*.ipynb"))
MOST_SKIPPED = 30  # blocks


def mode(block: Block) -> str:
    """How a block is run: now, long, skip; file where the reader writes one; read for a part of such a file."""
    for name in ("skip", "long"):
        if name in block.marks:
            return name
    if block.file:
        return "file"
    return "read" if block.language == "toml" else "now"


def pages_with(name: str) -> list[Path]:
    return [page for page, found in TO_RUN.items() if any(mode(block) == name for block in found)]


def ids(path: Path) -> str:
    return str(path.relative_to(PROJECT))


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> Path:
    return write_sources(tmp_path_factory.mktemp("sources") / "sounds")


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("docs_cache")


@pytest.fixture
def sandbox(tmp_path, sources, cache):
    box = Sandbox(tmp_path / "project", sources, cache)
    yield box
    box.close()


@pytest.mark.parametrize("page", pages_with("now"), ids=ids)
def test_every_short_block_works(page, sandbox):
    for block in TO_RUN[page]:
        if mode(block) in ("now", "file"):
            sandbox.run(block)


@pytest.mark.long
@pytest.mark.parametrize("page", pages_with("long"), ids=ids)
def test_every_block_works(page, sandbox):
    if any("make quickstart" in commands(block) for block in TO_RUN[page] if block.language in COMMANDS):
        sandbox.ship("quickstart")
    for block in TO_RUN[page]:
        if mode(block) in ("now", "file", "long"):
            sandbox.run(block)


@pytest.mark.long
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=ids)
def test_every_cell_of_a_notebook_works(notebook, sandbox):
    if notebook.stem == "use-a-model":  # asserts that the model predicts something: it has to learn
        sandbox.ship("quickstart")
    sandbox.run_notebook(notebook)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=ids)
def test_notebooks_are_kept_without_outputs(notebook):
    found = json.loads(notebook.read_text(encoding="utf-8"))
    assert found["nbformat"] == 4 and len({cell["id"] for cell in found["cells"]}) == len(found["cells"])
    assert all(cell["outputs"] == [] for cell in found["cells"] if cell["cell_type"] == "code")


def test_few_blocks_are_skipped_and_each_has_a_reason():
    """``pytest -s`` prints them."""
    every = [block for found in TO_RUN.values() for block in found]
    skipped = [(block, block.marks["skip"][0]) for block in every if mode(block) == "skip"]
    print(f"\n{dict(Counter(map(mode, every)))}")
    for block, reason in skipped:
        print(f"{block}: {reason}")
    assert len(skipped) <= MOST_SKIPPED
