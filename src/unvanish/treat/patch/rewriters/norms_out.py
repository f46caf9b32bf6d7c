"""Write `nn.Identity` where a normalisation is made."""

from __future__ import annotations

import ast
from collections.abc import Collection
from typing import Final

from unvanish.treat.patch.source import NoSafeEditError, Source
from unvanish.treat.patch.work import Work

REMEDIES: Final = frozenset({"drop-norm"})


def rewrite(work: Work) -> None:
    """Exchange each normalisation that goes for a module that does nothing.

    Raises:
        NoSafeEditError: If one is no module of torch.nn, or its line makes others that stay.
    """
    places = frozenset(work.prescription.places)
    norms = work.anatomy.norms
    if not places.issubset(site.path for site in norms):
        raise NoSafeEditError(
            f"the normalisation is written out in a class of your own: {_by_hand(work, places)}"
        )
    done: set[tuple[str, int]] = set()
    for site in norms:
        if site.path not in places:
            continue
        wanted = f"torch.nn.{site.module}"
        if site.built is None or "Norm" not in site.module:
            raise NoSafeEditError(f"{site.name} is called as a function")
        for other in norms:
            if other.path not in places and other.built == site.built:
                raise NoSafeEditError(
                    f"{site.built} also makes {other.name}, which stays: {_by_hand(work, places)}"
                )
        source = work.source(site.built)
        if (site.built.file, site.built.line) not in done:
            _exchange(source, site.built.line, wanted)
        done.add((site.built.file, site.built.line))


def _by_hand(work: Work, places: Collection[str]) -> str:
    """Say what to write where one line makes normalisations that go and such that stay."""
    kind = type(work.model)
    is_own = not kind.__module__.startswith("torch.")
    name = "self" if is_own else "model"
    where = f"at the end of {kind.__name__}.__init__" if is_own else "behind what makes the network"
    lines = "; ".join(f"{_named(name, path)} = nn.Identity()" for path in sorted(places))
    return f"write {lines} {where}"


def _named(name: str, path: str) -> str:
    """Write the path ``blocks.2.norm`` as code: ``self.blocks[2].norm``."""
    parts = (f"[{part}]" if part.isdigit() else f".{part}" for part in path.split("."))
    return name + "".join(parts)


def _exchange(source: Source, line: int, wanted: str) -> None:
    calls = [c for c in source.nodes(ast.Call, line) if source.meaning(c.func) == wanted]
    if not calls:
        raise NoSafeEditError(f"line {line} makes the normalisation in a way that is not followed")
    for call in calls:
        source.replace(call, f"{source.spell('torch.nn.Identity')}()")
