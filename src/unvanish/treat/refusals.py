"""Which networks cannot be operated on, and what is raised then."""

from __future__ import annotations

from typing import Final

import torch
from torch import nn

from unvanish.core.errors import UnvanishError
from unvanish.observe.guard import is_lazy

_WRAPPERS: Final = {
    "DistributedDataParallel": "treat the network first, then wrap it",
    "DataParallel": "treat the network first, then wrap it",
    "FullyShardedDataParallel": "treat the network first, then wrap it",
    "OptimizedModule": "treat the network first, then call torch.compile",
}


class CannotTreatError(UnvanishError):
    """The network is of a kind that cannot be changed, or the remedy does not fit it."""


class NoEffectError(UnvanishError):
    """A remedy was applied and changed nothing."""


def refuse_untreatable(model: nn.Module) -> None:
    """Refuse a network that cannot be operated on.

    Raises:
        CannotTreatError: If it is none, or wrapped, scripted, quantised, sharded or lazy.
    """
    if not isinstance(model, nn.Module):
        raise CannotTreatError(
            f"the model is a {type(model).__name__}, not a torch.nn.Module",
            help='unvanish.treat(model, "he", batch)',
        )
    for path, module in model.named_modules():
        place = path or type(model).__name__
        name = type(module).__name__
        if name in _WRAPPERS:
            raise CannotTreatError(
                f"the network is wrapped in {name}", where=place, help=_WRAPPERS[name]
            )
        if isinstance(module, torch.jit.ScriptModule):
            raise CannotTreatError(
                "a scripted module has no Python forward to change",
                where=place,
                help="treat the network as it was before torch.jit.script(model), and write the "
                "treatment into its source: unvanish fix FILE --write",
            )
        if type(module).__module__.startswith(("torch.ao.nn.quantized", "torch.nn.quantized")):
            raise CannotTreatError(
                "a quantised module has no weights that training could move",
                where=place,
                help="treat the float network, then quantise it",
            )
    for name, tensor in model.named_parameters():
        if is_lazy(tensor):
            raise CannotTreatError(
                "a lazy layer has no weights yet",
                where=name,
                help="run the network once on a batch first: model(inputs)",
            )
        if type(tensor).__name__ == "DTensor" or type(tensor.data).__name__ == "DTensor":
            raise CannotTreatError(
                "the network is sharded over several devices",
                where=name,
                help="treat the network first, then call fully_shard(model)",
            )
