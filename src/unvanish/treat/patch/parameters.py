"""Parameters as source text: one by name, many of a list in a loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from torch import nn

from unvanish.treat.patch.builder import Builder, indexed
from unvanish.treat.patch.source import NoSafeEditError

Write = Callable[[str], Sequence[str]]
"""Returns the statements for a parameter that is called as given."""


def named(name: str, model: nn.Module, builder: Builder) -> str:
    """Write a parameter as code: ``self.layers[-1].weight``.

    Args:
        name: Its name among ``named_parameters()``.
        model: The network.
        builder: The code that builds it.

    Raises:
        NoSafeEditError: If it is in the midst of a list.
    """
    path, _, leaf = name.rpartition(".")
    holder = model.get_submodule(path)
    if isinstance(holder, nn.ParameterList):
        at = {"0": "[0]", str(len(holder) - 1): "[-1]"}.get(leaf)
        if at is None:
            raise NoSafeEditError(f"{name} would be named by its number")
        return f"{indexed(builder.network, path, model)}{at}"
    if isinstance(holder, nn.ParameterDict):
        return f'{indexed(builder.network, path, model)}["{leaf}"]'
    if not leaf.isidentifier():
        raise NoSafeEditError(f"{name} is no attribute of a module")
    return f"{indexed(builder.network, path, model) if path else builder.network}.{leaf}"


def over(names: Sequence[str], model: nn.Module, builder: Builder, write: Write) -> list[str]:
    """Return the lines that do the same to some parameters, in a loop where there is one.

    Args:
        names: Their names among ``named_parameters()``.
        model: The network.
        builder: The code that builds it.
        write: Returns the statements for one of them.

    Raises:
        NoSafeEditError: If one cannot be named, and no loop takes these and no others.
    """
    if len(names) == 1 and _can_be_named(names[0], model, builder):
        return list(write(named(names[0], model, builder)))
    for way in (_of_dict, _by_ending, _of_list):
        lines = way(names, model, builder, write)
        if lines:
            return lines
    return [line for name in names for line in write(named(name, model, builder))]


def _can_be_named(name: str, model: nn.Module, builder: Builder) -> bool:
    try:
        named(name, model, builder)
    except NoSafeEditError:
        return False
    return True


def _of_dict(names: Sequence[str], model: nn.Module, builder: Builder, write: Write) -> list[str]:
    """Loop over all parameters of a dictionary."""
    stem = names[0].rpartition(".")[0]
    holder = model.get_submodule(stem)
    if not isinstance(holder, nn.ParameterDict) or {f"{stem}.{k}" for k in holder} != set(names):
        return []
    called = indexed(builder.network, stem, model)
    return [f"for part in {called}.values():", *(f"    {line}" for line in write("part"))]


def _by_ending(names: Sequence[str], model: nn.Module, builder: Builder, write: Write) -> list[str]:
    """Loop over all parameters whose names end alike, where no other's does."""
    every = [name for name, _ in model.named_parameters()]
    parts = names[0].split(".")
    for first in range(1, len(parts)):
        ending = "." + ".".join(parts[first:])
        if {name for name in every if name.endswith(ending)} == set(names):
            return [
                f"for name, parameter in {builder.network}.named_parameters():",
                f'    if name.endswith("{ending}"):',
                *(f"        {line}" for line in write("parameter")),
            ]
    return []


def _of_list(names: Sequence[str], model: nn.Module, builder: Builder, write: Write) -> list[str]:
    """Loop over the members of one list of modules or parameters, all or from one to another."""
    parts = names[0].split(".")
    for place in (i for i, part in enumerate(parts) if part.isdigit()):
        stem, rest = ".".join(parts[:place]), ".".join(parts[place + 1 :])
        holder = model.get_submodule(stem)
        numbers = _numbers(names, stem, rest)
        if not numbers or not isinstance(holder, nn.ModuleList | nn.Sequential | nn.ParameterList):
            continue
        members = list(holder)
        first, last = min(numbers), max(numbers)
        kinds = {type(members[i]) for i in numbers}
        between = range(first, last + 1)
        test = []
        if len(numbers) < len(between):
            kind = kinds.pop()
            alike = [i for i in between if isinstance(members[i], kind)]
            if kinds or alike != numbers or kind.__module__.split(".")[:2] != ["torch", "nn"]:
                continue
            spelt = builder.source.spell(f"torch.nn.{kind.__name__}")
            test = [f"    if isinstance(part, {spelt}):"]
        called = indexed(builder.network, stem, model) if stem else builder.network
        part = _slice(first, last - len(members) + 1)
        inner = write(f"part.{rest}" if rest else "part")
        indent = "        " if test else "    "
        return [f"for part in {called}{part}:", *test, *(f"{indent}{line}" for line in inner)]
    return []


def _numbers(names: Iterable[str], stem: str, rest: str) -> list[int]:
    """Return the places of a list that some names go through; none where one goes elsewhere."""
    head, tail = f"{stem}." if stem else "", f".{rest}" if rest else ""
    found = []
    for name in names:
        number = name.removeprefix(head).removesuffix(tail)
        if not number.isdigit() or name != f"{head}{number}{tail}":
            return []
        found.append(int(number))
    return sorted(found)


def _slice(first: int, behind: int) -> str:
    """Write a part of a list: ``[1:-1]``; nothing for all of it."""
    if not first and not behind:
        return ""
    return f"[{first or ''}:{behind or ''}]"
