r"""How the gradient grows along residual blocks.

A block x + F(x) with a random branch adds energies: with chi_F the factor of the branch,

    |delta_in|^2 = (1 + chi_F) |delta_out|^2.

A skip can only let gradient die where a normalisation stands after the addition, where the
block is scaled down, or where branch and skip cancel.

- plain branch, scaled by alpha: 1 + alpha^2 chi, and e^chi over L blocks for alpha = 1/sqrt(L);
- normalised branch (pre-norm): the stream's variance grows by sigma_w^2 m a block, with
  m = E phi^2 (LayerNorm) or Var phi (BatchNorm), so that block l has
  1 + sigma_w^2 E phi'^2 / (v_0 + l sigma_w^2 m): polynomial growth in depth;
- normalisation after the addition (post-norm): (1 + chi_F) / (1 + v_F) with the branch's
  variance v_F. It is 1 for a feed-forward branch, and less for attention over tokens that
  agree, see `attention_branch`.

Source: Yang and Schoenholz (2017); Hayou et al. (2021) for alpha = 1/sqrt(L); De and Smith (2020)
for BatchNorm in the branch; Xiong et al. (2020), section 3, for post- and pre-norm. The form of
the post-norm factor for correlated tokens is our derivation, tested by Monte Carlo.
"""

from __future__ import annotations

import math

from unvanish.theory.activations import Activation
from unvanish.theory.mean_field import mean, second_moment, slope_moment


def plain_block(chi: float, alpha: float = 1.0) -> float:
    """Return the amplitude factor of x + alpha F(x).

    Args:
        chi: Energy factor of the branch.
        alpha: Scale of the branch.

    Example:
        >>> round(plain_block(1.0) ** 20)  # twenty He ReLU blocks
        1024
    """
    return math.sqrt(1.0 + alpha * alpha * chi)


def pre_norm_blocks(
    phi: Activation,
    sigma_w2: float,
    blocks: int,
    start: float = 1.0,
    *,
    batch_norm: bool = False,
) -> list[float]:
    """Return the amplitude factor of every block x + W phi(norm(x)), the first one first.

    Args:
        phi: The activation.
        sigma_w2: n_in Var(W_ij) of the branch.
        blocks: Number of blocks.
        start: Variance of the stream before the first.
        batch_norm: Whether the norm is BatchNorm; LayerNorm or RMSNorm otherwise.

    Example:
        >>> from unvanish.theory.activations import activation
        >>> [round(f, 3) for f in pre_norm_blocks(activation("relu"), 2.0, 3, batch_norm=True)]
        [1.414, 1.263, 1.192]
    """
    step = second_moment(phi, 1.0) - (mean(phi, 1.0) ** 2 if batch_norm else 0.0)
    gradient = sigma_w2 * slope_moment(phi, 1.0)
    return [math.sqrt(1.0 + gradient / (start + b * sigma_w2 * step)) for b in range(blocks)]


def post_norm_block(chi: float, variance: float) -> float:
    """Return the amplitude factor of norm(x + F(x)) for a stream of variance 1.

    Args:
        chi: Energy factor of the branch.
        variance: Variance of what the branch adds.

    Example:
        >>> post_norm_block(1.0, 1.0)
        1.0
    """
    return math.sqrt((1.0 + chi) / (1.0 + variance))


def attention_branch(tokens: int, correlation: float, gain: float = 1.0) -> tuple[float, float]:
    """Return the energy factor and the variance of an attention branch with even weights.

    It averages T tokens: correlated inputs keep their common part, while a gradient that differs
    from token to token is averaged away.

    Args:
        tokens: Number T of tokens.
        correlation: Correlation of two tokens, in [0, 1].
        gain: Energy factor of the value and output projections.

    Returns:
        chi = gain / T and v = gain (1 + (T - 1) correlation) / T.

    Example:
        >>> chi, variance = attention_branch(64, 1.0)
        >>> round(post_norm_block(chi, variance), 2)  # towards 1 / sqrt(2)
        0.71
    """
    return gain / tokens, gain * (1.0 + (tokens - 1) * correlation) / tokens
