"""What leads through a network: blocks that a connection fits round, and branches there are."""

from __future__ import annotations

from dataclasses import dataclass

from unvanish.treat.around_attention import with_attentions
from unvanish.treat.blocks import (
    BYPASSED,
    Block,
    blocks_of,
    chains_of,
    pairs_of,
    unfit,
)
from unvanish.treat.calls import Call, Place, calls_of, is_layer, start_of
from unvanish.treat.joins import Branch, branches_of
from unvanish.treat.protocol import Case, Patient


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """What leads through a network.

    Attributes:
        blocks: Where a connection fits, in forward order.
        branches: Sums with a residual branch, in forward order.
        left: Reason to the number of layers that get no connection for it.
        entered: Paths of the modules whose forward ran.
    """

    blocks: tuple[Block, ...]
    branches: tuple[Branch, ...]
    left: dict[str, int]
    entered: frozenset[str]

    @property
    def attentions(self) -> int:
        """How many of the blocks are attentions."""
        return sum(block.is_attention for block in self.blocks)

    @property
    def said(self) -> str:
        """What gets no connection and why, in words."""
        return "; ".join(
            f"{count} {'layer' if count == 1 else 'layers'} {reason}"
            for reason, count in self.left.items()
        )


def paths_of(case: Case | Patient, *, layers: int = 1) -> Paths:
    """Find the blocks and the residual branches of a network.

    Args:
        case: The network and a batch.
        layers: Layers that a block holds, 1 or 2.
    """
    standing = case.anatomy.recording.context.standing
    calls = calls_of(case.model, case.batch.inputs, standing=standing)
    chains, left = chains_of(calls)
    branches = tuple(branches_of(calls, case.model))
    blocks = blocks_of(calls, pairs_of(calls, chains) if layers > 1 else chains, case.model)
    runs: dict[Place, list[Call]] = {}
    for call in calls:
        if is_layer(call):
            runs.setdefault(start_of(call, case.model), []).append(call)
    has_skips = bool(branches) or BYPASSED in left
    fitting = []
    for block in blocks:
        reason = unfit(calls, block, runs[block.start], has_skips=has_skips)
        if reason:
            left[reason] = left.get(reason, 0) + len(block.weights)
        else:
            fitting.append(block)
    if not branches:
        fitting = with_attentions(calls, case.model, fitting, left)
    return Paths(blocks=tuple(fitting), branches=branches, left=left, entered=calls.entered)
