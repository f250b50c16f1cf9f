"""Small faults made by rule: each a change of one expression of a source file.

Conventions: a mutant is named by file, function and change, not by its line, so that a list of mutants
outlasts edits elsewhere in the file. What computes nothing is left as it is: docstrings, annotations, the
texts of errors, f-strings, arguments of decorators, ``strict`` of zip.

Contents: `Mutant`, `mutants_of`, `RULES`.
"""

import ast
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace

Change = tuple[ast.AST, str]  # what is replaced, and by which text

COMPARISONS = {"Lt": "<=", "LtE": "<", "Gt": ">=", "GtE": ">", "Eq": "!=", "NotEq": "==", "In": "not in",
               "NotIn": "in", "Is": "is not", "IsNot": "is"}  # fmt: skip
ARITHMETIC = {"Add": "-", "Sub": "+", "Mult": "/", "Div": "*", "FloorDiv": "*", "Mod": "*", "Pow": "*",
              "BitAnd": "|", "BitOr": "&"}  # fmt: skip
EXTREMES = {"min": "max", "minimum": "maximum", "reduce_min": "reduce_max", "argmin": "argmax"}
EXTREMES |= {other: one for one, other in EXTREMES.items()}
# what says which places are a clip's own, or which tasks and modalities are there
MASKS = ("mask", "valid", "own", "present", "presence", "has", "every")


@dataclass(frozen=True)
class Mutant:
    """One change of a file."""

    file: str
    function: str  # "Class.method", or "" at the top of the module
    line: int
    rule: str
    before: str
    after: str
    start: int  # bytes of the file
    end: int
    number: int = 1  # among equal changes of a function, from top to bottom

    @property
    def name(self) -> str:
        several = f" (number {self.number})" if self.number > 1 else ""
        return f"{self.file} {self.function}: {self.before} -> {self.after}{several}"

    def applied(self, source: bytes) -> bytes:
        return source[: self.start] + self.after.encode() + source[self.end :]


def _text(node: ast.AST) -> str:
    return ast.unparse(node)


def comparison(node: ast.AST) -> Iterator[Change]:
    """< and <=, == and !=, in and not in ... exchanged."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        operator = COMPARISONS[type(node.ops[0]).__name__]
        yield node, f"({_text(node.left)} {operator} {_text(node.comparators[0])})"


def arithmetic(node: ast.AST) -> Iterator[Change]:
    """+ and -, * and /, & and | exchanged."""
    if isinstance(node, ast.BinOp) and (operator := ARITHMETIC.get(type(node.op).__name__)):
        left, right = (f"({_text(one)})" for one in (node.left, node.right))
        if not any(isinstance(one, ast.Constant | ast.List) and isinstance(getattr(one, "value", []), str | list)
                   for one in (node.left, node.right)):  # fmt: skip
            yield node, f"({left} {operator} {right})"


def constant(node: ast.AST) -> Iterator[Change]:
    """A whole number one greater, another one doubled, True and False exchanged."""
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield node, str(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        yield node, str(node.value + 1)
    elif isinstance(node, ast.Constant) and isinstance(node.value, float):
        yield node, repr(node.value * 2 or 1.0)


def logic(node: ast.AST) -> Iterator[Change]:
    """``and`` and ``or`` exchanged, ``not`` and ``~`` left out."""
    if isinstance(node, ast.BoolOp):
        operator = " or " if isinstance(node.op, ast.And) else " and "
        yield node, f"({operator.join(f'({_text(one)})' for one in node.values)})"
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.Invert):
        yield node, f"({_text(node.operand)})"


def condition(node: ast.AST) -> Iterator[Change]:
    """A condition turned round."""
    if isinstance(node, ast.If | ast.IfExp | ast.While) and not isinstance(
        node.test, ast.Compare | ast.UnaryOp
    ):
        yield node.test, f"(not ({_text(node.test)}))"


def extreme(node: ast.AST) -> Iterator[Change]:
    """Least and greatest exchanged."""
    if isinstance(node, ast.Call):
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name in EXTREMES:
            whole = _text(node.func)
            yield node.func, whole[: len(whole) - len(name)] + EXTREMES[name]


def axis(node: ast.AST) -> Iterator[Change]:
    """Another axis."""
    if isinstance(node, ast.keyword) and node.arg in ("axis", "seq_axis"):
        number = _text(node.value)
        if other := {"0": "1", "1": "0", "2": "1", "3": "2", "-1": "0"}.get(number):
            yield node.value, other


def mask(node: ast.AST) -> Iterator[Change]:
    """A mask left out: of a ``where``, a product, a logical and, a masked softmax."""

    def masks(part: ast.AST) -> bool:
        names = {getattr(one, "id", getattr(one, "attr", "")) for one in ast.walk(part)}
        return bool(names & {*MASKS, *(f"{one}s" for one in MASKS), "is_finite"})

    if isinstance(node, ast.Call):
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name == "where" and len(node.args) == 3 and masks(node.args[0]):
            yield node, f"({_text(node.args[1])})"
        elif name in ("kept", "logical_and") and len(node.args) == 2 and masks(node.args[1]):
            yield node, f"({_text(node.args[0])})"
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) and masks(node.right):
        yield node, f"({_text(node.left)})"


def sides(node: ast.AST) -> Iterator[Change]:
    """The train side replaced by all sides."""
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and _text(node.slice) == "'train'":
        yield node, f"sum({_text(node.value)}.values(), [])"
    if isinstance(node, ast.Attribute) and node.attr == "train" and _text(node.value) in ("sides", "divided"):
        yield node, f"__import__('pandas').concat([*{_text(node.value)}.sides().values()], ignore_index=True)"


def part(node: ast.AST) -> Iterator[Change]:
    """One part of a list, tuple or dictionary left out: of a key, what else would be told apart by it."""
    if isinstance(node, ast.List | ast.Tuple) and isinstance(node.ctx, ast.Load):
        for number, left_out in enumerate(node.elts):
            rest = [_text(one) for one in node.elts[:number] + node.elts[number + 1 :]]
            opening, closing = "[]" if isinstance(node, ast.List) else "()"
            comma = "," if isinstance(node, ast.Tuple) and len(rest) == 1 else ""
            if not isinstance(left_out, ast.Starred) or len(node.elts) > 1:
                yield node, f"{opening}{', '.join(rest)}{comma}{closing}"
    if isinstance(node, ast.Dict):
        pairs = [
            f"{_text(key)}: {_text(value)}" for key, value in zip(node.keys, node.values, strict=True) if key
        ]
        for number in range(len(pairs) if len(pairs) == len(node.keys) else 0):
            yield node, "{" + ", ".join(pairs[:number] + pairs[number + 1 :]) + "}"


RULES: dict[str, Callable[[ast.AST], Iterator[Change]]] = {
    one.__name__: one
    for one in (comparison, arithmetic, constant, logic, condition, extreme, axis, mask, sides, part)
}
EVERYWHERE = tuple(name for name in RULES if name not in ("sides", "part"))  # these two where they are named


def mutants_of(
    file: str, source: str, functions: Collection[str] = (), rules: Collection[str] = EVERYWHERE
) -> list[Mutant]:
    """Every mutant of a file, from top to bottom.

    Parameters
    ----------
    functions : ``Class.method`` or ``function``, with what is defined in them; all without.
    """
    lines = source.encode().split(b"\n")
    begins = [0]
    for line in lines:
        begins.append(begins[-1] + len(line) + 1)
    found: dict[tuple[int, int, str], Mutant] = {}
    for node, function in _computing(ast.parse(source), ""):
        if functions and not any(function == one or function.startswith(f"{one}.") for one in functions):
            continue
        for rule in rules:
            for place, after in RULES[rule](node):
                start = begins[place.lineno - 1] + place.col_offset  # type: ignore[attr-defined]
                end = begins[place.end_lineno - 1] + place.end_col_offset  # type: ignore[attr-defined]
                before = _text(place)
                if ast.dump(ast.parse(after.strip(), mode="eval")) != ast.dump(
                    ast.parse(before, mode="eval")
                ):
                    found.setdefault(
                        (start, end, after),
                        Mutant(file, function, place.lineno, rule, before, after, start, end),  # type: ignore[attr-defined]
                    )
    ordered, seen = [], Counter[str]()
    for key in sorted(found):
        seen[found[key].name] += 1
        ordered.append(replace(found[key], number=seen[found[key].name]))
    return ordered


def _computing(node: ast.AST, function: str) -> Iterator[tuple[ast.AST, str]]:
    """Every node that computes, with the function that it is in."""
    if isinstance(node, ast.Raise | ast.JoinedStr | ast.Assert | ast.Import | ast.ImportFrom):
        return
    if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
        function = f"{function}.{node.name}".lstrip(".")
        for child in node.body:
            yield from _computing(child, function)
        return
    if isinstance(node, ast.keyword) and node.arg == "strict":  # of zip: lengths that cannot differ
        return
    if isinstance(node, ast.AnnAssign):
        if node.value:
            yield from _computing(node.value, function)
        return
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    yield node, function
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.arguments):
            yield from _computing(child, function)
