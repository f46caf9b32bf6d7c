r"""Matrices and kernels: their size, and how the gradient's direction meets them.

    log |W^T g| / |g| = log |W| / sqrt(n_out) + alignment,     |W| / sqrt(n_out) = sigma_w

of a matrix with n_in inputs, sigma_w = rms(W) sqrt(n_in). Of a kernel, every tap counts as often
as it meets the map and not its padding. Beside it stands sigma_w against its critical value: that
at which, with the activation behind it, the gradient keeps its size in mean-field theory.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from unvanish.core.explanations import Factor
from unvanish.core.records import Parameter, Role, Site
from unvanish.explain.factors.book import Book, Part, Step
from unvanish.explain.factors.pooling import LAYOUT
from unvanish.theory.activations import ACTIVATIONS, activation
from unvanish.theory.criticality import critical_point, half_stable_point

MATRIX: Final = ("linear", "conv", "addmm", "matmul", "mm", "bmm", "baddbmm", "einsum", "mv")
"""How the names of steps begin that multiply with a matrix or a kernel."""
_FROZEN_TOO: Final = ("linear", "conv")
"""Those that multiply with weights even where these ask for no gradient."""
_TRANSPOSED: Final = frozenset({"conv_transpose1d", "conv_transpose2d", "conv_transpose3d"})
_PASSED_BY: Final = LAYOUT | {"dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout"}


def parts(step: Step) -> tuple[Part, ...] | None:
    """Return the factors of a step that multiplies the signal with weights."""
    if not step.site.weights and not step.op.startswith(_FROZEN_TOO):
        return None
    if step.op.startswith(MATRIX):
        if math.isnan(step.scale):
            entering = step.book.site(step.edge.producer).shape
            spread = sigma_w(step.site, step.book.parameters, entering)
            step.scale = math.log10(spread) if spread is not None else math.nan
        critical = _critical(_activation_behind(step.book, step.site))
        return step.scaled(Factor.WEIGHT_SCALE, step.scale - critical)
    if step.op == "mul":
        return step.scaled(Factor.WEIGHT_SCALE)
    return None


def _activation_behind(book: Book, site: Site) -> str:
    """Return the activation that a layer's output goes into; empty where that is not one.

    A normalisation on the way takes the size of the weights out, and a sum adds other signals.
    """
    here = site
    while True:
        behind = [book.site(i) for i in book.consumers.get(here.index, ())]
        if len(behind) != 1 or behind[0].role is not Role.SIGNAL:
            return ""
        here = behind[0]
        op = here.op.rstrip("_")
        if op in ACTIVATIONS or op == "leaky_relu":
            return op
        if here.weights and here.op.startswith(MATRIX):
            return "identity"
        if op not in _PASSED_BY:
            return ""


@lru_cache(maxsize=64)
def _critical(name: str) -> float:
    """Return log10 of the critical sigma_w; nan where there is none."""
    if not name:
        return math.nan
    phi = activation(name)
    point = critical_point(phi) or half_stable_point(phi)
    return math.log10(point.gain) if point is not None else math.nan


def sigma_w(
    site: Site, parameters: Mapping[str, Parameter], entering: Sequence[int] = ()
) -> float | None:
    """Return sigma_w, the rms of a layer's weights times the root of their inputs.

    A tap of a kernel that lies in the padding has no input, which matters on small maps.

    Args:
        site: A step of the network.
        parameters: Name to parameter.
        entering: Shape of what enters, for the padding of a convolution.

    Returns:
        sigma_w; None where the step does not multiply with exactly one matrix or kernel.
    """
    own = [parameters[n] for n in site.weights if n in parameters and len(parameters[n].shape) > 1]
    if len(own) != 1 or not own[0].rms > 0.0 or not site.op.startswith(MATRIX):
        return None
    shape = own[0].shape
    if site.op in _TRANSPOSED:
        return own[0].rms * math.sqrt(shape[0] * math.prod(shape[2:]))
    inputs = float(math.prod(shape[1:]))
    if site.op.startswith("conv") and len(entering) == len(site.shape) == len(shape):
        for kernel, after, before in zip(shape[2:], site.shape[2:], entering[2:], strict=True):
            inputs *= inside(kernel, after, before)
    return own[0].rms * math.sqrt(inputs)


def spread_of(
    site: Site,
    parameters: Mapping[str, Parameter],
    entering: Sequence[int] = (),
    log10_scale: float = math.nan,
) -> float | None:
    """Return sigma_w as it was measured; where it was not, what the parameters' sizes say.

    Only the measured one holds for an einsum, whose axes the shape of its kernel does not name,
    for a matrix that is computed from several parameters, and for a frozen one.

    Args:
        site: A step of the network.
        parameters: Name to parameter.
        entering: Shape of what enters.
        log10_scale: Of the edge to what enters, what a gradient without direction gains.
    """
    is_matrix = site.op.startswith(MATRIX if site.weights else _FROZEN_TOO)
    if is_matrix and math.isfinite(log10_scale):
        return float(10.0**log10_scale)
    return sigma_w(site, parameters, entering)


def inside(kernel: int, after: int, before: int) -> float:
    """Return the share of a kernel's taps that meet the map and not its padding, on one axis.

    Stride and padding are told from the sizes: the stride is their ratio, the padding what is
    missing on both sides. Without dilation, that is what the layer does or one row from it.

    Args:
        kernel: Taps on this axis.
        after: Positions that leave.
        before: Positions that enter.

    Example:
        >>> inside(3, 1, 1), inside(3, 4, 4), inside(3, 4, 6)
        (0.3333333333333333, 0.8333333333333334, 1.0)
    """
    if min(kernel, after, before) < 1:
        return 1.0
    stride = max(1, round(before / after))
    missing = (after - 1) * stride + kernel - before
    left = max(0, (missing + 1) // 2)
    met = sum(
        0 <= position * stride + tap - left < before
        for position in range(after)
        for tap in range(kernel)
    )
    return met / (after * kernel) if met else 1.0
