"""What one operation does to the gradient, factor by factor; the factors add up exactly.

The last factor of every operation is what the others leave, so that nothing is lost. For a
gradient without preferred direction it is zero on average.

Source: the factorisations are short derivations; those of activation and linear layer follow
the variance recursions of Glorot and Bengio (2010) and He et al. (2015).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from unvanish.core.explanations import Factor, Level, Term
from unvanish.core.glossary import Quantity
from unvanish.core.records import Edge, Parameter, Recording, Role, Site

_LAYOUT = frozenset(
    "view reshape flatten unflatten transpose permute squeeze unsqueeze expand expand_as split "
    "chunk unbind cat concat concatenate stack hstack vstack getitem slice select index narrow "
    "contiguous clone to float double half bfloat16 type movedim swapaxes t mT T repeat "
    "repeat_interleave pad roll flip gather index_select take_along_dim masked_fill where "
    "pack_padded_sequence unfold fold pixel_shuffle tile copy_".split()
)
_POOLING = frozenset(
    "mean sum max min amax amin logsumexp cumsum max_pool1d max_pool2d max_pool3d avg_pool1d "
    "avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d "
    "adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d interpolate upsample "
    "scatter_add index_add".split()
)
_PRODUCT = frozenset("mul div matmul mm bmm baddbmm addmm einsum dot mv prod outer".split())
_MATRIX = ("linear", "conv", "addmm", "matmul", "mm", "bmm", "baddbmm", "einsum")
_TRANSPOSED = frozenset({"conv_transpose1d", "conv_transpose2d", "conv_transpose3d"})


def operation(recording: Recording, edge: Edge, parameters: Mapping[str, Parameter]) -> Term:
    """Return the term of one operation: from the gradient at its output to that at one input.

    Args:
        recording: What was observed.
        edge: The way the gradient takes through it.
        parameters: Name to parameter.
    """
    site = recording.sites[edge.consumer]
    parts = _parts(recording, edge, site, parameters)
    leaves = tuple(
        Term(
            level=Level.FACTOR,
            name=str(factor),
            log10_gain=gain,
            factor=factor,
            sites=(site.index,),
        )
        for factor, gain in parts
    )
    return Term(
        level=Level.OPERATION,
        name=site.name,
        log10_gain=edge.log10_gain,
        sites=(site.index,),
        children=leaves,
    )


def _parts(
    recording: Recording, edge: Edge, site: Site, parameters: Mapping[str, Parameter]
) -> list[tuple[Factor, float]]:
    gain = edge.log10_gain
    if site.role is Role.LOSS:
        return [(Factor.LOSS, gain)]
    if gain == -math.inf:
        return [(_kind(site), gain)]
    slope = recording[Quantity.SLOPE_RMS].get(site)
    if slope > 0.0 and site.slope_cap > 0.0:
        cap, point = math.log10(site.slope_cap), math.log10(slope / site.slope_cap)
        return [
            (Factor.SLOPE_CAP, cap),
            (Factor.OPERATING_POINT, point),
            (Factor.ALIGNMENT, gain - cap - point),
        ]
    if "norm" in site.op:
        return _norm_parts(recording, edge, site, parameters)
    spread = sigma_w(site, parameters, recording.sites[edge.producer].shape)
    if spread is not None:
        scale = math.log10(spread)
        return [(Factor.WEIGHT_SCALE, scale), (Factor.ALIGNMENT, gain - scale)]
    return [(_kind(site), gain)]


def _norm_parts(
    recording: Recording, edge: Edge, site: Site, parameters: Mapping[str, Parameter]
) -> list[tuple[Factor, float]]:
    rest, parts = edge.log10_gain, []
    own = next((parameters[n] for n in site.weights if n in parameters), None)
    if own is not None and own.rms > 0.0:
        parts.append((Factor.NORM_AFFINE, math.log10(own.rms)))
    size = recording[Quantity.ACTIVATION_RMS].get(edge.producer)
    mean = recording[Quantity.ACTIVATION_MEAN].get(edge.producer)
    centred = 0.0 if "rms" in site.op else mean
    variance = size * size - centred * centred
    if variance > 1e-12 * size * size:
        parts.append((Factor.NORM_SCALE, -0.5 * math.log10(variance)))
    rest -= math.fsum(gain for _, gain in parts)
    return [*parts, (Factor.NORM_PROJECTION, rest)]


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
    if len(own) != 1 or not own[0].rms > 0.0 or not site.op.startswith(_MATRIX):
        return None
    shape = own[0].shape
    if site.op in _TRANSPOSED:
        return own[0].rms * math.sqrt(shape[0] * math.prod(shape[2:]))
    inputs = float(math.prod(shape[1:]))
    if site.op.startswith("conv") and len(entering) == len(site.shape) == len(shape):
        for kernel, after, before in zip(shape[2:], site.shape[2:], entering[2:], strict=True):
            inputs *= inside(kernel, after, before)
    return own[0].rms * math.sqrt(inputs)


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


def _kind(site: Site) -> Factor:
    """Return the factor of an operation that has only one."""
    op = site.op.rstrip("_")
    if site.opaque:
        return Factor.OPAQUE
    if "softmax" in op:
        return Factor.SOFTMAX
    if "dropout" in op:
        return Factor.DROPOUT
    if site.weights and site.op.startswith(_MATRIX):
        return Factor.WEIGHT_SCALE
    if site.slope_cap == site.slope_cap:
        return Factor.OPERATING_POINT
    for factor, names in (
        (Factor.LAYOUT, _LAYOUT),
        (Factor.POOLING, _POOLING),
        (Factor.PRODUCT, _PRODUCT),
        (Factor.LAYOUT, frozenset({"embedding"})),
    ):
        if op in names:
            return factor
    return Factor.OTHER
