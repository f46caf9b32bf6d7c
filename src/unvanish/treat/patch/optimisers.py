"""Where source code makes the optimiser, and how to write its options."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from unvanish.treat.patch.attributes import default_of, said_by
from unvanish.treat.patch.source import NoSafeEditError, Source
from unvanish.treat.patch.work import Work

Rule = Callable[[float], float]
"""From an option's old value to its new one."""


@dataclass(frozen=True, slots=True)
class Maker:
    """The call that makes the optimiser.

    Attributes:
        source: The file it stands in.
        call: ``torch.optim.SGD(model.parameters(), lr=0.1)``.
        function: The factory around it; None where it stands outside of one.
        name: Class of the optimiser.
        given: The factory's call of a helper in the same file, where it is the helper that makes
            the optimiser: ``make(model.parameters(), lr=0.1)``.
    """

    source: Source
    call: ast.Call
    function: ast.FunctionDef | ast.Lambda | None
    name: str
    given: ast.Call | None = None

    @property
    def outer(self) -> ast.Call:
        """The call in the factory that the optimiser comes from."""
        return self.given if self.given is not None else self.call


def maker_of(work: Work) -> Maker:
    """Find the call that makes the optimiser.

    Raises:
        NoSafeEditError: If that call is not in the file of the network, or stands there twice.
    """
    if work.optimizer is None:
        raise NoSafeEditError("the file has no optimizer(model): which one trains it is not known")
    known = work.recording.context.optimizer
    name = known.name if known is not None else ""
    found = [
        Maker(source, call, function, name)
        for source, scope, function in _scopes(work)
        for call in _made_in(source, scope, name)
    ]
    if not found:
        found = [
            Maker(source, call, function, name, given)
            for source, scope, function in _scopes(work)
            if function is not None
            for given, helper in _helpers(source, scope)
            for call in _made_in(source, helper, name)
        ]
    if len(found) != 1:
        many = "is made more than once" if found else "is not made in the network's own files"
        raise NoSafeEditError(f"the optimiser {name} {many}".replace("  ", " "))
    return found[0]


def _made_in(source: Source, scope: ast.AST, name: str) -> Iterator[ast.Call]:
    """Yield the calls that make an optimiser of a class."""
    classes = (f"torch.optim.{name}", f"pytorch_optimizer.{name}")
    for call in ast.walk(scope):
        if isinstance(call, ast.Call) and source.meaning(call.func) in classes:
            yield call


def _helpers(source: Source, scope: ast.AST) -> Iterator[tuple[ast.Call, ast.FunctionDef]]:
    """Yield the calls of functions at the head of a file, and of methods, and these functions."""
    cls = source.around(scope, ast.ClassDef)
    known, methods = (
        {one.name: one for one in body if isinstance(one, ast.FunctionDef)}
        for body in (source.tree.body, cls.body if cls is not None else [])
    )
    me = scope.args.args[:1] if isinstance(scope, ast.FunctionDef) else []
    for call in ast.walk(scope):
        func = call.func if isinstance(call, ast.Call) else None
        helper = known.get(func.id) if isinstance(func, ast.Name) else None
        if isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name):
            is_own = [func.value.id] == [one.arg for one in me]
            helper = methods.get(func.attr) if is_own else None
        if isinstance(call, ast.Call) and helper is not None and helper is not scope:
            yield call, helper


def _scopes(
    work: Work,
) -> list[tuple[Source, ast.AST, ast.FunctionDef | ast.Lambda | None]]:
    """Return the factory of the recipe, or else all files of the network."""
    code = getattr(_factory(work), "__code__", None)
    if code is None:
        return [(source, source.tree, None) for source in files_of(work)]
    source = work.open(code.co_filename)
    made: list[ast.FunctionDef | ast.Lambda] = [
        *source.nodes(ast.FunctionDef, code.co_firstlineno),
        *source.nodes(ast.Lambda, code.co_firstlineno),
    ]
    return [(source, one, one) for one in made[:1]]


def _factory(work: Work) -> Any:
    """Return the user's own function that makes the optimiser; None where it is none."""
    return inspect.unwrap(work.optimizer) if callable(work.optimizer) else None


def files_of(work: Work) -> list[Source]:
    """Return the user's files that the network, or its optimiser's factory, was seen in."""
    code = getattr(_factory(work), "__code__", None)
    files: dict[str, None] = {} if code is None else {code.co_filename: None}
    for site in work.recording.sites:
        for line in (site.source, site.built):
            if line is not None:
                files.setdefault(line.file)
    sources: list[Source] = []
    for file in files:
        try:
            source = work.open(file)
        except NoSafeEditError:
            continue
        if source not in sources:
            sources.append(source)
    return sources


def write_option(maker: Maker, keyword: str, rule: Rule, default: float | None) -> None:
    """Write an option of the optimiser, of every group that has its own.

    Args:
        maker: The call that makes it.
        keyword: The option, as PyTorch calls it.
        rule: From the old value to the new one.
        default: Value where the call does not say it.

    Raises:
        NoSafeEditError: If a value is no number that can be found in the source.
    """
    source, call = maker.source, maker.call
    own = _own(call, keyword)
    for value in _of_groups(source, call, keyword):
        _write(maker, keyword, value, rule)
    if own is not None:
        _write(maker, keyword, own, rule)
        return
    if any(one.arg is None for one in call.keywords):
        raise NoSafeEditError(f"line {call.lineno} takes its options from elsewhere")
    if default is None:
        raise NoSafeEditError(f"line {call.lineno} says no {keyword}")
    last = (call.keywords[-1].value if call.keywords else None) or (
        call.args[-1] if call.args else None
    )
    if last is None:
        raise NoSafeEditError(f"line {call.lineno} has no arguments")
    source.insert_after(last, f", {keyword}={spelt(rule(default))}")


def _own(call: ast.Call, keyword: str) -> ast.expr | None:
    """Return what a call itself says of an option; None for nothing."""
    own = next((one.value for one in call.keywords if one.arg == keyword), None)
    return call.args[1] if own is None and keyword == "lr" and len(call.args) > 1 else own


def _of_groups(source: Source, call: ast.Call, keyword: str) -> Iterator[ast.expr]:
    """Yield what the groups of an optimiser say of an option."""
    for group in ast.walk(_followed(source, call)):
        if isinstance(group, ast.Dict):
            for key, value in zip(group.keys, group.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == keyword:
                    yield value
        elif isinstance(group, ast.Call) and source.meaning(group.func) == "dict":
            yield from (one.value for one in group.keywords if one.arg == keyword)


def _followed(source: Source, call: ast.Call) -> ast.AST:
    """Return what gives an optimiser its groups; a name leads to the list that it was given."""
    groups = next((one.value for one in call.keywords if one.arg == "params"), None)
    groups = groups or (call.args[0] if call.args else None)
    if groups is None:
        return ast.Tuple(elts=[])
    if isinstance(groups, ast.Name):
        function = source.around(call, ast.FunctionDef)
        for statement in ast.walk(function) if function is not None else ():
            if isinstance(statement, ast.Assign) and _is_named(statement, groups.id):
                return statement.value
    return groups


def _write(maker: Maker, keyword: str, value: ast.expr, rule: Rule) -> None:
    """Write a number in the place where it is said: the call, a constant, a default.

    Raises:
        NoSafeEditError: If it is said nowhere, or in more places than one.
    """
    source = maker.source
    number = number_of(value)
    if number is not None:
        _replace(source, value, rule(number))
        return
    if isinstance(value, ast.Name) and maker.given is not None:
        given, default = _told(maker, maker.given, value.id)
        if given is not None:
            _write(replace(maker, call=maker.given, given=None), keyword, given, rule)
            return
        number = number_of(default)
        if number is not None and (maker.given.args or maker.given.keywords):
            last = max([*maker.given.args, *(one.value for one in maker.given.keywords)], key=_end)
            source.insert_after(last, f", {value.id}={spelt(rule(number))}")
            return
    if isinstance(value, ast.Name):
        said = _constant(source, maker, value.id)
        number = number_of(said) if said is not None else None
        if said is not None and number is not None:
            _replace(source, said if _uses(source, value.id) == 1 else value, rule(number))
            return
    if isinstance(value, ast.Attribute | ast.Subscript):
        attribute = said_by(source, value)
        number = number_of(attribute) if attribute is not None else None
        if attribute is not None and number is not None:
            _replace(source, attribute, rule(number))
            return
    raise NoSafeEditError(
        f"line {value.lineno} takes {keyword} from {source.segment(value)}, which is no number "
        "in this file"
    )


def _told(maker: Maker, given: ast.Call, name: str) -> tuple[ast.expr | None, ast.expr | None]:
    """Return what a helper's argument is given in a call, and its default."""
    helper = maker.source.around(maker.call, ast.FunctionDef)
    if helper is None:
        return None, None
    told = next((one.value for one in given.keywords if one.arg == name), None)
    names = [one.arg for one in (*helper.args.posonlyargs, *helper.args.args)]
    if isinstance(given.func, ast.Attribute):
        names = names[1:]
    if told is None and name in names and names.index(name) < len(given.args):
        told = given.args[names.index(name)]
    return told, default_of(helper.args, name)


def _end(node: ast.expr) -> tuple[int, int]:
    return node.end_lineno or 0, node.end_col_offset or 0


def _replace(source: Source, node: ast.expr, value: float) -> None:
    """Write a number as the one before was written: ``3e-4`` stays of this kind."""
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    scientific = f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    is_small = "e-" in source.segment(node) and int(exponent) < -1
    source.replace(node, scientific if is_small else spelt(value))


def number_of(node: ast.expr | None) -> float | None:
    """Return the number that an expression of numbers alone stands for; None for another."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = number_of(node.operand)
        return None if inner is None else -inner
    if isinstance(node, ast.BinOp):
        left, right = number_of(node.left), number_of(node.right)
        work = _OPERATORS.get(type(node.op))
        if left is None or right is None or work is None:
            return None
        try:
            return work(left, right)
        except (ArithmeticError, ValueError):
            return None
    is_number = isinstance(node, ast.Constant) and type(node.value) in (int, float)
    return float(node.value) if is_number else None  # type: ignore[union-attr]


_OPERATORS: Final[dict[type, Callable[[float, float], float]]] = {
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Pow: lambda a, b: float(a**b),
}


def spelt(value: float, digits: int = 3) -> str:
    """Return a number as it is written into source: ``1.0``, ``0.03``, ``1e-5``."""
    mantissa, _, exponent = f"{value:.{digits}g}".partition("e")
    if exponent:
        return f"{mantissa}e{int(exponent)}"
    return mantissa if "." in mantissa else f"{mantissa}.0"


def _constant(source: Source, maker: Maker, name: str) -> ast.expr | None:
    """Return what a name is given: a default of the factory, or a constant of the file."""
    function = maker.function or source.around(maker.call, ast.FunctionDef)
    if function is not None:
        default = default_of(function.args, name)
        if default is not None:
            return default
        inside = [n for n in ast.walk(function) if _is_named(n, name)]
        if len(inside) == 1:
            return _value(inside[0])
        if inside or any(a.arg == name for a in ast.walk(function.args) if isinstance(a, ast.arg)):
            return None
    outside = [n for n in source.tree.body if _is_named(n, name)]
    return _value(outside[0]) if len(outside) == 1 else None


def _is_named(node: Any, name: str) -> bool:
    """Tell whether a statement gives a name its value."""
    if isinstance(node, ast.Assign):
        return any(isinstance(t, ast.Name) and t.id == name for t in node.targets)
    return (
        isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and node.target.id == name
    )


def _value(node: Any) -> ast.expr | None:
    value: ast.expr | None = node.value
    return value


def _uses(source: Source, name: str) -> int:
    """Return how often a name is read."""
    return sum(n.id == name and isinstance(n.ctx, ast.Load) for n in source.nodes(ast.Name))
