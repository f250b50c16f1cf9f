"""A statement in normal form: what of it computes something, and the names that it uses.

Contents: `_Normal`, `_Unannotated`, `_is_text`, `_names`, for `definitions` alone.
"""

import ast
from typing import Any, TypeGuard

FIELDS = ("Field", "used_when")  # functions that describe a setting


class _Normal(ast.NodeTransformer):
    """Takes out what computes nothing: imports (their meanings are hashed), docstrings, texts of errors,
    descriptions of settings.
    """

    def visit_Import(self, node: ast.Import) -> None: ...

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None: ...

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if _is_text(node) else self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        exception = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return ast.Raise(exc=exception, cause=None)

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        return self.generic_visit(ast.Assert(test=node.test, msg=None))

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if _is_field(node):
            node.keywords = [one for one in node.keywords if one.arg != "description"]
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        self.generic_visit(node)
        if _is_field(node.value) and not node.value.args and not node.value.keywords:
            node.value = None  # a field that is only described
        return node


class _Unannotated(ast.NodeTransformer):
    """Takes out annotations, which compute nothing, but for those in a class: they are its fields."""

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.body = [one if isinstance(one, ast.AnnAssign) else self.visit(one) for one in node.body]
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        return ast.Assign(targets=[node.target], value=node.value) if node.value else None


def _is_field(node: Any) -> TypeGuard[ast.Call]:
    return (
        isinstance(node, ast.Call)
        and (node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")) in FIELDS
    )


def _is_text(statement: ast.AST) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _names(tree: ast.AST) -> set[str]:
    """Names in a tree with the attributes behind them, the longest of each: ``np.linalg.norm``."""
    found, inner = set(), set()
    for node in ast.walk(tree):  # outer nodes first
        if id(node) in inner or not isinstance(node, ast.Name | ast.Attribute):
            continue
        parts: list[str] = []
        base: ast.AST = node
        while isinstance(base, ast.Attribute):
            parts.append(base.attr)
            base = base.value
            inner.add(id(base))
        if isinstance(base, ast.Name):
            found.add(".".join([base.id, *reversed(parts)]))
        else:
            inner.discard(id(base))
    return found
