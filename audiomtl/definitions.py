"""Key of the code and packages that a computation depends on; results with another key are computed again.

A *definition* is a function, a class or a name assigned at the top of a module. `key` starts from some
definitions, follows every name in them to what it means, through imports and re-exports, and hashes each
definition together with the hashes of what its names mean. So a changed constant, default, decorator,
property or import changes the key. Moving a definition to another file does not, and neither do comments,
layout, docstrings, annotations of functions, texts of errors and ``Field(description=...)``. Statements that
run when a reached module is imported count too. Of packages from elsewhere the versions count, and those of
all packages that they require.

The source is read, never imported. Code that is looked up by a name at run time (a family, a data set) cannot
be seen here: the caller names it among the roots.

Contents: `key`, `reached`, `versions`.
"""

import ast
import hashlib
import importlib.metadata
import importlib.util
import json
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from packaging.requirements import Requirement

from audiomtl.normal_form import _is_text, _names, _Normal, _Unannotated

DRAWING = ("audiomtl.pictures",)  # computes no number
AT_IMPORT = "<import>"  # the statements of a module that define no name, as one definition

Node = tuple[str, str]  # (module, name of a definition in it)


def key(roots: Iterable[str], *, folders: Mapping[str, Path] | None = None) -> str:
    """First 12 hexadecimal digits of a SHA-256 over all definitions and packages that some definitions reach.

    Parameters
    ----------
    roots : dotted names of definitions (``audiomtl.data.features.extract``) or of whole modules; a name that
        does not exist adds nothing.
    folders : top-level package -> folder to read it from instead of the installed one.
    """
    return _key(sorted(set(roots)), folders) if folders else _installed_key(tuple(sorted(set(roots))))


@cache
def _installed_key(roots: tuple[str, ...]) -> str:
    return _key(roots, {})


def _key(roots: Sequence[str], folders: Mapping[str, Path]) -> str:
    hashes, packages = reached(roots, folders=folders)
    python = f"python {sys.version_info.major}.{sys.version_info.minor}"
    text = [
        *sorted(set(hashes.values())),
        *(f"{name} {version}" for name, version in versions(packages).items()),
        python,
    ]
    return hashlib.sha256("\n".join(text).encode()).hexdigest()[:12]


def reached(
    roots: Iterable[str], *, folders: Mapping[str, Path] | None = None
) -> tuple[dict[str, str], set[str]]:
    """What `key` covers; compare two of these to see why two keys differ.

    Returns
    -------
    hashes : {dotted name of a definition: hash of it and of all that it reaches}
    packages : top-level packages from elsewhere
    """
    source = _Source(folders or {}, {"audiomtl", *(root.split(".")[0] for root in roots)})
    texts: dict[Node, str] = {}
    meanings: dict[Node, list[tuple[str, Node]]] = {}  # definition -> (name in it, what the name means)
    todo = [node for root in sorted(roots) for node in source.resolve(root)]
    while todo:
        node = todo.pop()
        if node in texts:
            continue
        statements = source.statements(node)
        texts[node] = "\n".join(statement.text for statement in statements)
        names = sorted(
            {(name, dotted) for statement in statements for name, dotted in source.names(node[0], statement)}
        )
        meanings[node] = [(name, target) for name, dotted in names for target in source.resolve(dotted)]
        todo += [target for _, target in meanings[node]]
        todo += [(module, AT_IMPORT) for module in source.imported_with(node[0])]
    hashes = _refined(texts, meanings)
    return {".".join(node): hashes[node] for node in sorted(hashes) if texts[node]}, source.packages


def _refined(texts: Mapping[Node, str], meanings: Mapping[Node, list[tuple[str, Node]]]) -> dict[Node, str]:
    """Hash of every definition with all that it reaches.

    Each round hashes a definition's text with the last round's hashes of its names' meanings, until no round
    tells more of them apart (colour refinement): definitions may use one another in circles.
    """
    hashes = {node: hashlib.sha256(text.encode()).hexdigest() for node, text in texts.items()}
    different = -1
    while different < len(set(hashes.values())):
        different = len(set(hashes.values()))
        hashes = {
            node: (
                hashlib.sha256(
                    "\n".join(
                        [text, *sorted({f"{name} {hashes[to]}" for name, to in meanings[node]})]
                    ).encode()
                ).hexdigest()
            )
            for node, text in texts.items()
        }
    return hashes


# ---------------------------------------------------------------- modules and what their names mean


@dataclass(frozen=True)
class _Statement:
    """One statement at the top of a module, in normal form."""

    text: str
    names: tuple[str, ...]  # that it uses, with attributes: ``np.linalg.norm``
    imports: dict[str, str]  # made inside it: local name -> dotted name


@dataclass
class _Module:
    imports: dict[str, str] = field(default_factory=dict)  # local name -> dotted name
    stars: list[str] = field(default_factory=list)  # modules of ``from ... import *``
    imported: set[str] = field(default_factory=set)  # dotted names that are imported when the module is
    # name -> statements that make or change it
    definitions: dict[str, list[_Statement]] = field(default_factory=dict)


@dataclass
class _Source:
    """Where modules are read from, and those that were read."""

    folders: Mapping[str, Path]
    own: Collection[str]  # top-level packages that are hashed by their source, whatever their version
    modules: dict[str, _Module | None] = field(default_factory=dict)
    packages: set[str] = field(default_factory=set)  # from elsewhere

    def resolve(self, dotted: str) -> list[Node]:
        """The definitions that a dotted name means; all of a module's where it is the name of a module."""
        parts = dotted.split(".")
        if not self._is_own(parts[0]):
            return []
        for end in range(len(parts), 0, -1):  # the longest beginning that is a module
            name = ".".join(parts[:end])
            if (module := self._module(name)) is None:
                continue
            if end == len(parts):
                return [(name, definition) for definition in module.definitions]
            first, rest = parts[end], parts[end + 1 :]
            if first in module.definitions:
                return [(name, first)]
            targets = (
                [module.imports[first]]
                if first in module.imports
                else [f"{star}.{first}" for star in module.stars]
            )
            found = [
                node
                for target in targets
                if target != dotted
                for node in self.resolve(".".join([target, *rest]))
            ]
            return found or ([(name, "__getattr__")] if "__getattr__" in module.definitions else [])
        return []

    def statements(self, node: Node) -> list[_Statement]:
        module = self._module(node[0])
        return module.definitions.get(node[1], []) if module else []

    def names(self, name: str, statement: _Statement) -> Iterator[tuple[str, str]]:
        """(name as written, dotted name that it may mean) of a statement in the module ``name``."""
        module = self._module(name)
        assert module is not None
        for written in statement.names:
            first, _, rest = written.partition(".")
            imported = statement.imports.get(first) or module.imports.get(first)
            targets = [imported] if imported else []
            if first in module.definitions:
                targets.append(f"{name}.{first}")
            for target in targets or [f"{star}.{first}" for star in module.stars]:
                yield written, f"{target}.{rest}" if rest else target

    def imported_with(self, name: str) -> set[str]:
        """Own modules that are imported when the module ``name`` is, itself included.

        Notes the packages from elsewhere.
        """
        found: set[str] = set()
        todo = [name]
        while todo:
            parts = todo.pop().split(".")
            if not self._is_own(parts[0]):
                continue
            for end in range(1, len(parts) + 1):
                part = ".".join(parts[:end])
                if part not in found and (module := self._module(part)) is not None:
                    found.add(part)
                    todo += module.imported
        return found

    def _module(self, name: str) -> _Module | None:
        if name not in self.modules:
            path = None if name.startswith(DRAWING) else self._path(name)
            self.modules[name] = _read(path, name) if path else None
        return self.modules[name]

    def _path(self, name: str) -> Path | None:
        """The file of an own module, found without importing its package."""
        root, *rest = name.split(".")
        place = self.folders.get(root) or _place(root)
        if place is None or (not rest and place.is_file()):
            return place
        place = place.joinpath(*rest)
        return next(
            (path for path in (place / "__init__.py", place.with_name(f"{place.name}.py")) if path.is_file()),
            None,
        )

    def _is_own(self, root: str) -> bool:
        if root in sys.stdlib_module_names:
            return False
        if root in self.own or root in self.folders or not _released(root):
            return True
        self.packages.add(root)
        return False


def _place(root: str) -> Path | None:
    """Folder of a top-level package, or file of a top-level module."""
    spec = importlib.util.find_spec(root)
    if spec is None:
        return None
    folders = list(spec.submodule_search_locations or [])
    return (
        Path(folders[0])
        if folders
        else Path(spec.origin)
        if spec.origin and spec.origin.endswith(".py")
        else None
    )


# ---------------------------------------------------------------- reading a file


def _read(path: Path, name: str) -> _Module:
    module, package = _Module(), name if path.name == "__init__.py" else name.rpartition(".")[0]
    for statement in ast.parse(path.read_bytes()).body:
        condition = ast.unparse(statement.test) if isinstance(statement, ast.If) else ""
        if "__name__" in condition or _is_text(statement):  # a script's own part; a docstring
            continue
        for inner in _at_import(statement):
            if isinstance(inner, ast.Import | ast.ImportFrom):
                made = _imports(inner, package)
                module.stars += [
                    dotted.removesuffix(".*") for dotted in made.values() if dotted.endswith(".*")
                ]
                module.imports |= {local: dotted for local, dotted in made.items() if local != "*"}
                names = [one.name for one in inner.names] if isinstance(inner, ast.Import) else made.values()
                module.imported |= (
                    set() if "TYPE_CHECKING" in condition else {one.removesuffix(".*") for one in names}
                )
        if not isinstance(statement, ast.Import | ast.ImportFrom) and "TYPE_CHECKING" not in condition:
            defined = _defined(statement, module.definitions)
            if not defined or (hasattr(statement, "body") and not hasattr(statement, "name")):
                defined.add(AT_IMPORT)  # an if, for, try or with that defines names may do more
            for one in defined:
                module.definitions.setdefault(one, []).append(_statement(statement, package))
    return module


def _statement(statement: ast.stmt, package: str) -> _Statement:
    imports: dict[str, str] = {}
    for inner in ast.walk(statement):
        if isinstance(inner, ast.Import | ast.ImportFrom):
            imports |= _imports(inner, package)
    plain = _Normal().visit(statement)
    names = tuple(sorted(_names(plain)))  # also those of annotations: a property is read of what they name
    return _Statement(ast.dump(_Unannotated().visit(plain) or ast.Pass()), names, imports)


def _imports(statement: ast.Import | ast.ImportFrom, package: str) -> dict[str, str]:
    """{local name: dotted name that it stands for}."""
    if isinstance(statement, ast.Import):
        return {
            one.asname or one.name.split(".")[0]: one.name if one.asname else one.name.split(".")[0]
            for one in statement.names
        }
    above = package.split(".")[: len(package.split(".")) - statement.level + 1] if statement.level else []
    base = ".".join([*above, *([statement.module] if statement.module else [])])
    return {one.asname or one.name: f"{base}.{one.name}" for one in statement.names}


def _at_import(statement: ast.stmt) -> Iterator[ast.AST]:
    """A statement and those inside it that run when its module is imported: not the bodies of functions."""
    yield statement
    if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        for child in ast.iter_child_nodes(statement):
            if isinstance(child, ast.stmt | ast.ExceptHandler):
                yield from _at_import(child)  # type: ignore[arg-type]


def _defined(statement: ast.stmt, before: Collection[str]) -> set[str]:
    """Names that a statement defines, or changes (``TABLE["a"] = 1``, ``TABLE.append(1)``) where they are
    among those defined before.
    """
    found: set[str] = set()
    for inner in _at_import(statement):
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(inner.name)
            continue
        parts: list[ast.AST | None] = (
            [inner.value] if isinstance(inner, ast.Expr) and isinstance(inner.value, ast.Call) else []
        )
        parts += [getattr(inner, "target", None), *getattr(inner, "targets", [])]
        for part in parts:
            for node in ast.walk(part) if part is not None else []:
                if isinstance(node, ast.Name) and (isinstance(node.ctx, ast.Store) or node.id in before):
                    found.add(node.id)
    return found


# ---------------------------------------------------------------- packages from elsewhere


@cache
def _distributions() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


@cache
def _released(root: str) -> bool:
    """Whether a top-level package is installed from a release, whose version tells its content.

    Not from a folder that is edited.
    """
    names = _distributions().get(root, [])
    editable = False
    for name in names:
        text = importlib.metadata.distribution(name).read_text("direct_url.json")
        editable |= bool(text and json.loads(text).get("dir_info", {}).get("editable"))
    return bool(names) and not editable


@cache
def _required(name: str) -> tuple[str, ...]:
    """Names of the installed distributions that one requires, itself first."""
    found: dict[str, None] = {}
    todo = [(name, "")]
    while todo:
        one, extra = todo.pop()
        try:
            distribution = importlib.metadata.distribution(one)
        except importlib.metadata.PackageNotFoundError:
            continue
        found[distribution.name] = None
        for text in distribution.requires or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                todo += [
                    (requirement.name, part)
                    for part in ("", *requirement.extras)
                    if (requirement.name, part) not in found
                ]
    return tuple(found)


def versions(packages: Iterable[str]) -> dict[str, str]:
    """{distribution: version} of installed top-level packages and of all that they require."""
    names = {
        one for package in packages for name in _distributions().get(package, []) for one in _required(name)
    }
    return {name: importlib.metadata.version(name) for name in sorted(names)}
