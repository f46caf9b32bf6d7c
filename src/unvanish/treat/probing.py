"""What passes a place of a network on one batch: numbers that a remedy is set by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unvanish.core.records import Recording, Site
from unvanish.observe.batch import Batch, call_model
from unvanish.observe.guard import untouched
from unvanish.treat.surgery import Surgery
from unvanish.treat.turns import Turns


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A call in a network.

    Attributes:
        path: Path of the module that is called, or in whose forward the function is called.
        where: ``"before"`` for its first argument, ``"after"`` for its output.
        function: The function; empty for the module's call.
        call: Which call of it in one forward of that module, from 0; None for every one.
        chosen: Which of its calls in a forward pass are meant; None for every one.
        calls: How many there are.
    """

    path: str
    where: str
    function: str = ""
    call: int | None = None
    chosen: frozenset[int] | None = None
    calls: int = 1

    def turns(self) -> Turns | None:
        """Return what tells its calls apart; None where every one is meant."""
        return None if self.chosen is None else Turns(self.chosen, self.calls)


def calls_of(recording: Recording, path: str, function: str) -> list[Site]:
    """Return the calls of a function in a module, in forward order; of several steps the last.

    Args:
        recording: One look at the network.
        path: Path of the module.
        function: The function, as `Site.function` names it.
    """
    steps = [s for s in recording.sites if s.path == path and s.function == function]
    return [site for site in steps if site.op == steps[-1].op]


def called(model: nn.Module, site: Site) -> str:
    """Return what PyTorch calls a site's function: ``nn.ReLU6`` runs `F.hardtanh`.

    Args:
        model: The network.
        site: One of its activation functions.
    """
    module = model.get_submodule(site.path) if site.path else model
    return "hardtanh" if isinstance(module, nn.ReLU6) else site.function


def before_function(recording: Recording, model: nn.Module, site: Site) -> Spot:
    """Return the place where signal enters an activation function.

    Args:
        recording: One look at the network.
        model: The network.
        site: The function, or the step in which it ends.
    """
    calls = calls_of(recording, site.path, site.function)
    own = frozenset(n for n, one in enumerate(calls) if one.index == site.index)
    return Spot(
        path=site.path,
        where="before",
        function=called(model, site),
        chosen=own if len(calls) > 1 else None,
        calls=len(calls),
    )


class _Probe(nn.Module):
    """Keeps what passes it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, signal: Tensor) -> Tensor:
        if isinstance(signal, Tensor):  # a packed sequence is none
            # What follows may write into it.
            self.seen.append(signal.detach().clone())
        return signal


def passing(model: nn.Module, batch: Batch, spots: Sequence[Spot]) -> list[list[Tensor]]:
    """Run a network once without gradient and return what passes some places, a list a place.

    Args:
        model: The network; it stays as it is.
        batch: What it is run on.
        spots: The places.

    Returns:
        One tensor a call. The list is empty for a place whose calls come another number of times
        than they were seen to.
    """
    probes = [_Probe() for _ in spots]
    told_apart: list[Turns | None] = []
    with untouched(model, seed=0), torch.no_grad():
        surgery = Surgery(model)
        try:
            for spot, probe in zip(spots, probes, strict=True):
                turns = spot.turns()
                told_apart.append(turns)
                if turns is not None:
                    surgery.insert("", None, "begin", turns=turns)
                surgery.insert(
                    spot.path,
                    probe,
                    spot.where,
                    function=spot.function,
                    call=spot.call,
                    turns=turns,
                )
            call_model(model, batch.inputs)
        finally:
            surgery.undo()
    return [
        [] if turns is not None and turns.count != turns.expected else probe.seen
        for turns, probe in zip(told_apart, probes, strict=True)
    ]
