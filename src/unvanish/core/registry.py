"""Collect what a protocol asks for: the built-in members and those of other packages.

Built-ins stand in an explicit typed tuple beside their own code. Other packages offer
theirs through an entry point, and need not import `unvanish` to do so:

    [project.entry-points."unvanish.rules"]
    AC101 = "acme.rules:SlowStart"
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from unvanish.core.errors import UnvanishError

T = TypeVar("T")


@dataclass(frozen=True)
class Collected(Generic[T]):
    """All members of one kind.

    Attributes:
        members: Built-ins first, then the members of other packages by entry-point name.
        broken: Entry-point name to the reason why it could not be used.
    """

    members: tuple[T, ...]
    broken: Mapping[str, UnvanishError] = field(default_factory=dict)


def collect(
    builtins: Iterable[T], *, group: str, protocol: type[Any], key: Callable[[T], str]
) -> Collected[T]:
    """Collect the built-in members of one kind and those that other packages offer.

    A broken plug-in never takes the healthy ones down with it: it is reported in
    `Collected.broken`.

    Args:
        builtins: The members that ship with the package.
        group: Entry-point group, such as ``"unvanish.rules"``.
        protocol: The protocol class a member has to satisfy; checked by attribute name.
        key: What identifies a member, such as its code.

    Returns:
        The members and the entry points that could not be used.

    Raises:
        UnvanishError: If two members have the same key.
    """
    members: list[T] = []
    owners: dict[str, str] = {}

    def add(member: T, owner: str) -> None:
        name = key(member)
        if name in owners:
            raise UnvanishError(
                f"{name} is claimed twice: by {owners[name]} and by {owner}",
                where=f"entry points {group!r}",
                help=f"uninstall one of the two, or give one a code other than {name}",
            )
        owners[name] = owner
        members.append(member)

    for member in builtins:
        add(member, "unvanish")
    broken: dict[str, UnvanishError] = {}
    for point in sorted(entry_points(group=group), key=lambda point: (point.name, point.value)):
        loaded = _load(point, protocol)
        if isinstance(loaded, UnvanishError):
            broken[point.name] = loaded
        else:
            add(loaded, _owner(point))
    return Collected(tuple(members), broken)


def lacking(member: object, protocol: type[Any]) -> tuple[str, ...]:
    """Name the attributes that a protocol asks for and a member does not have."""
    wanted = {*inspect.get_annotations(protocol), *vars(protocol)}
    return tuple(sorted(n for n in wanted if not n.startswith("_") and not hasattr(member, n)))


def _owner(point: EntryPoint) -> str:
    return f"{point.dist.name if point.dist else 'a plug-in'} ({point.value})"


def _load(point: EntryPoint, protocol: type[Any]) -> Any:
    """Load one entry point to an instance, or return the error that says why it failed."""
    where = f"entry point {point.name!r} of {_owner(point)}"
    try:
        loaded = point.load()
        member = loaded() if inspect.isclass(loaded) else loaded
    except Exception as error:  # a plug-in may raise anything while it is imported
        return UnvanishError(
            f"a plug-in could not be loaded: {type(error).__name__}: {error}",
            where=where,
            help=f'python -c "import {point.module}" shows the whole traceback',
        )
    missing = lacking(member, protocol)
    if missing:
        return UnvanishError(
            f"a plug-in is no {protocol.__name__.lower()}: it lacks {', '.join(missing)}",
            where=where,
            help=f"let the entry point name a class with {', '.join(missing)}",
        )
    return member
