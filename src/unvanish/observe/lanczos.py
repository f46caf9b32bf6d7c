"""The largest singular values of a matrix that is known by its products with vectors only.

Golub-Kahan-Lanczos bidiagonalisation with full reorthogonalisation, for many matrices of one shape
side by side.

Source: Golub and Kahan (1965).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from unvanish.core.errors import CouldNotMeasureError

_BROKEN_DOWN: Final = 1e-10
"""Relative length of a Lanczos vector below which its direction is rounding."""

_TINY: Final = 1e-300


@dataclass(frozen=True, slots=True)
class Matrices:
    """Several matrices of one shape, known by their products with one vector each.

    Attributes:
        push: (groups, inputs) to (groups, outputs), J u for every group.
        pull: The way back, J^T v.
        groups: Number of matrices.
        inputs: Columns of each.
        outputs: Rows of each.
        device: Where the vectors are.
    """

    push: Callable[[Tensor], Tensor]
    pull: Callable[[Tensor], Tensor]
    groups: int
    inputs: int
    outputs: int
    device: torch.device

    def random(self, size: int, generator: torch.Generator) -> Tensor:
        """Return a random vector a group."""
        drawn = torch.randn(self.groups, size, generator=generator, dtype=torch.float64)
        return drawn.to(self.device)


def largest_singular_values(
    matrices: Matrices, top: int, steps: int, generator: torch.Generator
) -> tuple[tuple[tuple[float, ...], ...], float]:
    """Return the largest singular values of every matrix, and a bound on their relative error.

    J^T U_k = V_(k+1) B^T with B upper bidiagonal, k x (k + 1): its singular values s never exceed
    those of J. To first order s^2 is off by the residual of J J^T u, at most s_1 beta_k times the
    last entry of its left vector. Where a vector vanishes, a new random one is taken up, so that
    equal singular values are all found.

    Args:
        matrices: The matrices.
        top: How many singular values of each.
        steps: Steps, at most the smaller side.
        generator: Source of the random vectors.

    Raises:
        CouldNotMeasureError: If a product is not finite.
    """
    rights: list[Tensor] = []
    lefts: list[Tensor] = []
    alphas: list[Tensor] = []
    betas: list[Tensor] = []
    right = matrices.random(matrices.inputs, generator)
    right = right / right.norm(dim=1, keepdim=True)
    for _ in range(steps):
        rights.append(right)
        left = matrices.push(right)
        if lefts:
            left = left - betas[-1][:, None] * lefts[-1]
        left, alpha = _unit(left, lefts, alphas, matrices, generator)
        lefts.append(left)
        alphas.append(alpha)
        right = matrices.pull(left) - alpha[:, None] * rights[-1]
        right, beta = _unit(right, rights, alphas, matrices, generator)
        betas.append(beta)
    if not all(bool(torch.isfinite(a).all()) for a in (*alphas, *betas)):
        raise CouldNotMeasureError("the Jacobian holds numbers that are not finite")
    diagonal = torch.diag_embed(torch.stack(alphas, 1))
    bidiagonal = torch.cat((diagonal, torch.zeros_like(diagonal[..., :1])), dim=-1)
    bidiagonal[:, :, 1:] += torch.diag_embed(torch.stack(betas, 1))
    u, s, _ = torch.linalg.svd(bidiagonal, full_matrices=False)
    bound = s[:, :1] * betas[-1][:, None] * u[:, -1, :].abs()
    relative = (bound / (2.0 * s.square()).clamp_min(_TINY))[:, :top]
    found = relative[s[:, :top] > 0]
    exhausted = steps >= min(matrices.inputs, matrices.outputs) or not len(found)
    residual = 0.0 if exhausted else float(found.max())
    return tuple(tuple(float(x) for x in row[:top]) for row in s), residual


def _orthogonal(vectors: Tensor, basis: Sequence[Tensor]) -> Tensor:
    """Return the part of every group's vector at right angles to its basis."""
    for _ in range(2):  # twice is enough
        for known in basis:
            vectors = vectors - (vectors * known).sum(1, keepdim=True) * known
    return vectors


def _unit(
    vectors: Tensor,
    basis: Sequence[Tensor],
    sizes: Sequence[Tensor],
    matrices: Matrices,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Return unit vectors at right angles to a basis, and the lengths that were left.

    A vector that is only rounding becomes a new random one of length zero.
    """
    vectors = _orthogonal(vectors, basis)
    lengths = vectors.norm(dim=1)
    scale = torch.stack(list(sizes)).amax(0) if sizes else torch.zeros_like(lengths)
    gone = lengths <= _BROKEN_DOWN * scale.clamp_min(_TINY)
    if bool(gone.any()) and len(basis) < vectors.shape[1]:
        fresh = _orthogonal(matrices.random(vectors.shape[1], generator), basis)
        vectors = torch.where(gone[:, None], fresh, vectors)
        lengths = torch.where(gone, torch.zeros_like(lengths), lengths)
    return vectors / vectors.norm(dim=1, keepdim=True).clamp_min(_TINY), lengths
