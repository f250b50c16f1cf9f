"""Pages of the documentation, and their fenced blocks as a test reads them.

Every block has a language. Those of `COMMANDS` (``bash``: commands alone; ``console``: commands after ``$``,
and what they print), ``python`` and ``toml`` are read by `tests.test_docs_blocks`, and run by it in the order
of the page. Comments in front of a block say how it is run, one each:

``<!-- test: long -->``            only in `make long`
``<!-- test: skip REASON -->``     not run; the reason is printed with the number of such blocks
``<!-- test: file PATH -->``       the block is what the reader writes into this file
``<!-- test: into PATH -->``       the tables of the block replace, or join, those of this file
``<!-- test: first COMMAND -->``   what the reader has done before: a command, or docs/PAGE.md for its files
``<!-- test: exit N -->``          the exit status of the last command; also ``exit N or M``
``<!-- test: server -->``          a server that runs until the end of the page
``<!-- test: page MARK ... -->``   the mark for all blocks of the page that follow and have none of their own

Contents: `Block`, `blocks`, `commands`, `words`, `made`, `PAGES`, `DOCS`, `PROJECT`, `COMMANDS`, `RUN`.
"""

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = Path(__file__).parents[1]
BUILT = {"_build", "api"}  # folders that `make docs` writes
DOCS = sorted(path for path in (PROJECT / "docs").rglob("*.md") if not BUILT & set(path.parts))
PAGES = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *DOCS]
COMMANDS = ("bash", "console")
RUN = (*COMMANDS, "python", "toml")  # languages of blocks that are run, or have a reason why not
MARKS = ("long", "skip", "file", "into", "first", "exit", "server")  # and "page" in front of the first two
FENCE = re.compile(r"^( *)```(\S*)$")
_MODES = {"long", "skip", "file", "into"}
MARK = re.compile(r"^ *<!-- test: (\w+) ?(.*?) -->$")


@dataclass(frozen=True)
class Block:
    """A fenced block: where it begins, its language, its text without indentation, and its marks."""

    page: Path
    line: int
    language: str
    text: str
    marks: dict[str, list[str]] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.page.relative_to(PROJECT) if PROJECT in self.page.parents else self.page}:{self.line}"

    @property
    def file(self) -> str:
        """The file that the reader writes with it, or changes, or ""."""
        return self.marks.get("file", self.marks.get("into", [""]))[0]


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page, in order."""
    found: list[Block] = []
    marks: dict[str, list[str]] = {}
    of_page: dict[str, list[str]] = {}
    inside: tuple[int, str, str] | None = None
    text: list[str] = []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fence = FENCE.match(line)
        if inside is None:
            if mark := MARK.match(line):
                name, detail = mark[1], mark[2]
                if name == "page":
                    name, _, detail = detail.partition(" ")
                    of_page = {name: [detail]}
                else:
                    marks.setdefault(name, []).append(detail)
            elif fence:
                inside, text = (number, fence[1], fence[2]), []
            elif line.strip():
                marks = {}
        elif fence and not fence[2]:
            start, indent, language = inside
            whole = "".join(f"{each.removeprefix(indent)}\n" for each in text)
            found.append(
                Block(page, start, language, whole, marks if _MODES & marks.keys() else of_page | marks)
            )
            inside, marks = None, {}
        else:
            text.append(line)
    assert inside is None, f"{page}: a block is not closed"
    return found


def commands(block: Block) -> list[str]:
    """The commands of a block, each with its continued and quoted lines, without what they print."""
    lines = block.text.replace("\\\n", " ").splitlines()
    if block.language == "console":
        return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    found: list[str] = []
    for line in lines:
        if found and not _whole(found[-1]):
            found[-1] += f"\n{line}"
        elif line.strip() and not line.startswith("#"):
            found.append(line)
    return found


def _whole(command: str) -> bool:
    """Whether its quotes are closed."""
    try:
        shlex.split(command, comments=True)
    except ValueError:
        return False
    return True


def made(page: list[Block]) -> set[str]:
    """Names of experiments and studies that the reader of a page makes on it."""
    names = {Path(block.file).stem for block in page if block.file.endswith(".toml")}
    for block in page:
        for command in commands(block) if block.language in COMMANDS else ():
            names |= set(re.findall(r"audiomtl new (\w+)", command))
            names |= set(re.findall(r"^cp .*experiments/(\w+)\.toml$", command))
    return names


def words(command: str) -> list[str]:
    """The words of a command line as a shell sees them, without assignments in front and comments."""
    split = shlex.split(command, comments=True)
    while split and re.match(r"[A-Z_]+=", split[0]):
        split = split[1:]
    return split
