"""An experiment as bytes, with the user's own modules inside it."""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from unvanish.core.places import SourceLine
from unvanish.core.stack import Owner, owner_of
from unvanish.recipe.record import Recipe


class NotShippableError(Exception):
    """An experiment cannot be given to a fresh process; the reason is a clause."""


def shipped(experiment: Any, pickler: Any = None) -> bytes:
    """Return an experiment as bytes that a process without its files can open.

    Args:
        experiment: Anything; functions and classes of the user's own files go by value. Of a
            recipe goes what makes networks; its data are frozen in the experiment.
        pickler: The module whose ``CloudPickler`` is used; None for cloudpickle, where it is
            installed.

    Returns:
        Bytes that ``pickle.loads`` opens where the pickler is installed.

    Raises:
        NotShippableError: If there is no pickler, or it cannot pickle the experiment.
    """
    try:
        pickler = pickler or importlib.import_module("cloudpickle")
    except ImportError:
        raise NotShippableError("cloudpickle is not installed") from None

    class Light(pickler.CloudPickler):  # type: ignore[misc]
        def reducer_override(self, thing: Any) -> Any:
            lighter = _lighter(thing)
            return super().reducer_override(thing) if lighter is None else lighter

    parcel = io.BytesIO()
    try:
        with by_value(pickler):
            Light(parcel).dump(experiment)
    except Exception as error:  # a pickler may raise anything, and calls the user's code
        text = (str(error).splitlines() or [""])[0][:200]
        raise NotShippableError(f"it cannot be pickled ({type(error).__name__}: {text})") from None
    return parcel.getvalue()


@contextmanager
def by_value(pickler: Any) -> Iterator[None]:
    """Let a pickler write out the functions and classes of the user's own modules.

    Args:
        pickler: cloudpickle, or a module with the same functions to register.

    Yields:
        Nothing. Modules that were registered before stay registered.
    """
    known = set(pickler.list_registry_pickle_by_value())
    registered: list[ModuleType] = []
    try:
        for module in users_modules():
            if module.__name__ not in known:
                pickler.register_pickle_by_value(module)
                registered.append(module)
        yield
    finally:
        for module in registered:
            pickler.unregister_pickle_by_value(module)


def users_modules() -> list[ModuleType]:
    """Return the imported modules of the user's own files, neither libraries' nor ours.

    `__main__` is not among them: picklers write it out in any case.
    """
    return [
        module
        for name, module in list(sys.modules.items())
        if name != "__main__" and _is_users(name, module)
    ]


def _is_users(name: str, module: ModuleType) -> bool:
    file = getattr(module, "__file__", None)
    if not isinstance(file, str) or not Path(file).is_absolute():  # `torch.ops` has a file of air
        return False
    if name.partition(".")[0] == "unvanish":
        return False
    return getattr(module, "__name__", "") == name and owner_of(file) is Owner.USER


def _lighter(thing: Any) -> tuple[Any, ...] | None:
    """Return how to write something of ours that does not travel; None for all else."""
    if isinstance(thing, Recipe):
        left = {"data": None, "more": None, "redraw": None, "batch": None}
        kept = {field.name: getattr(thing, field.name) for field in fields(thing)}
        return _recipe, (kept | left,)
    if isinstance(thing, WeakKeyDictionary) and all(
        isinstance(line, SourceLine) for line in list(thing.values())
    ):  # where the modules were built: it is keyed by what may be gone
        return WeakKeyDictionary, ()
    return None


def _recipe(values: dict[str, Any]) -> Recipe:
    return Recipe(**values)
