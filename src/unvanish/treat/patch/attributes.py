"""Where a number is said that a method reads off its object: ``self.lr``, ``self.hparams.lr``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from unvanish.treat.patch.source import Source

_SAVED: Final = "hparams"
"""Where Lightning's ``save_hyperparameters()`` puts what ``__init__`` was given."""

_ARGUMENTS: Final = frozenset({"args", "opt", "opts", "options", "flags", "FLAGS", "arguments"})
"""What parsed command lines are called: an option of one is the user's to give."""


def said_by(source: Source, value: ast.expr) -> ast.expr | None:
    """Return what an attribute is given: a constant of a class, a default of its ``__init__``.

    Args:
        source: The file.
        value: Such as ``self.lr``, ``self.hparams.lr``, ``self.hparams["lr"]`` or ``Config.LR``.

    Returns:
        The only thing that it is ever given, where nothing else reads it; None otherwise.
    """
    name, holder = _name(value)
    if not name or _root(value) in _ARGUMENTS:
        return None
    if isinstance(holder, ast.Attribute) and holder.attr == _SAVED:
        init = _init(source, value)
        if init is None or not _saves(init) or len(list(_readings(source, name))) != 1:
            return None
        is_used = any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(init))
        return None if is_used else default_of(init.args, name)
    if isinstance(value, ast.Subscript) or len(list(_readings(source, name))) != 1:
        return None
    of_class = [
        one.value
        for cls in source.nodes(ast.ClassDef)
        for one in cls.body
        if isinstance(one, ast.Assign | ast.AnnAssign) and _is_given(one, name)
    ]
    own = list(_own(source, value, name))
    found = of_class + own
    if len(found) != 1:
        return None
    init = _init(source, value)
    if own and isinstance(own[0], ast.Name) and init is not None:
        argument = own[0].id
        loads = [n for n in ast.walk(init) if isinstance(n, ast.Name) and n.id == argument]
        return default_of(init.args, argument) if len(loads) == 1 else None
    return found[0]


def default_of(arguments: ast.arguments, name: str) -> ast.expr | None:
    """Return the default of an argument; None where it has none."""
    plain = [*arguments.posonlyargs, *arguments.args]
    pairs: list[tuple[ast.arg, ast.expr | None]] = [
        *zip(reversed(plain), reversed(arguments.defaults), strict=False),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    return next((value for one, value in pairs if one.arg == name), None)


def _name(value: ast.expr) -> tuple[str, ast.expr | None]:
    """Return the name of what is read, and what it is read off."""
    if isinstance(value, ast.Attribute):
        return value.attr, value.value
    if isinstance(value, ast.Subscript) and isinstance(value.slice, ast.Constant):
        key = value.slice.value
        return (key, value.value) if isinstance(key, str) else ("", None)
    return "", None


def _root(value: ast.expr) -> str:
    while isinstance(value, ast.Attribute | ast.Subscript):
        value = value.value
    return value.id if isinstance(value, ast.Name) else ""


def _readings(source: Source, name: str) -> Iterator[ast.expr]:
    """Return where an attribute, or an entry of a mapping, of a name is read."""
    nodes: list[ast.Attribute | ast.Subscript] = [
        *source.nodes(ast.Attribute),
        *source.nodes(ast.Subscript),
    ]
    return (one for one in nodes if isinstance(one.ctx, ast.Load) and _name(one)[0] == name)


def _init(source: Source, node: ast.AST) -> ast.FunctionDef | None:
    """Return the ``__init__`` of the class around a node."""
    cls = source.around(node, ast.ClassDef)
    methods = cls.body if cls is not None else []
    return next(
        (m for m in methods if isinstance(m, ast.FunctionDef) and m.name == "__init__"), None
    )


def _saves(init: ast.FunctionDef) -> bool:
    """Tell whether all that an ``__init__`` is given is kept as hyperparameters, as it is."""
    return any(
        isinstance(one, ast.Call)
        and isinstance(one.func, ast.Attribute)
        and one.func.attr == "save_hyperparameters"
        and not one.args
        for one in ast.walk(init)
    )


def _own(source: Source, value: ast.expr, name: str) -> Iterator[ast.expr | None]:
    """Yield what the class around a node gives an attribute of its object, in any method."""
    cls = source.around(value, ast.ClassDef)
    for one in ast.walk(cls) if cls is not None else ():
        targets = one.targets if isinstance(one, ast.Assign) else []
        if isinstance(one, ast.AnnAssign | ast.AugAssign):
            targets = [one.target]
        for target in targets:
            if isinstance(target, ast.Attribute) and target.attr == name:
                yield one.value if not isinstance(one, ast.AugAssign) else None  # type: ignore[attr-defined]
            elif isinstance(target, ast.Tuple | ast.List):
                yield from _of_several(target, one.value, name)  # type: ignore[attr-defined]


def _of_several(
    target: ast.Tuple | ast.List, value: ast.expr, name: str
) -> Iterator[ast.expr | None]:
    """Yield what one of several targets is given: ``self.lr, self.eps = lr, eps``."""
    values: list[ast.expr] = getattr(value, "elts", [])
    for place, one in enumerate(target.elts):
        if isinstance(one, ast.Attribute) and one.attr == name:
            yield values[place] if len(values) == len(target.elts) else None


def _is_given(one: ast.Assign | ast.AnnAssign, name: str) -> bool:
    targets = one.targets if isinstance(one, ast.Assign) else [one.target]
    return any(isinstance(t, ast.Name) and t.id == name for t in targets)
