"""Find the network, or the recipe, in an imported module."""

from __future__ import annotations

import inspect
import pkgutil
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import FunctionType, ModuleType
from typing import Final

import torch
from torch import nn

from unvanish.core.errors import TargetError
from unvanish.recipe.address import Address
from unvanish.recipe.names import (
    RECIPE_NAMES,
    check_spelling,
    line_of,
    misspelt,
    own_names,
    spelling_error,
)
from unvanish.recipe.suggest import command, listing, nearest
from unvanish.recipe.usercode import Foreign

_LOSS_WORDS: Final = ("criterion", "loss_fn", "loss_function")
_FACTORY: Final = re.compile(r"(build|make|create|get)_?\w*(model|net)\w*$|(build|make|create)$")
_GUARD: Final = re.compile(r"(?m)^if\s+__name__\s*==")
_MOST_MODULES: Final = 8
_Found = dict[str, Foreign]


@dataclass(frozen=True)
class Parts:
    """What a target offers: something that makes the model, and the rest of a recipe.

    Attributes:
        owner: Name of the module, class or object the parts were taken from.
        model: A module, or a callable that makes one; None if there is none.
        model_name: How the user's file names it.
        rest: The other parts of the recipe by name.
        inferred: What was chosen where the target did not say.
        in_class: Whether the parts are methods of a class.
        shared: Names of the parts that the file holds beside a network that was named.
        loaders: Names of the module's DataLoaders.
    """

    owner: str
    model: Foreign
    model_name: str
    rest: _Found = field(default_factory=dict)
    inferred: tuple[str, ...] = ()
    in_class: bool = False
    shared: tuple[str, ...] = ()
    loaders: tuple[str, ...] = ()


def find(module: ModuleType, address: Address) -> Parts:
    """Find what an address means in its module.

    Args:
        module: The imported module.
        address: With or without a name.

    Returns:
        The parts of the recipe. A network, class or factory that was named takes what
        else its module offers; a class that is a recipe itself takes nothing.

    Raises:
        TargetError: If the name is missing, nothing in the module is a network, or
            several things are and none was named.
    """
    if not address.name:
        return _from_module(module, address)
    thing = _look_up(module, address)
    if isinstance(thing, nn.Module) or _is_network_class(thing):
        return _with_module(thing, module, address)
    owner = thing
    if inspect.isclass(thing) and (_recipe_parts(thing) or misspelt(thing, names=set())):
        owner = _instance(thing, address)
    if not isinstance(owner, FunctionType | ModuleType) and (
        inspect.isclass(thing) or not callable(owner)
    ):
        parts = _recipe_parts(owner)
        check_spelling(owner, parts, address)
        if parts:
            model = parts.pop("model", None)
            if model is None:
                raise TargetError(
                    f"the recipe {address.name} has no model",
                    where=line_of(thing),
                    help=f"add to {address.name}: def model(self): return Net()",
                )
            return Parts(address.name, model, f"{address.name}.model", parts, in_class=True)
    if callable(thing):
        return _with_module(thing, module, address)
    raise TargetError(
        f"{address.name} is {_a(thing)}, not a network, a factory or a recipe",
        where=address.text,
        help=_choices(module, address) or "def model(): return Net()",
    )


def required_arguments(function: Foreign) -> list[str]:
    """Return the arguments that a call cannot leave out; ``seed`` is not one of them."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    return [
        p.name
        for p in parameters
        if p.default is p.empty
        and p.kind not in {p.VAR_POSITIONAL, p.VAR_KEYWORD}
        and p.name != "seed"
    ]


def _from_module(module: ModuleType, address: Address) -> Parts:
    own = own_names(module)
    parts, aside = _without_namesakes(_recipe_parts(module), address)
    inferred: tuple[str, ...] = ()
    model, name = parts.pop("model", None), "model"
    if model is None:
        model, name, inferred = _only_network(own, module, address)
    check_spelling(module, {"model": model, **parts}, address)
    inferred += aside
    if word := _take_loss(own, parts):
        inferred += (f"the loss is {word}, as {address.place} names it",)
    return Parts(address.place, model, name, parts, inferred, loaders=_loaders(own))


def _with_module(thing: Foreign, module: ModuleType, address: Address) -> Parts:
    """Join a network that was named with what else its module offers."""
    own = own_names(module)
    parts, aside = _without_namesakes(_recipe_parts(module), address)
    parts.pop("model", None)
    if address.is_users:
        check_spelling(module, {"model": None, **parts}, address)
    parts = {name: part for name, part in parts.items() if part is not thing}
    shared: list[str] = [name for name in RECIPE_NAMES if name in parts]
    if word := _take_loss(own, parts):
        shared.append(word)
    return Parts(
        address.place,
        thing,
        address.name,
        parts,
        inferred=aside,
        shared=tuple(shared),
        loaders=_loaders(own),
    )


def _take_loss(own: _Found, parts: _Found) -> str:
    """Put a loss that goes by another name among the parts, and return that name."""
    word = next((w for w in _LOSS_WORDS if callable(own.get(w))), "")
    if not word or "loss" in parts:
        return ""
    parts["loss"] = own[word]
    return word


def _loaders(own: _Found) -> tuple[str, ...]:
    return tuple(n for n, thing in own.items() if isinstance(thing, torch.utils.data.DataLoader))


def _only_network(
    own: _Found, module: ModuleType, address: Address
) -> tuple[Foreign, str, tuple[str, ...]]:
    groups = _candidates(own)
    everything = {name: thing for group in groups for name, thing in group.items()}
    chosen: _Found = next((group for group in groups if group), {})
    if len(chosen) == 1:
        name, thing = next(iter(chosen.items()))
        others = sorted(set(everything) - {name})
        note = f"the network is {name}; {listing(others)} could be named too" if others else ""
        return thing, name, (note,) if note else ()
    if chosen:
        raise TargetError(
            f"{address.place} holds {len(everything)} networks: {listing(everything)}",
            where=address.text,
            help="name one:\n"
            + "\n".join(f"  {command(address.named(name))}" for name in everything),
        )
    slips = misspelt(module, names=set())
    if slips:
        raise spelling_error(*slips[0], address.place, module)
    raise TargetError(
        f"{address.place} holds no network: no nn.Module, no class of one, no factory",
        where=address.text if address.file is not None else "",
        help=_where_to_look(module, address),
    )


def _where_to_look(module: ModuleType, address: Address) -> str:
    """Return what to name where a module holds no network itself."""
    folders = [str(folder) for folder in getattr(module, "__path__", ())]
    below = [m.name for m in pkgutil.iter_modules(folders) if not m.name.startswith("_")]
    dotted = address.module or module.__name__
    if below and len(below) <= _MOST_MODULES:
        lines = [f"  {command(f'{dotted}.{name}')}" for name in below]
        return "\n".join(["name the module that holds the network:", *lines])
    if not address.is_users:
        return (
            "write in a file of your own, net.py:\n"
            f"  import {dotted}\n  def model(): return {dotted}.NAME(...)\n"
            f"  then: {command('net.py')}"
        )
    above = (
        ', above `if __name__ == "__main__":`, whose block is not run'
        if _is_guarded(module)
        else ""
    )
    return f"add to {address.place}{above}: def model(): return Net()"


def _is_guarded(module: ModuleType) -> bool:
    """Tell whether a part of a file runs only where it is started as a script."""
    try:
        return bool(_GUARD.search(inspect.getsource(module)))
    except (OSError, TypeError):
        return False


def _candidates(own: _Found) -> list[_Found]:
    """Group what could be meant, the likeliest group first."""
    instances = {
        name: thing
        for name, thing in own.items()
        if isinstance(thing, nn.Module) and any(True for _ in thing.parameters())
    }
    factories = {
        name: thing
        for name, thing in own.items()
        if isinstance(thing, FunctionType) and _FACTORY.match(name.lower())
    }
    classes = {name: thing for name, thing in own.items() if _is_network_class(thing)}
    ready = [
        {name: thing for name, thing in group.items() if not required_arguments(thing)}
        for group in (factories, classes)
    ]
    return [instances, *ready, factories, classes]


def _is_network_class(thing: object) -> bool:
    return (
        inspect.isclass(thing)
        and issubclass(thing, nn.Module)
        and not issubclass(thing, nn.modules.loss._Loss)
    )


def _recipe_parts(owner: object) -> _Found:
    parts = {name: getattr(owner, name, None) for name in RECIPE_NAMES}
    return {
        name: part
        for name, part in parts.items()
        if part is not None and not isinstance(part, ModuleType)
    }


def _without_namesakes(parts: _Found, address: Address) -> tuple[_Found, tuple[str, ...]]:
    """Leave out what a module calls by the name of a part although it is none.

    ``data = load_digits()`` is a dict of arrays, ``data = "digits.csv"`` a path. The names of
    a script are its own, so what cannot be meant is left aside, and said: so is the tensor that a
    training loop left behind as ``loss``, and where a network was named, ``batch = 64``.
    """
    numbers = {"batch": (int, float, str), "loss": (int, float, torch.Tensor)}
    aside = {
        name
        for name, part in parts.items()
        if (name == "data" and not callable(part) and not _may_be_batches(part))
        or (address.name and isinstance(part, numbers.get(name, ())))
        or (name == "loss" and isinstance(part, torch.Tensor))
    }
    said = tuple(
        f"{name} in {address.place} is {_a(parts[name])}, "
        f"{'not batches' if name == 'data' else f'not a {name}'}: left aside"
        for name in parts
        if name in aside
    )
    return {name: part for name, part in parts.items() if name not in aside}, said


def _may_be_batches(thing: object) -> bool:
    """Tell whether something could give batches when it is walked through."""
    if isinstance(thing, torch.utils.data.Dataset):
        return True  # which it nearly is: the error says what is missing
    is_table = isinstance(thing, Mapping | str | bytes | torch.Tensor) or hasattr(thing, "shape")
    return not is_table and (hasattr(thing, "__iter__") or hasattr(thing, "__getitem__"))


def _look_up(module: ModuleType, address: Address) -> Foreign:
    thing: Foreign = module
    walked = address.place
    for name in address.name.split("."):
        try:
            thing = getattr(thing, name)
        except AttributeError:
            there = (
                list(own_names(module))
                if thing is module
                else [n for n in dir(thing) if not n.startswith("_")]
            )
            close = nearest(name, there)
            separator = ":" if thing is module else "."
            raise TargetError(
                f"{walked} has no {name!r}",
                where=address.text,
                help=f"did you mean {command(f'{walked}{separator}{close[0]}')}?"
                if close
                else (_choices(module, address) or f"it has {listing(there) or 'nothing'}"),
            ) from None
        walked = f"{walked}{':' if walked == address.place else '.'}{name}"
    return thing


def _choices(module: ModuleType, address: Address) -> str:
    groups = _candidates(own_names(module))
    names = list(dict.fromkeys(name for group in groups for name in group))
    return "it has " + listing(f"{address.named(name)}" for name in names) if names else ""


def _instance(cls: type, address: Address) -> object:
    needed = required_arguments(cls)
    if needed:
        raise TargetError(
            f"the recipe {cls.__name__} needs arguments: {', '.join(needed)}",
            where=line_of(cls),
            help=f"recipe = {cls.__name__}({', '.join(f'{n}=...' for n in needed)})\n"
            f"  then: {command(address.named('recipe'))}",
        )
    return cls()


def _a(thing: object) -> str:
    name = type(thing).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
