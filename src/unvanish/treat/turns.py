"""Which of several calls is meant, and whether a checkpoint would run one again without us."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Container
from threading import get_ident
from typing import Any

import torch
import torch.utils.checkpoint

from unvanish.core.errors import UnvanishError


class Turns:
    """Tells the calls of one place in a forward pass of the network apart, by counting them.

    Args:
        chosen: Which calls are meant, from 0: a set, or anything that can tell.
        expected: How many there are in one forward pass.
    """

    __slots__ = ("_counts", "chosen", "expected")

    def __init__(self, chosen: Container[int], expected: int) -> None:
        self.chosen, self.expected = chosen, expected
        self._counts: dict[int, int] = {}

    @property
    def count(self) -> int:
        """Number of calls in this forward pass so far; each thread runs one of its own."""
        return self._counts.get(get_ident(), 0)

    def begin(self) -> None:
        """Begin a forward pass of the network."""
        self._counts[get_ident()] = 0

    def is_meant(self) -> bool:
        """Count one call, and tell whether it is meant.

        Raises:
            UnvanishError: If a backward pass runs a part of the network again: nothing tells then
                which of the calls it is.
        """
        if torch._C._current_graph_task_id() != -1:
            raise UnvanishError(
                "only some calls of one place were changed, and a checkpoint runs a part of the "
                "network again: its calls cannot be told apart",
                help="give what was changed a layer or function of its own, or leave the "
                "checkpoint out",
            )
        thread = get_ident()
        number = self._counts.get(thread, 0)
        self._counts[thread] = number + 1
        return number in self.chosen


class CheckpointGuard:
    """Notices a checkpoint that is drawn inside of a forward, around the calls of functions.

    Its recomputation runs outside of that forward, where nothing that was inserted is met: the
    gradient would be that of another function than the one that made the output.
    """

    __slots__ = ("_packing", "_with_grad")

    def __init__(self) -> None:
        self._packing = _packing()
        self._with_grad = torch.is_grad_enabled()

    def refuse(self, where: str) -> None:
        """Refuse a checkpoint drawn since this forward began.

        Args:
            where: Class of the module whose forward it is.

        Raises:
            UnvanishError: If there is one.
        """
        packing = _packing()
        inside = packing is not self._packing and "checkpoint" in _module_of(packing)
        if not inside and self._with_grad and not torch.is_grad_enabled():
            inside = _runs_in_checkpoint()
        if inside:
            raise UnvanishError(
                "a checkpoint is drawn around a function that was changed, and not around its "
                "module: run again, it would be the old one",
                where=where,
                help="draw the checkpoint around the whole module, or leave it out",
            )


def _packing() -> Any:
    """Return what packs the tensors that are saved for the backward pass now, as a checkpoint."""
    hooks: Any = torch._C._autograd._top_saved_tensors_default_hooks(True)
    return hooks[0] if hooks else None


def _module_of(function: Any) -> str:
    return str(getattr(function, "__module__", "") or type(function).__module__)


def _runs_in_checkpoint() -> bool:
    """Tell whether a reentrant checkpoint's forward stands on the stack."""
    forward = getattr(torch.utils.checkpoint.CheckpointFunction, "forward", None)
    if forward is None:  # a look puts a plain call in its place
        return False
    code = forward.__code__
    return any(frame.f_code is code for frame, _ in traceback.walk_stack(sys._getframe(1)))
