"""Can the network still tell its inputs apart? Cosine and rank over the samples of a batch."""

from __future__ import annotations

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


def cosine_and_rank(samples: Tensor) -> tuple[Tensor, Tensor]:
    """Measure how alike the samples are, and in how many directions they differ.

    cosine = mean over pairs i != j of <x_i, x_j> / (|x_i| |x_j|);
    rank = (sum s^2)^2 / sum s^4 over the singular values s of the centred matrix.

    Both come from the Gram matrix in float64, so that 1 - cosine holds down to 1e-14: what
    float32 features with rounding of their own can tell.

    Args:
        samples: (n, features), n >= 2.

    Returns:
        Two 0-d tensors, left on the device: cosine in [-1, 1] and rank in [1, n - 1];
        rank is 0 where all samples are equal.
    """
    n = samples.shape[0]
    gram = _gram(samples)
    total = gram.trace()
    norms = gram.diagonal().sqrt().clamp_min(1e-150)
    alike = gram / norms.outer(norms)
    cosine = (alike.sum() - alike.trace()) / (n * (n - 1))
    mean = gram.mean(0)
    gram = gram - mean - mean[:, None] + mean.mean()
    spread = gram.trace()
    rank = spread.square() / gram.square().sum().clamp_min(1e-300)
    return cosine, torch.where(spread > ROUNDING * total, rank, 0.0)


def directions(samples: Tensor) -> Tensor:
    """Count the directions that the samples, not centred, spread their energy over.

    Args:
        samples: (n, features), n >= 2.

    Returns:
        (sum s^2)^2 / sum s^4 over the singular values s, a 0-d tensor on the device in
        [1, n]; 0 where all samples are zero.
    """
    gram = _gram(samples)
    return gram.trace().square() / gram.square().sum().clamp_min(1e-300)


def _gram(samples: Tensor) -> Tensor:
    """Return the inner products of the samples in float64, the largest entry near one."""
    scaled = samples.double()
    scaled = scaled / scaled.abs().amax().clamp_min(1e-300)
    return scaled @ scaled.T
