"""Take the last function of a network out of the source, or write another one."""

from __future__ import annotations

import ast
from typing import Final

from unvanish.core.records import Site
from unvanish.treat.patch.removal import in_brackets, remove_element, remove_statement
from unvanish.treat.patch.source import NoSafeEditError, Source
from unvanish.treat.patch.work import Work

REMEDIES: Final = frozenset({"drop-inner-softmax"})

_CLASSES: Final = {
    "softmax": "Softmax",
    "log_softmax": "LogSoftmax",
    "sigmoid": "Sigmoid",
    "hardsigmoid": "Hardsigmoid",
    "tanh": "Tanh",
    "softsign": "Softsign",
    "relu": "ReLU",
    "relu6": "ReLU6",
    "softplus": "Softplus",
    "logsigmoid": "LogSigmoid",
}
_NONE: Final = "none"


def rewrite(work: Work) -> None:
    """Write the end of the network as the prescription says it.

    Raises:
        NoSafeEditError: If the function is not found, or the same code calls others that stay.
    """
    settings = work.prescription.settings
    write_end(
        work,
        function=str(settings["function"]),
        instead=str(settings["instead"]),
        axis=int(settings["axis"]),
    )


def write_end(work: Work, *, function: str, instead: str, axis: int) -> None:
    """Take the last function out, or put another in its place.

    Args:
        work: The remedy; its first place is the path of the function.
        function: What is there.
        instead: What is to be there; ``"none"`` for nothing.
        axis: Axis over classes.

    Raises:
        NoSafeEditError: If the function is not found, or the same code calls others that stay.
    """
    path = work.prescription.places[0]
    sites = [
        site
        for site in work.recording.signal_sites()
        if site.path == path and site.op == function and site.is_output
    ]
    if not sites:
        raise NoSafeEditError(f"no {function} was seen at the end of the network")
    if function not in _CLASSES:
        raise NoSafeEditError(f"a function behind the {function} is yours to place")
    site = sites[-1]
    is_module = site.module == _CLASSES[function]
    _refuse_others(work, site, is_module=is_module)
    line = (site.built or site.source) if is_module else site.source
    source = work.source(line)
    assert line is not None
    if is_module:
        _write_module(source, line.line, function, instead, axis)
    else:
        _write_call(source, line.line, function, instead, axis)


def _refuse_others(work: Work, site: Site, *, is_module: bool) -> None:
    """Refuse code that calls the function in other places of the network too."""
    line = (site.built or site.source) if is_module else site.source
    for other in work.recording.signal_sites():
        where = (other.built or other.source) if is_module else other.source
        if other.op == site.op and other.index != site.index and where == line:
            raise NoSafeEditError(f"{line} also makes the {site.op} of {other.name}, which stays")


def _write_module(source: Source, line: int, function: str, instead: str, axis: int) -> None:
    wanted = f"torch.nn.{_CLASSES[function]}"
    calls = [c for c in source.nodes(ast.Call, line) if source.meaning(c.func) == wanted]
    if not calls:
        raise NoSafeEditError(f"line {line} makes the {function} in a way that cannot be followed")
    call = calls[0]
    if instead != _NONE:
        given = "" if instead == "sigmoid" else f"dim={axis}"
        source.replace(call, f"{source.spell(f'torch.nn.{_CLASSES[instead]}')}({given})")
    elif not _take_out(source, call):
        source.replace(call, f"{source.spell('torch.nn.Identity')}()")


def _take_out(source: Source, call: ast.Call) -> bool:
    """Take a module out of the list it stands in; False where it stands in none."""
    holder = source.parent(call)
    if isinstance(holder, ast.Call):
        if source.meaning(holder.func) == "torch.nn.Sequential" and len(holder.args) > 1:
            remove_element(source, call)
            return True
        statement = source.parent(holder)
        is_append = isinstance(holder.func, ast.Attribute) and holder.func.attr == "append"
        return is_append and isinstance(statement, ast.Expr) and remove_statement(source, statement)
    if not isinstance(holder, ast.List):
        return False
    if len(holder.elts) > 1:
        remove_element(source, call)
        return True
    statement = source.parent(holder)
    return isinstance(statement, ast.AugAssign) and remove_statement(source, statement)


def _write_call(source: Source, line: int, function: str, instead: str, axis: int) -> None:
    functions = {f"torch.{function}", f"torch.{function}_", f"torch.special.{function}"}
    functions |= {f"torch.nn.functional.{function}", f"torch.nn.functional.{function}_"}
    for call in source.nodes(ast.Call, line):
        is_function = source.meaning(call.func) in functions
        if is_function and call.args:
            given = call.args[0]
        elif isinstance(call.func, ast.Attribute) and call.func.attr.rstrip("_") == function:
            given = call.func.value
        else:
            continue
        if instead == _NONE:
            _bare(source, call, given)
        else:
            source.replace(call, _spelt(source, given, instead, axis))
        return
    raise NoSafeEditError(f"line {line} calls {function} in a way that cannot be followed")


def _bare(source: Source, call: ast.Call, given: ast.expr) -> None:
    """Leave what a function was given in the place of its call."""
    statement = source.parent(call)
    if (
        isinstance(given, ast.Name)
        and isinstance(statement, ast.Assign)
        and [source.segment(target) for target in statement.targets] == [given.id]
        and remove_statement(source, statement)
    ):
        return
    alone = isinstance(statement, ast.Return | ast.Assign | ast.AnnAssign)
    source.replace(call, source.segment(given) if alone else in_brackets(source, given))


def _spelt(source: Source, given: ast.expr, instead: str, axis: int) -> str:
    text = source.segment(given)
    if instead == "sigmoid":
        return f"{source.spell('torch.sigmoid')}({text})"
    return f"{source.spell(f'torch.nn.functional.{instead}')}({text}, dim={axis})"
