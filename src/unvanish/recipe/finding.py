"""Find the network, or the recipe, in an imported module."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from types import FunctionType, ModuleType
from typing import Final

from torch import nn

from unvanish.core.errors import TargetError
from unvanish.core.stack import display_path
from unvanish.recipe.address import Address
from unvanish.recipe.suggest import listing, nearest
from unvanish.recipe.usercode import Foreign

RECIPE_NAMES: Final = (
    "model",
    "batch",
    "data",
    "loss",
    "optimizer",
    "metric",
    "GOAL",
    "HIGHER_IS_BETTER",
    "CLIP_GRAD_NORM",
    "AUTOCAST",
)
"""Everything a recipe may offer."""

_OTHER_WORDS: Final = {"optimiser": "optimizer"}
_LOSS_WORDS: Final = ("criterion", "loss_fn", "loss_function")
_FACTORY: Final = re.compile(r"(build|make|create|get)_?\w*(model|net)\w*$|(build|make|create)$")
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
    """

    owner: str
    model: Foreign
    model_name: str
    rest: _Found = field(default_factory=dict)
    inferred: tuple[str, ...] = ()


def find(module: ModuleType, address: Address) -> Parts:
    """Find what an address means in its module.

    Args:
        module: The imported module.
        address: With or without a name.

    Returns:
        The parts of the recipe; of a bare network or factory, only the model.

    Raises:
        TargetError: If the name is missing, nothing in the module is a network, or
            several things are and none was named.
    """
    if not address.name:
        return _from_module(module, address)
    thing = _look_up(module, address)
    if isinstance(thing, nn.Module) or _is_network_class(thing):
        return Parts(address.place, thing, address.name)
    owner = thing
    if inspect.isclass(thing) and (_recipe_parts(thing) or _misspelt(thing, names=set())):
        owner = _instance(thing, address)
    if not isinstance(owner, FunctionType | ModuleType) and (
        inspect.isclass(thing) or not callable(owner)
    ):
        parts = _recipe_parts(owner)
        _check_spelling(owner, parts, address)
        if parts:
            model = parts.pop("model", None)
            if model is None:
                raise TargetError(
                    f"the recipe {address.name} has no model",
                    where=line_of(thing),
                    help=f"add to {address.name}: def model(self): return Net()",
                )
            return Parts(address.name, model, f"{address.name}.model", parts)
    if callable(thing):
        return Parts(address.place, thing, address.name)
    raise TargetError(
        f"{address.name} is {_a(thing)}, not a network, a factory or a recipe",
        where=address.text,
        help=_choices(module, address) or "def model(): return Net()",
    )


def line_of(thing: object) -> str:
    """Return ``file.py:12``, where a class or function is defined; empty if not known."""
    thing = inspect.unwrap(thing) if callable(thing) else thing
    try:
        if inspect.isclass(thing):
            _, line = inspect.getsourcelines(thing)
            return f"{display_path(inspect.getfile(thing))}:{line}"
    except (OSError, TypeError):
        return ""
    code = getattr(getattr(thing, "__func__", thing), "__code__", None)
    return f"{display_path(code.co_filename)}:{code.co_firstlineno}" if code is not None else ""


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
    own = _own_names(module)
    parts = _recipe_parts(module)
    inferred: tuple[str, ...] = ()
    model, name = parts.pop("model", None), "model"
    if model is None:
        model, name, inferred = _only_network(own, module, address)
    _check_spelling(module, {"model": model, **parts}, address)
    word = next((w for w in _LOSS_WORDS if callable(own.get(w))), "")
    if word and "loss" not in parts:
        parts["loss"] = own[word]
        inferred += (f"the loss is {word}, as {address.place} names it",)
    return Parts(address.place, model, name, parts, inferred)


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
            + "\n".join(f"  unvanish check {address.named(name)}" for name in everything),
        )
    misspelt = _misspelt(module, names=set())
    if misspelt:
        raise _spelling_error(*misspelt[0], address.place, module)
    raise TargetError(
        f"{address.place} holds no network: no nn.Module, no class of one, no factory",
        where=address.text,
        help=f"add to {address.place}: def model(): return Net()",
    )


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


def _own_names(module: ModuleType) -> _Found:
    """Return the public names that a module defines rather than imports."""
    return {
        name: thing
        for name, thing in vars(module).items()
        if not name.startswith("_")
        and not isinstance(thing, ModuleType)
        and (
            not (inspect.isclass(thing) or isinstance(thing, FunctionType))
            or thing.__module__ == module.__name__
        )
    }


def _recipe_parts(owner: object) -> _Found:
    parts = {name: getattr(owner, name, None) for name in RECIPE_NAMES}
    return {
        name: part
        for name, part in parts.items()
        if part is not None and not isinstance(part, ModuleType)
    }


def _look_up(module: ModuleType, address: Address) -> Foreign:
    thing: Foreign = module
    walked = address.place
    for name in address.name.split("."):
        try:
            thing = getattr(thing, name)
        except AttributeError:
            there = (
                list(_own_names(module))
                if thing is module
                else [n for n in dir(thing) if not n.startswith("_")]
            )
            close = nearest(name, there)
            separator = ":" if thing is module else "."
            raise TargetError(
                f"{walked} has no {name!r}",
                where=address.text,
                help=f"did you mean unvanish check {walked}{separator}{close[0]}?"
                if close
                else (_choices(module, address) or f"it has {listing(there) or 'nothing'}"),
            ) from None
        walked = f"{walked}{':' if walked == address.place else '.'}{name}"
    return thing


def _choices(module: ModuleType, address: Address) -> str:
    groups = _candidates(_own_names(module))
    names = list(dict.fromkeys(name for group in groups for name in group))
    return "it has " + listing(f"{address.named(name)}" for name in names) if names else ""


def _instance(cls: type, address: Address) -> object:
    needed = required_arguments(cls)
    if needed:
        raise TargetError(
            f"the recipe {cls.__name__} needs arguments: {', '.join(needed)}",
            where=line_of(cls),
            help=f"recipe = {cls.__name__}({', '.join(f'{n}=...' for n in needed)})\n"
            f"  then: unvanish check {address.named('recipe')}",
        )
    return cls()


def _check_spelling(owner: object, parts: _Found, address: Address) -> None:
    misspelt = _misspelt(owner, names=set(parts))
    if misspelt:
        raise _spelling_error(*misspelt[0], address.text, owner)


def _misspelt(owner: object, *, names: set[str]) -> list[tuple[str, str]]:
    """Return (as written, as meant) for names that would be silently ignored."""
    if isinstance(owner, ModuleType):
        public = _own_names(owner)
    else:
        public = {n: getattr(owner, n, None) for n in dir(owner) if not n.startswith("_")}
    return [
        (name, meant)
        for name, thing in public.items()
        if name not in RECIPE_NAMES and not inspect.isclass(thing)
        for meant in [_meant(name, thing)]
        if meant and meant not in names and not (meant == "batch" and "data" in names)
    ]


def _meant(name: str, thing: object) -> str:
    """Return the recipe name that was probably meant; empty if the name is no slip of one."""
    if not callable(thing) and name.upper() in RECIPE_NAMES:
        return name.upper()
    folded = _OTHER_WORDS.get(name.casefold(), name.casefold())
    verbs = [verb for verb in RECIPE_NAMES if not verb.isupper()]
    if folded in verbs:
        return "" if isinstance(thing, str | int | float) else folded
    if not callable(thing):
        return ""
    # Neither a plural nor a beginning: `metrics` and `optimize` are words of their own.
    near = (v for v in verbs if folded != f"{v}s" and not v.startswith(folded))
    return next((v for v in near if SequenceMatcher(None, folded, v).ratio() >= 0.85), "")


def _spelling_error(name: str, meant: str, place: str, owner: object) -> TargetError:
    return TargetError(
        f"a recipe has no {name!r}, and it would be ignored",
        where=line_of(getattr(owner, name)) or place,
        help=f"did you mean {meant}? A recipe may have {listing(RECIPE_NAMES, most=20)}",
    )


def _a(thing: object) -> str:
    name = type(thing).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
