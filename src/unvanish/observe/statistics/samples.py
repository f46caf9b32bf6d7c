"""Can the network still tell its inputs apart? Cosine and rank over the samples of a batch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

MAX_SAMPLES = 32
MAX_FEATURES = 1024
ROUNDING = 1e-14
"""Share of the energy below which a difference between samples is rounding."""


def sample_matrix(tensor: Tensor, batch_size: int) -> Tensor | None:
    """Return a (samples, features) view of an activation, thinned evenly where it is large.

    The batch is looked for in dimension 0, then 1 (sequence-first layouts), then folded
    into dimension 0 (tokens of all samples stacked).

    Args:
        tensor: Activation of any shape.
        batch_size: Samples in the batch; 0 or 1 means that there is nothing to compare.

    Returns:
        Matrix of at most 32 x 1,024 float32 numbers, or None where no batch is found.
    """
    if batch_size < 2 or tensor.ndim < 2 or tensor.numel() == 0:
        return None
    x = tensor.detach()
    if x.is_complex():
        x = torch.view_as_real(x)
    if x.shape[0] == batch_size:
        pass
    elif x.shape[1] == batch_size:
        x = x.transpose(0, 1)
    elif x.shape[0] % batch_size == 0:
        pass
    else:
        return None
    x = x[: min(MAX_SAMPLES, batch_size)] if x.shape[0] == batch_size else x.reshape(batch_size, -1)
    x = x[:MAX_SAMPLES].flatten(1)
    stride = -(-x.shape[1] // MAX_FEATURES)
    return x[:, ::stride].float()


@dataclass(frozen=True, slots=True)
class SampleReading:
    """How alike some samples are; 0-d tensors, left on the device.

    Attributes:
        cosine: Mean over pairs i != j of <x_i, x_j> / (|x_i| |x_j|); 0 where all are zero.
        spread: Share of their energy by which they differ, sum |x_i - mean|^2 / sum |x_i|^2
            * n / (n - 1): 1 for independent samples about zero, near 1 - cosine for samples
            of one length, 0 for equal ones. It also sees samples that differ in length alone.
        rank: Directions in which they differ, (sum s^2)^2 / sum s^4 over the singular values
            s of the centred matrix, in [1, n - 1]; 0 for equal samples.
    """

    cosine: Tensor
    spread: Tensor
    rank: Tensor


def compare(samples: Tensor) -> SampleReading:
    """Measure how alike samples are, and in how many directions they differ.

    All comes from the Gram matrix in float64, so that a spread holds down to 1e-14: what
    float32 features with rounding of their own can tell.

    Args:
        samples: (n, features), n >= 2.
    """
    n = samples.shape[0]
    gram = _gram(samples)
    total = gram.trace()
    alike = _cosines(gram)
    cosine = (alike.sum() - alike.trace()) / (n * (n - 1))
    mean = gram.mean(0)
    gram = gram - mean - mean[:, None] + mean.mean()
    energy = gram.trace()
    differ = energy > ROUNDING * total
    rank = energy.square() / gram.square().sum().clamp_min(1e-300)
    spread = energy / total.clamp_min(1e-300) * (n / (n - 1))
    return SampleReading(cosine, spread * differ, rank * differ)


def directions(samples: Tensor) -> Tensor:
    """Count the directions that vectors point in: 1 / mean squared cosine of two of them.

    Random vectors in d dimensions give d, whatever their number and their lengths. It is
    what (sum s^2)^2 / sum s^4 over the singular values s of many unit vectors tends to.

    Args:
        samples: (n, features), n >= 2.

    Returns:
        A 0-d tensor on the device, at least 1; ``nan`` where fewer than two are not zero.
    """
    squared = _cosines(_gram(samples)).square()
    count = squared.diagonal().round().sum()
    found = count * (count - 1) / (squared.sum() - squared.trace()).clamp_min(1e-9)
    return torch.where(count > 1, found, math.nan)


def _cosines(gram: Tensor) -> Tensor:
    """Divide inner products by the lengths; zero where a vector is zero."""
    norms = gram.diagonal().sqrt().clamp_min(1e-150)
    return gram / norms.outer(norms)


def _gram(samples: Tensor) -> Tensor:
    """Return the inner products of the samples in float64, the largest entry near one."""
    scaled = samples.double()
    scaled = scaled / scaled.abs().amax().clamp_min(1e-300)
    return scaled @ scaled.T
