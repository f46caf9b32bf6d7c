"""How attention weighs its keys, and how alike the tokens are that it mixes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from unvanish.theory.softmax import FROZEN

_MOST_NUMBERS: Final = 2**22
_MOST_ROWS: Final = 4096
_MOST_SAMPLES: Final = 8
_MOST_TOKENS: Final = 256
_MOST_FEATURES: Final = 256
_SURELY_BELOW: Final = -1e3
"""Added to a score, this leaves a probability of zero in any type."""
_COMMON: Final = 0.05
"""Share of the vanishing scores that has to hold one value for this to be a mask's."""


@dataclass(frozen=True, slots=True)
class AttentionReading:
    """Statistics of the rows of a softmax that may choose; 0-d tensors on the device.

    Attributes:
        entropy: Mean entropy of a row over the largest possible, ln of its allowed keys.
        frozen: Share of rows that react to their scores less than a thousandth as strongly
            as a row that weighs all of its allowed keys alike.
        spread: Root mean square over rows of the standard deviation of the scores.
    """

    entropy: Tensor
    frozen: Tensor
    spread: Tensor


def read_attention(
    probabilities: Tensor, scores: Tensor | None = None, allowed: Tensor | None = None
) -> AttentionReading | None:
    """Read the rows of a softmax over the last axis that have at least two keys to choose from.

    For a row p of n allowed keys, with S_k = sum p^k, the Jacobian diag(p) - p p^T has the
    squared Frobenius norm S_2 - 2 S_3 + S_2^2; for the uniform row it is 1/n - 1/n^2.

    Args:
        probabilities: Output of the softmax, keys on the last axis.
        scores: Its input, where it was seen.
        allowed: Where the masks are known: truth values that broadcast to the shape.

    Returns:
        The reading; None where no row has two keys to choose from.
    """
    if probabilities.ndim < 2 or probabilities.shape[-1] < 2 or probabilities.numel() == 0:
        return None
    shape = probabilities.shape
    raw = _thin(scores) if scores is not None and scores.shape == shape else None
    p = _thin(probabilities)
    keys = _allowed(p, raw) if allowed is None else _thin(allowed.expand(shape))
    p, keys, raw = _rows(p), _rows(keys), None if raw is None else _rows(raw)
    p, keys = p.double(), keys & torch.isfinite(p)
    n = keys.sum(-1)
    choosing = (n >= 2) & (p.sum(-1) > 0.5)  # a row without any key is all zeros
    if not bool(choosing.any()):
        return None
    p, keys, n = p[choosing], keys[choosing], n[choosing].double()
    logs = p.clamp_min(torch.finfo(torch.float64).tiny).log()
    entropy = -(p * logs).sum(-1) / n.log()
    square = p.square().sum(-1)
    jacobian = square - 2 * p.pow(3).sum(-1) + square.square()
    slope = (jacobian.clamp_min(0.0) / (1 / n - 1 / n.square())).sqrt()
    values = torch.where(keys, raw[choosing].double() if raw is not None else logs, 0.0)
    mean = values.sum(-1, keepdim=True) / n[:, None]
    variance = torch.where(keys, (values - mean).square(), 0.0).sum(-1) / n
    return AttentionReading(
        entropy=entropy.mean(),
        frozen=(slope < FROZEN).double().mean(),
        spread=variance.mean().sqrt(),
    )


def shut_fraction(probabilities: Tensor) -> Tensor:
    """Return the share of choices that get less than a thousandth of an even share.

    Args:
        probabilities: Output of a softmax, choices on the last axis.
    """
    choices = probabilities.shape[-1]
    given = probabilities.reshape(-1, choices).mean(0, dtype=torch.float64)
    return (given * choices < FROZEN).double().mean()


def unmasked(bias: Tensor) -> Tensor:
    """Tell the keys that a mask leaves, from what is added to the scores.

    Args:
        bias: Truth values, where False is masked, or numbers to add.
    """
    if bias.dtype is torch.bool:
        return bias
    return ~_masked(bias, bias[bias < _SURELY_BELOW])


def token_deviation(tensor: Tensor, batch_size: int) -> Tensor | None:
    """Return the part of the tokens that is not common to all tokens of a sample.

    sqrt(sum_t |x_t - mean x|^2 / sum_t |x_t|^2), over samples: 1 where tokens have nothing in
    common, 0 where they are all the same.

    Args:
        tensor: Activation of shape (batch, tokens, features) or (tokens, batch, features).
        batch_size: Samples in the batch.

    Returns:
        A 0-d tensor; None where the tensor has no tokens to compare.
    """
    if tensor.ndim != 3 or batch_size < 1:
        return None
    if tensor.shape[0] != batch_size:
        tensor = tensor.transpose(0, 1)
    if tensor.shape[0] != batch_size or tensor.shape[1] < 2 or tensor.numel() == 0:
        return None
    tensor = tensor[:_MOST_SAMPLES]
    x = tensor[:, :: _stride(tensor.shape[1], _MOST_TOKENS)]
    x = x[:, :, :: _stride(tensor.shape[2], _MOST_FEATURES)].double()
    energy = x.square().sum()
    apart = (x - x.mean(1, keepdim=True)).square().sum()
    return torch.where(energy > 0, (apart / energy).sqrt(), torch.full_like(energy, torch.nan))


def _stride(size: int, most: int) -> int:
    return max(1, -(-size // most))


def _thin(tensor: Tensor) -> Tensor:
    """Keep some samples, then some queries, where there are very many numbers."""
    while tensor.numel() > _MOST_NUMBERS and tensor.ndim > 2 and tensor.shape[0] > 1:
        tensor = tensor[: tensor.shape[0] // 2]
    while tensor.numel() > _MOST_NUMBERS and tensor.shape[-2] > 1:
        tensor = tensor[..., ::2, :]
    return tensor


def _rows(tensor: Tensor) -> Tensor:
    rows = tensor.reshape(-1, tensor.shape[-1])
    return rows[:: _stride(rows.shape[0], _MOST_ROWS)]


def _allowed(probabilities: Tensor, scores: Tensor | None) -> Tensor:
    """Tell the keys that a mask took away from those that large scores drowned."""
    zero = probabilities == 0
    if not bool(zero.any()):
        return ~zero
    if scores is not None:
        return ~(zero & _masked(scores, scores[zero]))
    # A mask takes a pair of query and key, or a key, from every head and sample alike.
    others = tuple(range(probabilities.ndim - 2))
    pairs = zero.all(others, keepdim=True) if others else zero
    keys = zero.flatten(1, -2).all(1) if probabilities.ndim > 2 else zero.all(0)
    while keys.ndim < probabilities.ndim:
        keys = keys.unsqueeze(-2)
    return ~(pairs | keys.expand(probabilities.shape))


def _masked(scores: Tensor, vanishing: Tensor) -> Tensor:
    """Tell which scores hold a mask's value: minus infinity, or one that many share.

    Masked scores are -1e9 or the like up to a small score; large scores have all sizes.
    """
    masked = torch.isneginf(scores)
    finite = vanishing[torch.isfinite(vanishing) & (vanishing < 0)]
    if finite.numel() == 0:
        return masked
    sizes, counts = _two_digits(finite).unique(return_counts=True)
    common = sizes[counts >= max(4.0, _COMMON * finite.numel())]
    return masked | torch.isin(_two_digits(scores), common) & (scores < 0)


def _two_digits(values: Tensor) -> Tensor:
    """Round to steps of 2 %, on a logarithmic scale."""
    return (values.double().abs().clamp_min(1e-300).log10() * 100).round()
