"""Whose design a part of the network is: the user's, or that of an installed library.

A library may keep the gradient from parameters of its own on purpose: the indexer of a sparse
attention that only chooses, the codebook of a codec. Whoever installed it can do nothing about
that. What the user's own code cuts is another matter, and so is a library that cuts off
parameters which are not its own.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Collection

from torch import nn

from unvanish.core.stack import Owner, owner_of, package_of
from unvanish.observe.lineage import Call
from unvanish.observe.look import Look


def left_out_by_design(model: nn.Module, look: Look, lost: Collection[str]) -> dict[str, str]:
    """Find the parameters that a library leaves without a gradient by its own design.

    That is so where every way from the parameter to the loss leads through a cut that stands
    in a line of an installed package, within the same part of the network as the parameter.
    A part of which nothing learns is used in a way that it was not made for, such as a
    language model by ``generate()``: that is the user's doing.

    Args:
        model: The network.
        look: A look at it.
        lost: Names of the parameters that reach the loss, and to which no gradient comes back.

    Returns:
        Name of the parameter to the package that cuts it off.
    """
    calls = look.tape.lineage.calls
    end = look.tape.lineage.maker(look.loss)
    if not lost or end is None or not any(call.package for call in calls):
        return {}
    parts = library_parts(model)
    groups: dict[str, set[str]] = {}
    for name in lost:
        part = parts.get(name.rpartition(".")[0])
        if part is not None:
            groups.setdefault(part, set()).add(name)
    living = {parts.get(name.rpartition(".")[0]) for name in look.gradients.parameters}
    found: dict[str, str] = {}
    for part, names in groups.items():
        if part not in living:
            continue
        walls = {
            index: call.package
            for index, call in enumerate(calls)
            if call.cuts and call.package and parts.get(call.path) == part
        }
        open_to = _names_behind(calls, end, walls)
        package = next(iter(walls.values()), "")
        found.update((name, package) for name in names - open_to if package)
    return found


def library_parts(model: nn.Module) -> dict[str, str]:
    """Assign modules to the parts of a network that installed libraries wrote.

    Args:
        model: The network.

    Returns:
        Path of a module to the path of the outermost module that the library brought; what
        the user wrote is left out. Modules of torch belong to whoever holds them.
    """
    parts: dict[str, str] = {}
    for path, module in model.named_modules():
        author = _author(module)
        held_by = parts.get(path.rpartition(".")[0]) if path else None
        if author is not Owner.USER and (held_by is not None or author is Owner.LIBRARY):
            parts[path] = path if held_by is None else held_by
    return parts


def _author(module: nn.Module) -> Owner:
    """Tell who wrote the forward pass of a module; its class, where that is torch's."""
    forward = inspect.unwrap(getattr(module, "forward", type(module)))
    code = getattr(getattr(forward, "__func__", forward), "__code__", None)
    files = [code.co_filename] if code is not None else []
    home = sys.modules.get(type(module).__module__)
    files.append(getattr(home, "__file__", None) or "")
    for file in files:
        owner = owner_of(file)
        if owner is Owner.USER or package_of(file):
            return owner
    return Owner.FRAMEWORK


def _names_behind(calls: list[Call], end: int, walls: Collection[int]) -> set[str]:
    """Return the parameters from which some way to a call leads round all the walls."""
    names: set[str] = set()
    seen: set[int] = set(walls)
    stack = [end]
    while stack:
        index = stack.pop()
        if index not in seen:
            seen.add(index)
            names.update(calls[index].parameters)
            stack.extend(calls[index].parents)
    return names
