"""Where the network's output meets its target: the losses of a recording, read off its graph."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from unvanish.core.conditions import DataRole, DataTensor
from unvanish.core.records import Role, Site
from unvanish.diagnose.neighbours import Neighbours

REGRESSIONS: Final = frozenset({"mse_loss", "smooth_l1_loss", "huber_loss", "l1_loss"})
BINARY: Final = frozenset({"binary_cross_entropy", "binary_cross_entropy_with_logits"})


@dataclass(frozen=True)
class Comparison:
    """One loss, the step whose output it reads and the target it reads it against.

    Attributes:
        site: The loss.
        name: What a user would call it: ``"mse_loss"``; ``"difference"`` where it is written
            by hand.
        value: The step that made the numbers that are compared.
        target: The target, where it enters the loss as it stands in the batch.
    """

    site: Site
    name: str
    value: Site
    target: DataTensor | None


def comparisons(neighbours: Neighbours) -> Iterator[Comparison]:
    """Yield the losses that compare one output with one target, in forward order.

    Args:
        neighbours: The graph of a recording.

    Yields:
        Each regression and each binary cross entropy whose output is a single step's.
    """
    targets: dict[int, DataTensor] = {}
    for tensor in neighbours.recording.data:
        if tensor.role is DataRole.TARGET and tensor.site is not None:
            targets.setdefault(tensor.site, tensor)
    for site in neighbours.recording.sites:
        name, target = site.op, targets.get(site.index)
        if site.op == "sub" and site.function == "l1_loss":
            name, target = "l1_loss", _of_call(neighbours, site, targets)
        elif site.op == "sub" and site.role is Role.LOSS and target is not None:
            name = "difference"
        elif site.op not in REGRESSIONS | BINARY:
            continue
        value = neighbours.source(site)
        if value is not None:
            yield Comparison(site, name, value, target)


def _of_call(
    neighbours: Neighbours, site: Site, targets: dict[int, DataTensor]
) -> DataTensor | None:
    """Return the target of a call that is made of several steps; it stands at the last one."""
    last = site
    while after := [s for s in neighbours.consumers(last) if s.function == site.function]:
        last = after[0]
        if last.index in targets:
            return targets[last.index]
    return None
