"""Where source code builds a network, and how to write behind it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from unvanish.treat.patch.factories import builder_among
from unvanish.treat.patch.loads import load_in
from unvanish.treat.patch.source import NoSafeEditError, Source
from unvanish.treat.patch.work import Work


@dataclass(frozen=True, slots=True)
class Builder:
    """The code that builds a network.

    Attributes:
        source: The file it stands in.
        last: Its last statement: of ``__init__``, or the return of a function.
        network: What the network is called there: ``"self"``, or a variable.
        load: The first statement that gives the network what was learnt; None without one.
    """

    source: Source
    last: ast.stmt
    network: str
    load: ast.stmt | None = None

    def append(self, lines: Sequence[str]) -> None:
        """Write statements that run when the network has been built, and before it is loaded."""
        if self.load is not None:
            self.source.add_before(self.load, lines, above_comments=True)
            return
        if not isinstance(self.last, ast.Return):
            self.source.add_lines(self.last, lines)
            return
        self.source.add_tail(self.last, self.network, lines)


def builder_of(work: Work) -> Builder:
    """Find the code that builds the network: ``__init__`` of its class, or a function.

    Raises:
        NoSafeEditError: If it is neither, or not the user's, or loads what was learnt in between.
    """
    cls = type(work.model)
    module = sys.modules.get(cls.__module__)
    file = getattr(module, "__file__", None)
    if cls.__module__.startswith("torch.nn") or not isinstance(file, str):
        return _function(work)
    source = work.open(file)
    for node in source.nodes(ast.ClassDef):
        if node.name == cls.__name__:
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef) and inner.name == "__init__":
                    name = inner.args.args[0].arg
                    load = load_in(source, inner.body, name)
                    return Builder(source, inner.body[-1], name, load)
    raise NoSafeEditError(f"{cls.__name__} has no __init__ to write into")


def add_to_init(source: Source, init: ast.FunctionDef, lines: Sequence[str]) -> None:
    """Give a class attributes, before its ``__init__`` loads what was learnt with them.

    Args:
        source: The file.
        init: Its ``__init__``.
        lines: The statements.
    """
    try:
        load = load_in(source, init.body, init.args.args[0].arg)
    except NoSafeEditError:  # parts are made behind the load; one more does no harm
        load = None
    Builder(source, init.body[-1], init.args.args[0].arg, load).append(lines)


def _function(work: Work) -> Builder:
    """Return the return statement of the function that makes the network, or else its last layer.

    Raises:
        NoSafeEditError: If there is none.
    """
    built = [layer.site.built for layer in work.anatomy.layers if layer.site.built]
    if not built:
        raise NoSafeEditError("the lines that built the network were not seen")
    source = work.source(built[-1])
    functions = [(source, one) for one in source.nodes(ast.FunctionDef, built[-1].line)]
    whole = builder_among(work, built, f"torch.nn.{type(work.model).__name__}")
    for at, function in [*whole, *functions]:
        ends = [n for n in function.body if isinstance(n, ast.Return)]
        if ends and ends[-1].value is not None:
            value = ends[-1].value
            name = value.id if isinstance(value, ast.Name) else "network"
            return Builder(at, ends[-1], name, load_in(at, function.body, name))
    return _at_top(source, f"torch.nn.{type(work.model).__name__}", built[-1].line)


def _at_top(source: Source, container: str, line: int) -> Builder:
    """Return the statement of a file that gives a name to a network, or the last that starts it.

    Args:
        source: The file.
        container: Dotted name of the network's class.
        line: A line that made one of its layers.

    Raises:
        NoSafeEditError: If there is none.
    """
    body = source.tree.body
    for number, one in enumerate(body):
        is_here = one.lineno <= line <= (one.end_lineno or 0)
        if not is_here or not isinstance(one, ast.Assign) or not source.begins_line(one):
            continue
        target = one.targets[0]
        calls = [n for n in ast.walk(one.value) if isinstance(n, ast.Call)]
        made = any(source.meaning(call.func) == container for call in calls)
        if not made or not isinstance(target, ast.Name) or len(one.targets) > 1:
            continue
        last: ast.stmt = one
        for later in body[number + 1 :]:
            if not _mentions(later, target.id) or isinstance(later, ast.FunctionDef | ast.ClassDef):
                continue
            if not _starts(source, later):
                break
            last = later
        return Builder(source, last, target.id, load_in(source, body[number:], target.id))
    raise NoSafeEditError("the network is built outside of a function or class of its own")


def _mentions(statement: ast.stmt, name: str) -> bool:
    return any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(statement))


def _starts(source: Source, statement: ast.stmt) -> bool:
    """Tell whether a statement gives weights their first values."""
    for call in (n for n in ast.walk(statement) if isinstance(n, ast.Call)):
        called = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        if source.meaning(call.func).startswith("torch.nn.init."):
            return True
        if called == "apply" or (called.endswith("_") and not called.startswith("_")):
            return True
    return False


def indexed(name: str, path: str, model: nn.Module) -> str:
    """Write the path ``layers.3.fc`` as code: ``self.layers[3].fc``.

    Only the first and the last place of a list keep their meaning when the network is built with
    another depth.

    Raises:
        NoSafeEditError: If the path leads through another place of a list.
    """
    text, holder = name, model
    for part in path.split("."):
        if not part.isdigit():
            text += f".{part}"
        elif part == "0":
            text += "[0]"
        elif int(part) == len(holder._modules) - 1:
            text += "[-1]"
        else:
            raise NoSafeEditError(f"{path} would be named by its number, and starts by itself")
        holder = holder.get_submodule(part)
    return text
