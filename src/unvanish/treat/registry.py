"""The remedies there are, by name, and the order in which several are applied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, TypeVar

from unvanish.core.errors import UnvanishError
from unvanish.core.prescriptions import Change
from unvanish.core.registry import Collected, collect
from unvanish.treat.aliases import nearest
from unvanish.treat.protocol import Remedy
from unvanish.treat.surgery import CannotTreatError

T = TypeVar("T")

_NEAREST: Final = 3

GROUP = "unvanish.remedies"
"""Entry-point group in which other packages offer theirs."""


_ORDER: Final = (
    Change.DATA,
    Change.GRAPH,
    Change.LOSS,
    Change.ACTIVATION,
    Change.NORMALISATION,
    Change.INITIALISATION,
    Change.PATH,
    Change.PRECISION,
    Change.OPTIMISER,
)


@lru_cache(maxsize=1)
def collected() -> Collected[Remedy]:
    """Return every remedy, built in or installed, and the plug-ins that could not be used."""
    from unvanish.treat.remedies import BUILTIN_REMEDIES

    return collect(BUILTIN_REMEDIES, group=GROUP, protocol=Remedy, key=lambda remedy: remedy.name)


def remedies() -> tuple[Remedy, ...]:
    """Return every remedy that can be used."""
    return collected().members


def remedy_of(name: str) -> Remedy:
    """Return a remedy by name.

    Args:
        name: As `unvanish fix --remedy NAME` takes it; ``_`` and capitals are forgiven.

    Raises:
        UnvanishError: If there is none; the nearest names are told.
    """
    wanted = name.strip().lower().replace("_", "-").replace(" ", "-")
    known = {remedy.name: remedy for remedy in remedies()}
    if wanted in known:
        return known[wanted]
    near = [one for one in nearest(wanted, known) if one in known][:_NEAREST]
    nearby = f"the nearest {'are' if len(near) > 1 else 'is'} {', '.join(near)}"
    raise UnvanishError(
        f"there is no remedy {name!r}",
        where=nearby if near else "",
        help="unvanish explain remedies  lists them all",
    )


def ordered(chosen: Sequence[T], *, key: Callable[[T], Remedy]) -> list[T]:
    """Sort remedies so that each comes after those it wants to come after.

    Otherwise what a layer computes comes first, then the values it starts from, then what leads
    round it, then how it is trained.

    Args:
        chosen: What to sort; equals keep their order.
        key: The remedy of each.

    Raises:
        CannotTreatError: If two exclude each other, or one is named twice.
    """
    by_name: dict[str, T] = {}
    for one in chosen:
        remedy = key(one)
        if remedy.name in by_name:
            raise CannotTreatError(f"{remedy.name} is asked for twice")
        by_name[remedy.name] = one
    for first, one in by_name.items():
        for second in key(one).excludes & by_name.keys():
            raise CannotTreatError(f"{first} and {second} cannot be combined")
    done: list[T] = []
    waiting = dict(sorted(by_name.items(), key=lambda item: _ORDER.index(key(item[1]).change)))
    while waiting:
        ready = next(
            (each for each, one in waiting.items() if not key(one).after & waiting.keys() - {each}),
            next(iter(waiting)),
        )
        done.append(waiting.pop(ready))
    return done
