"""Functions with flat ends: where they are flat, and which way their centre lies."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from unvanish.core.operations import Node

_FLAT: Final = 0.1
"""Share of the largest slope below which an entry counts as flat, as in UV201."""

_MOSTLY: Final = 0.75
_SAMPLES_OF_A_MEAN: Final = 16
_CLEARLY: Final = 0.999
"""Of the largest gradient in a row, what another one has to stay below to be no equal."""

_UNMASKED: Final = 1e4
_BINARY: Final = "binary_cross_entropy_with_logits"
_UNREDUCED: Final = 0


@dataclass(frozen=True, slots=True)
class Flat:
    """Which entries of an output are on the flat part, and what an undecided one is.

    Attributes:
        mask: One truth value an entry; for softmax the same one for a whole row.
        outwards: The output's distance from its centre.
        centre: Centre of the function's domain.
        half: Width of its sloped part against that of sigmoid.
        dim: Dimension of a softmax; None for a function of single entries.
        keeps_offset: Whether a gradient that is the same for all entries of a row is answered
            to; a softmax, whose sum is fixed, does not.
        right: Where the function knows the target of every entry, which ones are answered so.
    """

    mask: Tensor
    outwards: Tensor
    centre: float = 0.0
    half: float = 1.0
    dim: int | None = None
    keeps_offset: bool = False
    right: Tensor | None = None

    def wants_out(self, gradient: Tensor) -> Tensor:
        """Tell which entries gradient descent would take back towards the centre."""
        towards = gradient * self.outwards
        if self.dim is None:
            return towards > 0
        return (towards.sum(self.dim, keepdim=True) > 0).expand_as(towards)

    def spoken(self, gradient: Tensor) -> float:
        """Return the share of the samples about which the loss says anything at all."""
        said = gradient != 0
        return float((said if self.dim is None else said.any(self.dim)).double().mean())

    def error(self, gradient: Tensor) -> Tensor:
        """Return the part of a gradient that the function can answer to, squared."""
        if self.dim is not None and not self.keeps_offset:
            gradient = gradient - gradient.mean(self.dim, keepdim=True)
        return gradient.double().square()

    def worth(self, gradient: Tensor) -> float:
        """Return how far beyond chance the answers agree with an undecided one's gradient.

        Args:
            gradient: The loss gradient at an undecided pre-activation.

        Returns:
            The mean agreement of a sample in its standard errors; ``nan`` for few samples.
        """
        agreement = -(gradient.double() * self.outwards.double())
        samples = (agreement if self.dim is None else agreement.sum(self.dim)).flatten()
        if samples.numel() < _SAMPLES_OF_A_MEAN:
            return math.nan
        mean, spread = float(samples.mean()), float(samples.std())
        if not spread > 0.0:
            return math.copysign(math.inf, mean) if mean else math.nan
        return mean / spread * math.sqrt(samples.numel())

    def own_answers(self, at_output: Tensor, at_input: Tensor) -> float:
        """Return the share of an undecided one's gradient that is about the answers given now.

        Args:
            at_output: The loss gradient at an undecided output.
            at_input: The one at its pre-activations.

        Returns:
            The share; ``nan`` where it cannot be told from a gradient which answer it is about,
            as for two classes that share one.
        """
        weight = at_input.double().square()
        if self.right is not None:
            own, told = self.right, weight
        elif self.dim is None or at_output.shape[self.dim] < 2:
            return math.nan
        else:
            weight = weight.sum(self.dim)
            if not self.keeps_offset:
                at_output = at_output - at_output.mean(self.dim, keepdim=True)
            size, answer = at_output.abs().topk(2, self.dim)
            own = answer.select(self.dim, 0) == self.outwards.argmax(self.dim)
            clear = size.select(self.dim, 1) < _CLEARLY * size.select(self.dim, 0)
            told = weight * clear
        if not float(told.sum()) > _MOSTLY * float(weight.sum()):
            return math.nan
        return float(told[own].sum() / told.sum())

    def constant(self, z: Tensor, unit_dim: int, within: float) -> Tensor:
        """Return pre-activations that are the same for every sample and not too far out.

        Args:
            z: The pre-activations as they are.
            unit_dim: Dimension that counts units.
            within: Largest distance from the centre; for softmax, from the largest score.
        """
        keep = (self.dim if self.dim is not None else unit_dim) % max(1, z.ndim)
        others = [d for d in range(z.ndim) if d != keep]
        mean = z.mean(others, keepdim=True) if others else z
        if self.dim is not None:
            below = mean - mean.amax(self.dim, keepdim=True)
            row = torch.where(below > -_UNMASKED, below.clamp(min=-within), below)
        else:
            reach = within * self.half
            row = mean.clamp(self.centre - reach, self.centre + reach)
        return row.expand_as(z).clone()


def is_flat_ended(op: str, node: Node) -> bool:
    """Tell whether `flat_of` can describe an operation."""
    if op == "sub":
        return _is_log_softmax(node)
    if op == _BINARY:
        return bool(node._saved_reduction == _UNREDUCED)
    return op in _FUNCTIONS


def flat_of(op: str, node: Node) -> Flat:
    """Describe where the output of an operation is flat."""
    return _FUNCTIONS[op](node)


def _of_result(
    cap: float, centre: float, half: float, slope: Callable[[Tensor], Tensor]
) -> Callable[[Node], Flat]:
    """Describe a function whose slope is one of its own output."""

    def describe(node: Node) -> Flat:
        y = node._saved_result.detach()
        return Flat(slope(y) < _FLAT * cap, y - centre, half=half)

    return describe


def _hardtanh(node: Node) -> Flat:
    z, low, high = node._saved_self.detach(), node._saved_min_val, node._saved_max_val
    centre = (low + high) / 2
    return Flat((z <= low) | (z >= high), z - centre, centre, (high - low) / 8)


def _hardsigmoid(node: Node) -> Flat:
    z = node._saved_self.detach()
    return Flat(z.abs() >= 3.0, z, half=0.9)


def _softmax(node: Node) -> Flat:
    p, dim = node._saved_result.detach(), _signed(node._saved_dim)
    return Flat(_is_sure(p, dim), p - 1.0 / p.shape[dim], dim=dim)


def _log_softmax(node: Node) -> Flat:
    return _logarithms(node._saved_result.detach().exp(), _signed(node._saved_dim))


def _log_softmax_by_hand(node: Node) -> Flat:
    """Describe ``z - logsumexp(z)``, as `torch.distributions.Categorical` writes it."""
    total = node.next_functions[1][0]
    dim = _signed(total._saved_dim[0])
    return _logarithms(total._saved_self.detach().softmax(dim), dim)


def _is_log_softmax(node: Node) -> bool:
    """Tell whether a difference is one between scores and the logsumexp of the same scores."""
    if len(node.next_functions) != 2:
        return False
    (scores, slot), (total, _) = node.next_functions
    if total is None or not total.name().startswith("Logsumexp"):
        return False
    return total.next_functions[0] == (scores, slot) and len(total._saved_dim) == 1


def _is_sure(p: Tensor, dim: int) -> Tensor:
    top = p.amax(dim, keepdim=True)
    return (top * (1 - top) < _FLAT / 4).expand_as(p)


def _logarithms(p: Tensor, dim: int) -> Flat:
    """Where one entry has nearly all, its logarithm is flat; that of the others is not."""
    largest = (p == p.amax(dim, keepdim=True)).to(p.dtype)
    return Flat(_is_sure(p, dim), largest, dim=dim, keeps_offset=True)


def _binary_scores(node: Node) -> Flat:
    """Describe binary cross entropy entry by entry, the logarithm of yes or no in one."""
    z, target = node._saved_self.detach(), node._saved_target.detach()
    p = z.sigmoid()
    return Flat(p * (1 - p) < _FLAT / 4, p - 0.5, right=(target > 0.5) == (z > 0))


def _signed(dim: int) -> int:
    return dim - 2**64 if dim >= 2**63 else dim  # a node keeps it as an unsigned number


def _softplus(node: Node) -> Flat:
    z = node._saved_self.detach() * float(node._saved_beta)
    return Flat(z.sigmoid() < _FLAT, z, half=1.0 / float(node._saved_beta))


def _log_sigmoid(node: Node) -> Flat:
    z = node._saved_self.detach()
    return Flat((-z).sigmoid() < _FLAT, z)


_FUNCTIONS: Final[dict[str, Callable[[Node], Flat]]] = {
    "sigmoid": _of_result(0.25, 0.5, 1.0, lambda y: y * (1 - y)),
    "tanh": _of_result(1.0, 0.0, 0.5, lambda y: 1 - y.square()),
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "sub": _log_softmax_by_hand,
    "softplus": _softplus,
    "logsigmoid": _log_sigmoid,
    "log_sigmoid": _log_sigmoid,
    _BINARY: _binary_scores,
    "hardtanh": _hardtanh,
    "hardsigmoid": _hardsigmoid,
}
