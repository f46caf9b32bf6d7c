"""The repeated blocks of a network, and the same network with fewer or more of them.

Blocks are entries of `nn.Sequential`, `nn.ModuleList` and `nn.ModuleDict`, or modules with numbered
names (``layer1``, ``layer2``), that follow each other and are built alike: the same classes, the
same names and shapes of parameters, the same `repr`. They may come in a pattern of several, such
as ``Linear, Sigmoid, Linear, Sigmoid``. Lists of equal length in one module, such as ``convs`` and
``norms``, are one pattern, since code walks them together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import nn

from unvanish.core.depths import Stack
from unvanish.core.errors import UnvanishError
from unvanish.observe.optimizer import stepping

Counts = tuple[int, ...]
"""How many blocks of every stack."""

_NUMBERED: Final = re.compile(r"(.*?)(\d+)$")
_CONTAINERS: Final = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
_LONGEST_PATTERN: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeats:
    """A run of equal blocks, as places in a network.

    Attributes:
        rails: Paths of the containers that hold them side by side; mostly one.
        names: Names of the entries of every rail, from the first block to the last.
        period: Entries of one block on every rail.
        count: How many blocks.
        numbered: Whether they are attributes of a module that calls each by its name.
    """

    rails: tuple[str, ...]
    names: tuple[tuple[str, ...], ...]
    period: int
    count: int
    numbered: bool = False

    def block(self, model: nn.Module, place: int) -> list[nn.Module]:
        """Return the modules of one block."""
        first = place * self.period
        return [
            getattr_path(model, rail)._modules[name]  # type: ignore[misc]
            for rail, names in zip(self.rails, self.names, strict=True)
            for name in names[first : first + self.period]
        ]

    def told(self, model: nn.Module) -> Stack:
        """Return what a person is told of it."""
        rail = f"{self.rails[0]}." if self.rails[0] else ""
        more = "".join(f", {rail_}" for rail_ in self.rails[1:])
        kinds = [type(module).__name__ for module in self.block(model, 0)]
        return Stack(
            name=f"{rail}{self.names[0][0]} … {rail}{self.names[0][-1]}{more}",
            kind=", ".join(kinds),
            blocks=self.count,
        )


def repeats(model: nn.Module) -> tuple[Repeats, ...]:
    """Find the repeated blocks of a network; those within a repeated block are part of it.

    Args:
        model: Any network.

    Returns:
        Runs of two and more blocks that have parameters, in the order of registration.
    """
    return tuple(_found(model, "", set()))


def resized(
    model: nn.Module,
    runs: Sequence[Repeats],
    counts: Counts,
    *,
    donor: Callable[[int], nn.Module],
    optimizer: torch.optim.Optimizer | None = None,
) -> None:
    """Change the number of blocks of a network, in place.

    Blocks that are taken away are the last of their run. Blocks that are added go behind it, and
    come from a network that was built anew, so that no two start with equal weights.

    Args:
        model: The network.
        runs: What `repeats` found in it.
        counts: How many blocks each run is to have, at least 1.
        donor: Builds the network with other initial weights, from 1 on.
        optimizer: Of this network; loses the parameters that go, and gets those that come into
            the group of the block they are like.

    Raises:
        UnvanishError: If blocks are to be added and the network cannot be built anew.
    """
    built: dict[int, nn.Module] = {}
    counted = {
        rail: _is_counted(getattr_path(model, rail))
        for run in runs
        for rail in run.rails
        if not run.numbered
    }
    for run, count in zip(runs, counts, strict=True):
        added: list[list[nn.Module]] = []
        for place in range(run.count, count):
            lap, like = divmod(place, run.count)
            if lap not in built:
                built[lap] = donor(lap)
            new, old = run.block(built[lap], like), run.block(model, like)
            _must_differ(old, new)
            if optimizer is not None:
                _enrol(optimizer, old, new)
            added.append(new)
        (_renamed if run.numbered else _relisted)(model, run, count, added)
    for rail in (rail for rail, is_counted in counted.items() if is_counted):
        modules = getattr_path(model, rail)._modules
        kept = list(modules.values())
        modules.clear()
        modules.update((str(place), module) for place, module in enumerate(kept))
    if optimizer is not None:
        _dismiss(optimizer, model)


def _is_counted(container: nn.Module) -> bool:
    """Tell whether the entries of a container are named by their place."""
    return list(container._modules) == [str(k) for k in range(len(container._modules))]


def getattr_path(model: nn.Module, path: str) -> nn.Module:
    """Return a module by its path; the network itself for ``""``."""
    return model.get_submodule(path)


def _found(module: nn.Module, path: str, seen: set[int]) -> Iterator[Repeats]:
    if id(module) in seen:
        return
    seen.add(id(module))
    covered: set[str] = set()
    for run in _own(module, path):
        yield run
        covered.update(
            f"{rail}.{name}" if rail else name
            for rail, names in zip(run.rails, run.names, strict=True)
            for name in names
        )
        covered.update(run.rails if len(run.rails) > 1 else ())
    for name, child in module.named_children():
        place = f"{path}.{name}" if path else name
        if place in covered:
            continue
        yield from _found(child, place, seen)


def _own(module: nn.Module, path: str) -> Iterator[Repeats]:
    """Find the runs among the children of one module."""
    children = dict(module.named_children())
    if isinstance(module, _CONTAINERS):
        yield from _runs((path,), (tuple(module._modules),), [tuple(_entries(module))])
        return
    lists = {name: c for name, c in children.items() if isinstance(c, nn.ModuleList) and len(c) > 1}
    for size in dict.fromkeys(len(each) for each in lists.values()):
        group = [name for name, each in lists.items() if len(each) == size]
        if len(group) > 1:
            rails = tuple(f"{path}.{name}" if path else name for name in group)
            names = tuple(tuple(lists[name]._modules) for name in group)
            yield from _runs(rails, names, [tuple(_entries(lists[name])) for name in group])
    for stem in dict.fromkeys(m[1] for name in children if (m := _NUMBERED.match(name))):
        numbered = [n for n in children if (m := _NUMBERED.match(n)) and m[1] == stem]
        for run in _runs((path,), (tuple(numbered),), [tuple(children[n] for n in numbered)]):
            if all(list(module_.children()) for module_ in run.block(_rooted(module, path), 0)):
                yield Repeats(
                    rails=run.rails,
                    names=run.names,
                    period=run.period,
                    count=run.count,
                    numbered=True,
                )


def _rooted(module: nn.Module, path: str) -> nn.Module:
    """Return something in which a module stands at a path."""
    for name in reversed(path.split(".") if path else []):
        holder = nn.Module()
        holder._modules[name] = module
        module = holder
    return module


def _entries(module: nn.Module) -> Iterator[nn.Module]:
    for entry in module._modules.values():
        yield entry if entry is not None else nn.Identity()


def _runs(
    rails: tuple[str, ...],
    names: tuple[tuple[str, ...], ...],
    entries: Sequence[tuple[nn.Module, ...]],
) -> Iterator[Repeats]:
    """Find periodic stretches in sequences that are walked together, the longest first."""
    built = [tuple(_built(entry) for entry in row) for row in zip(*entries, strict=True)]
    weighty = [any(True for e in row for _ in e.parameters()) for row in zip(*entries, strict=True)]

    def within(first: int, last: int) -> Iterator[tuple[int, int, int]]:
        best = (0, 0, 0, 0)
        for period in range(1, min(_LONGEST_PATTERN, (last - first) // 2) + 1):
            start = first
            while start + 2 * period <= last:
                end = start + period
                while end < last and built[end] == built[end - period]:
                    end += 1
                count = (end - start) // period
                if count > 1 and any(weighty[start : start + period]):
                    spare = end - start - count * period
                    begin = next((b for b in range(start, start + spare + 1) if weighty[b]), start)
                    best = max(best, (count * period, -period, -begin, count))
                start = max(start + 1, end - period + 1)
        covered, period, begin, count = best[0], -best[1], -best[2], best[3]
        if covered:
            yield from within(first, begin)
            yield begin, period, count
            yield from within(begin + covered, last)

    for begin, period, count in within(0, len(built)):
        end = begin + period * count
        yield Repeats(
            rails=rails,
            names=tuple(row[begin:end] for row in names),
            period=period,
            count=count,
        )


def _built(module: nn.Module) -> tuple[object, ...]:
    """Return what two blocks have to have in common."""
    shapes = tuple((name, tuple(p.shape)) for name, p in module.named_parameters())
    buffers = tuple((name, tuple(b.shape)) for name, b in module.named_buffers())
    return type(module), shapes, buffers, repr(module)


def _relisted(
    model: nn.Module, run: Repeats, count: int, added: Sequence[Sequence[nn.Module]]
) -> None:
    """Take blocks out of containers, or put some behind the last of the run."""
    for number, (rail, names) in enumerate(zip(run.rails, run.names, strict=True)):
        container = getattr_path(model, rail)
        gone = set(names[count * run.period :])
        new: list[tuple[str, nn.Module | None]] = []
        for name, module in container._modules.items():
            if name not in gone:
                new.append((name, module))
            if name == names[-1]:
                for lap, block in enumerate(added):
                    part = block[number * run.period : (number + 1) * run.period]
                    like = names[: run.period]
                    new += [(f"{n}_{lap + 2}", m) for n, m in zip(like, part, strict=True)]
        container._modules.clear()
        container._modules.update(new)


def _renamed(
    model: nn.Module, run: Repeats, count: int, added: Sequence[Sequence[nn.Module]]
) -> None:
    """Let attributes do nothing, or let the last of them do more."""
    holder, names = getattr_path(model, run.rails[0]), run.names[0]
    for name in names[count * run.period :]:
        holder._modules[name] = nn.Identity()
    if added:
        last = holder._modules[names[-1]]
        parts = [module for block in added for module in block]
        holder._modules[names[-1]] = nn.Sequential(last, *parts)  # type: ignore[arg-type]


def _must_differ(old: Sequence[nn.Module], new: Sequence[nn.Module]) -> None:
    """Refuse blocks that were copied rather than built anew.

    Raises:
        UnvanishError: If all weights that could be random are equal.
    """
    pairs = [
        (a, b)
        for left, right in zip(old, new, strict=True)
        for a, b in zip(left.parameters(), right.parameters(), strict=True)
        if a.numel() > 1 and bool((a != a.flatten()[0]).any())
    ]
    if pairs and all(torch.equal(a, b) for a, b in pairs):
        raise UnvanishError(
            "blocks cannot be added: the target is one finished network, and building it again "
            "gives the same weights",
            help="def model(): return Net()   # a function, in place of  model = Net()",
        )


def _enrol(
    optimizer: torch.optim.Optimizer, old: Sequence[nn.Module], new: Sequence[nn.Module]
) -> None:
    """Put parameters into the group of those that they are like."""
    like = {
        id(a): b
        for left, right in zip(old, new, strict=True)
        for a, b in zip(left.parameters(), right.parameters(), strict=True)
    }
    for group in _groups(optimizer):
        group["params"].extend([like[id(p)] for p in group["params"] if id(p) in like])


def _dismiss(optimizer: torch.optim.Optimizer, model: nn.Module) -> None:
    """Take the parameters out that the network has no more."""
    kept = {id(p) for p in model.parameters()}
    for group in _groups(optimizer):
        group["params"][:] = [p for p in group["params"] if id(p) in kept]


def _groups(optimizer: torch.optim.Optimizer) -> Iterator[dict[str, list[nn.Parameter]]]:
    seen: set[int] = set()
    for each in (optimizer, stepping(optimizer)):
        for group in each.param_groups:
            if id(group["params"]) not in seen:
                seen.add(id(group["params"]))
                yield group
