"""A network with one look at it: what remedies are asked about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import nn

from unvanish.core.findings import Diagnosis
from unvanish.core.places import SourceLine
from unvanish.core.records import Recording
from unvanish.observe.batch import as_batch
from unvanish.observe.tracing import trace
from unvanish.treat.anatomy import anatomy_of
from unvanish.treat.protocol import Case
from unvanish.treat.refusals import refuse_untreatable


def case_of(
    model: nn.Module,
    batch: Any,
    loss: Callable[..., Any] | str | None = None,
    *,
    optimizer: torch.optim.Optimizer | None = None,
    recording: Recording | None = None,
    diagnosis: Diagnosis | None = None,
    built: Mapping[nn.Module, SourceLine] | None = None,
    autocast: str = "",
    seed: int = 0,
    asked: Iterable[str] = (),
) -> Case:
    """Return what remedies are asked about.

    Args:
        model: The network.
        batch: ``(inputs, target)``, a mapping of keyword arguments, or the inputs alone.
        loss: As in `unvanish.trace`.
        optimizer: An optimiser over the network's parameters.
        recording: One look at this network; made here where it is missing.
        diagnosis: What the rules said; empty where it is missing.
        built: Module to the line that built it.
        autocast: ``"bfloat16"`` or ``"float16"`` for a look under autocast.
        seed: Seed of that look.
        asked: Names of the remedies that were asked for by name.
    """
    refuse_untreatable(model)
    if recording is None:
        recording = trace(
            model,
            batch,
            loss,
            optimizer=optimizer,
            batches=1,
            probe_steps=0,
            seed=seed,
            autocast=autocast,
            built=built,
        )
    return Case(
        model=model,
        batch=as_batch(batch, model),
        loss=loss,
        optimizer=optimizer,
        recording=recording,
        diagnosis=diagnosis or Diagnosis(),
        anatomy=anatomy_of(recording),
        asked=frozenset(asked),
    )
