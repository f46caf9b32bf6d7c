"""The names a recipe may use, and what to say of names that were meant to be among them."""

from __future__ import annotations

import inspect
from difflib import SequenceMatcher
from types import FunctionType, ModuleType
from typing import Final

from unvanish.core.errors import TargetError
from unvanish.core.stack import display_path
from unvanish.recipe.address import Address
from unvanish.recipe.suggest import listing
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
    "STEPS",
)
"""Everything a recipe may offer."""

_OWN_WORDS: Final = frozenset({"STEPS"})
"""Names that people use for things of their own, in any case and with any value."""
_OTHER_WORDS: Final = {"optimiser": "optimizer"}


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


def own_names(module: ModuleType) -> dict[str, Foreign]:
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


def check_spelling(owner: object, parts: dict[str, Foreign], address: Address) -> None:
    """Raise a `TargetError` where a slip of the pen would be silently ignored."""
    slips = misspelt(owner, names=set(parts))
    if slips:
        raise spelling_error(*slips[0], address.text, owner)


def misspelt(owner: object, *, names: set[str]) -> list[tuple[str, str]]:
    """Return (as written, as meant) for names that would be silently ignored."""
    if isinstance(owner, ModuleType):
        public = own_names(owner)
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
        return "" if name.upper() in _OWN_WORDS else name.upper()
    if name.isupper() and not callable(thing):
        return next((c for c in RECIPE_NAMES if c.isupper() and _is_slip(name, c)), "")
    folded = _OTHER_WORDS.get(name.casefold(), name.casefold())
    verbs = [verb for verb in RECIPE_NAMES if not verb.isupper()]
    if folded in verbs:
        is_constant = name.isupper() and not callable(thing)
        return "" if is_constant or isinstance(thing, str | int | float) else folded
    if not callable(thing):
        return ""
    # Neither a plural nor a beginning: `metrics` and `optimize` are words of their own.
    near = (v for v in verbs if folded != f"{v}s" and not v.startswith(folded))
    return next((v for v in near if SequenceMatcher(None, folded, v).ratio() >= 0.85), "")


def _is_slip(name: str, constant: str) -> bool:
    """Tell whether a constant has letters exchanged, or is long and nearly right."""
    if name == constant or constant in _OWN_WORDS:
        return False
    near = SequenceMatcher(None, name, constant).ratio() >= 0.85
    return sorted(name) == sorted(constant) or (near and len(constant) > 7)


def spelling_error(name: str, meant: str, place: str, owner: object) -> TargetError:
    """Return the error about one misspelt name."""
    return TargetError(
        f"a recipe has no {name!r}, and it would be ignored",
        where=line_of(getattr(owner, name)) or place,
        help=f"did you mean {meant}? A recipe may have {listing(RECIPE_NAMES, most=20)}",
    )
