"""Can the network still tell its inputs apart? Cosine and rank over the samples of a batch."""

from __future__ import annotations

import torch
from torch import Tensor

MAX_SAMPLES = 32
MAX_FEATURES = 1024


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

    Args:
        samples: (n, features), n >= 2.

    Returns:
        Two 0-d tensors, left on the device: cosine in [-1, 1] and rank in [1, n - 1];
        rank is 0 where all samples are equal.
    """
    n = samples.shape[0]
    unit = torch.nn.functional.normalize(samples, dim=1)
    total = unit.sum(0)
    cosine = (total.dot(total) - unit.square().sum()) / (n * (n - 1))
    centred = samples - samples.mean(0)
    centred = centred / centred.abs().amax().clamp_min(1e-30)
    gram = centred @ centred.T
    rank = gram.trace().square() / gram.square().sum().clamp_min(1e-30)
    return cosine, rank
