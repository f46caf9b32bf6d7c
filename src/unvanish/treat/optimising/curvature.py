"""How sharply a loss curves: the largest eigenvalue of its Hessian, whole or weighted.

The Hessian is known by its products with vectors, each two backward passes; ARPACK's Lanczos
iteration finds the largest eigenvalue in some dozens of them.

Source: LeCun, Simard and Pearlmutter (1993) for the learning rate that follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
from torch import Tensor, nn

from unvanish.core.errors import CouldNotMeasureError
from unvanish.diagnose.propagation import propagation_flow
from unvanish.observe.copies import copied
from unvanish.observe.guard import untouched
from unvanish.observe.opaque import in_the_open
from unvanish.treat.optimising.evaluation import gradients_of, loss_of
from unvanish.treat.protocol import Case

_TOLERANCE: Final = 1e-2
"""Relative error of an eigenvalue; a learning rate needs no more."""
_BASIS: Final = 20
_SMALL_BASIS: Final = 8
_LARGE: Final = 10_000_000
"""Parameters from which the basis of vectors is kept small, to save memory."""


class Curvature:
    """The Hessian of a case's loss at the weights as they are.

    The forward pass and the first backward pass are made once.

    Args:
        case: The network, its batch and loss.
        names: Parameters by which the loss is differentiated.

    Raises:
        CouldNotMeasureError: If the network cannot be differentiated twice.
    """

    def __init__(self, case: Case, names: Sequence[str]) -> None:
        twin: nn.Module = copied(case.model)
        known = dict(twin.named_parameters())
        self.names = tuple(name for name in names if name in known)
        self.parameters = [known[name] for name in self.names]
        if not self.parameters:
            raise CouldNotMeasureError("no parameter is trained")
        try:
            with untouched(twin, seed=case.recording.context.seed), in_the_open():
                loss = loss_of(twin, case)
                self.gradients = gradients_of(loss, self.parameters, create_graph=True)
                self._check()
        except (RuntimeError, NotImplementedError) as error:
            first = str(error).strip().splitlines()[0]
            raise CouldNotMeasureError(f"the loss has no second derivative: {first}") from error
        self._seed = case.recording.context.seed

    def _check(self) -> None:
        """Refuse gradients that are cut off from the weights they were computed with."""
        moving = [g for g in self.gradients if g.requires_grad]
        if not moving:
            return
        found: Sequence[Tensor | None] = torch.autograd.grad(
            moving,
            self.parameters,
            grad_outputs=[g.detach() for g in moving],
            retain_graph=True,
            allow_unused=True,
        )
        if all(one is None for one in found):
            raise NotImplementedError("a function in it has a backward pass of its own")

    def product(self, vector: Sequence[Tensor], block: Sequence[int] | None = None) -> list[Tensor]:
        """Return the Hessian times a vector.

        Args:
            vector: One tensor a parameter of the block.
            block: Numbers of the parameters whose block of the Hessian is meant; None for all.
        """
        chosen = range(len(self.parameters)) if block is None else block
        pairs = [
            (self.gradients[i], v.detach())
            for i, v in zip(chosen, vector, strict=True)
            if self.gradients[i].requires_grad
        ]
        wanted = [self.parameters[i] for i in chosen]
        if not pairs:
            return [torch.zeros_like(p) for p in wanted]
        found: Sequence[Tensor | None] = torch.autograd.grad(
            [g for g, _ in pairs],
            wanted,
            grad_outputs=[v for _, v in pairs],
            retain_graph=True,
            allow_unused=True,
        )
        return [torch.zeros_like(p) if h is None else h for p, h in zip(wanted, found, strict=True)]

    def largest(
        self, *, scales: Sequence[float] | None = None, block: Sequence[int] | None = None
    ) -> float:
        """Return the largest eigenvalue of the Hessian; 0 where none is positive.

        Args:
            scales: A positive number a parameter of the block; then of D^(1/2) H D^(1/2).
            block: Numbers of the parameters whose block of the Hessian is meant; None for all.

        Raises:
            CouldNotMeasureError: If the Hessian holds a number that is not finite.
        """
        chosen = range(len(self.parameters)) if block is None else block
        parts = [self.parameters[i] for i in chosen]
        sizes = [p.numel() for p in parts]
        roots = [1.0] * len(parts) if scales is None else [s**0.5 for s in scales]

        def apply(flat: Any) -> Any:
            whole = torch.from_numpy(np.ascontiguousarray(flat, dtype=np.float64).reshape(-1))
            pieces = [
                piece.reshape(p.shape).to(p) * root
                for piece, p, root in zip(whole.split(sizes), parts, roots, strict=True)
            ]
            products = self.product(pieces, block)
            out = torch.cat(
                [h.double().cpu().reshape(-1) * r for h, r in zip(products, roots, strict=True)]
            )
            if not bool(torch.isfinite(out).all()):
                raise CouldNotMeasureError("the Hessian holds numbers that are not finite")
            return out.numpy()

        count = sum(sizes)
        if count <= 2:
            columns = [apply(column) for column in np.eye(count)]
            return max(0.0, float(np.linalg.eigvalsh(np.stack(columns)).max()))
        start = np.random.default_rng(self._seed).standard_normal(count)
        if not np.any(apply(start)):
            return 0.0
        operator = LinearOperator((count, count), matvec=apply, dtype=np.float64)
        basis = min(count, _SMALL_BASIS if count > _LARGE else _BASIS)
        try:
            found = eigsh(
                operator,
                k=1,
                which="LA",
                v0=start,
                ncv=basis,
                tol=_TOLERANCE,
                maxiter=20,
                return_eigenvectors=False,
            )
        except ArpackNoConvergence as error:
            if not len(error.eigenvalues):
                raise CouldNotMeasureError(
                    "the largest eigenvalue of the Hessian did not settle"
                ) from error
            found = error.eigenvalues
        return max(0.0, float(found.max()))


def lost_decades(case: Case) -> float:
    """Return how much of the gradient is lost between the outputs and a layer; 0 for none."""
    flow = propagation_flow(case.recording)
    lost = [flow.lost(level) for level in flow.levels] if flow is not None else []
    return max((one for one in lost if one > 0.0), default=0.0)


def too_flat(decades: float) -> str:
    """Say why the curvature at a start is no guide where the gradient vanishes."""
    return (
        f"the gradient loses {decades:.1f} decades on its way, and the curvature twice as many: it "
        "grows as soon as the network moves, so cure the network first"
    )
