"""Under which conditions a run is watched, as a record."""

from __future__ import annotations

import platform
from collections.abc import Sequence

import torch
from torch import nn

import unvanish
from unvanish.core.runs import RunConditions
from unvanish.observe.optimizer import describe
from unvanish.watch.sharing import is_one_of_several


def conditions_of(
    models: Sequence[nn.Module],
    optimizers: Sequence[torch.optim.Optimizer],
    *,
    target: str = "",
    every: int = 50,
    autocast: str = "",
    batch: int = 0,
    unwatched: tuple[str, ...] = (),
) -> RunConditions:
    """Describe a run.

    Args:
        models: The watched models.
        optimizers: The watched optimisers.
        target: What is run.
        every: Every how many steps a sample is taken.
        autocast: Dtype under autocast; empty without.
        batch: Samples of the first batch; 0 where they cannot be told.
        unwatched: What cannot be measured, and why.
    """
    whole = nn.ModuleList(models)
    first = next(whole.parameters(), None)
    return RunConditions(
        target=target,
        every=every,
        optimizers=tuple(describe(o, whole, clip_grad_norm=None) for o in optimizers),
        device="cpu" if first is None else first.device.type,
        dtype="float32" if first is None else str(first.dtype).removeprefix("torch."),
        autocast=autocast,
        batch=batch,
        world_size=torch.distributed.get_world_size() if is_one_of_several() else 1,
        versions={
            "unvanish": unvanish.__version__,
            "torch": str(torch.__version__),
            "python": platform.python_version(),
        },
        unwatched=unwatched,
    )
