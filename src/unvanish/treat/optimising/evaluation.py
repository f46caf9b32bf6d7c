"""Loss and gradient of a case, on a copy, under the conditions of its look."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from unvanish.observe.batch import Batch, call_model, map_tensors
from unvanish.observe.guard import seed_everything
from unvanish.observe.look import Conditions, running
from unvanish.observe.loss import compute_loss
from unvanish.treat.protocol import Case


def loss_of(
    model: nn.Module, case: Case, *, dtype: torch.dtype | None = None, seed: int | None = None
) -> Tensor:
    """Return the loss of a case's batch, with its graph.

    Args:
        model: A copy of the case's network.
        case: Its batch, loss and conditions.
        dtype: Type to which floating tensors of the batch are converted; None for none, and
            then the look's autocast acts.
        seed: Seed of the forward pass; that of the look by default.
    """
    context = case.recording.context
    seed_everything(context.seed if seed is None else seed)

    def fresh(tensor: Tensor) -> Tensor:
        own = tensor.detach().clone()
        return own.to(dtype) if dtype is not None and own.is_floating_point() else own

    batch = Batch(map_tensors(case.batch.inputs, fresh), map_tensors(case.batch.target, fresh))
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    autocast = context.autocast if dtype is None else ""
    with running(Conditions(case.loss, context.seed, autocast, {}), device):
        return compute_loss(case.loss, call_model(model, batch.inputs), batch)[0]


def gradients_of(
    loss: Tensor, parameters: Sequence[Tensor], *, create_graph: bool = False
) -> list[Tensor]:
    """Return the gradient of a loss by each parameter, zero where there is none."""
    found: Sequence[Tensor | None] = torch.autograd.grad(
        loss, parameters, create_graph=create_graph, allow_unused=True
    )
    return [
        torch.zeros_like(p) if g is None else (g.to_dense() if g.is_sparse else g)
        for p, g in zip(parameters, found, strict=True)
    ]
