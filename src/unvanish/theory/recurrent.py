r"""How a gradient fades over time steps: plain cells, gated cells, highway layers.

A plain cell multiplies the gradient by W^T diag(phi') at every step, with chi_1 on average and
never by more than |W|_2 sup|phi'|: below 1 it must vanish (sigmoid: |W|_2 < 4, tanh: < 1).

A gated cell carries its state by a factor f a step (LSTM: the forget gate; GRU: 1 minus the
update gate; highway: 1 minus the transform gate), f^k over k steps, with the time constant
-1 / ln f.

Source: Hochreiter (1991); Bengio, Simard and Frasconi (1994); Pascanu, Mikolov and Bengio (2013),
section 2; Tallec and Ollivier (2018) for the chrono initialisation; Srivastava, Greff and
Schmidhuber (2015) for highway layers.
"""

from __future__ import annotations

import math


def step_bound(spectral_norm: float, slope_cap: float) -> float:
    """Return the largest factor of the gradient's norm over one step of a plain cell.

    Args:
        spectral_norm: Largest singular value of the recurrent weights.
        slope_cap: Largest slope of the activation, 0.25 for sigmoid and 1 for tanh.
    """
    return spectral_norm * slope_cap


def gate(bias: float) -> float:
    """Return sigmoid(bias), the gate at a pre-activation that is all bias."""
    return 1.0 / (1.0 + math.exp(-bias)) if bias >= 0 else math.exp(bias) / (1.0 + math.exp(bias))


def carried(bias: float, steps: int) -> float:
    """Return sigmoid(bias)^steps: what a gate that carries with this bias leaves.

    Args:
        bias: Bias of the carrying gate: the LSTM's forget gate, minus the GRU's update gate in
            the sense of its paper, minus the highway layer's transform gate.
        steps: Time steps or layers.

    Example:
        >>> f"{carried(1.0, 100):.3e}"
        '2.484e-14'
        >>> round(carried(3.0, 50), 4)  # fifty highway layers with a transform bias of -3
        0.0881
    """
    return gate(bias) ** steps


def time_constant(bias: float) -> float:
    """Return -1 / ln sigmoid(bias): the steps over which a carried state falls by e."""
    return 1.0 / math.log1p(math.exp(-bias)) if bias > -30 else -1.0 / bias


def carrying_bias(steps: int) -> float:
    """Return the bias at which a carried state falls by e over all steps: sigmoid(b)^steps = 1/e.

    The inverse of `time_constant`, about ln(steps).

    Args:
        steps: Time steps or layers, 1 or more.

    Example:
        >>> round(carrying_bias(10), 2), round(time_constant(carrying_bias(10)), 6)
        (2.25, 10.0)
    """
    return -math.log(math.expm1(1.0 / max(1, steps)))


def chrono_bias(longest: int) -> tuple[float, float]:
    """Return the range of forget biases for dependencies of up to so many steps.

    A forget bias ln u, with u even on [1, longest - 1], has time constants of about u; the input
    gate gets the negative.

    Args:
        longest: Longest dependency in steps, at least 3.

    Returns:
        Smallest and largest bias, 0 and ln(longest - 1).

    Raises:
        ValueError: If the dependency is too short to need it.
    """
    if longest < 3:
        raise ValueError(f"longest must be at least 3, but is {longest}")
    return 0.0, math.log(longest - 1)
