r"""What a normalisation of the pre-activations does to the gradient of one layer.

A normalised pre-activation has variance 1 whatever the weights are, so that sigma_w cancels:

    BatchNorm              chi = E phi'(u)^2 / Var phi(u)
    LayerNorm, RMSNorm     chi = E phi'(u)^2 / (E phi(u)^2 + sigma_b^2 / sigma_w^2),  u ~ N(0, 1)

BatchNorm takes each unit's mean over the batch away, LayerNorm only the mean over units. So
BatchNorm cures a stack of sigmoids (chi 1.034), LayerNorm does not (0.153): what all units have
in common, the mean 1/2, stays. And BatchNorm makes a ReLU stack without skips explode: chi =
pi / (pi - 1), 1.21 a layer in amplitude.

Source: Yang, Pennington, Rao, Sohl-Dickstein and Schoenholz (2019) for BatchNorm.
"""

from __future__ import annotations

from unvanish.theory.activations import Activation
from unvanish.theory.mean_field import mean, second_moment, slope_moment


def chi_batch_norm(phi: Activation) -> float:
    """Return chi of a layer with BatchNorm before its activation, for a large batch.

    Example:
        >>> import math
        >>> from unvanish.theory.activations import activation
        >>> abs(chi_batch_norm(activation("relu")) - math.pi / (math.pi - 1)) < 1e-12
        True
    """
    return slope_moment(phi, 1.0) / (second_moment(phi, 1.0) - mean(phi, 1.0) ** 2)


def chi_batch_norm_linear(batch: int) -> float:
    """Return chi of a linear layer with BatchNorm over a batch of finite size.

    The batch's mean and its own direction are taken out of the gradient.

    Args:
        batch: Samples B, at least 4.

    Returns:
        (B - 2) / (B - 3).

    Raises:
        ValueError: If the batch is too small for the mean to exist.
    """
    if batch < 4:
        raise ValueError(f"batch must be at least 4, but is {batch}")
    return (batch - 2) / (batch - 3)


def chi_layer_norm(phi: Activation, bias_ratio: float = 0.0) -> float:
    """Return chi of a layer with LayerNorm or RMSNorm before its activation.

    Args:
        phi: The activation.
        bias_ratio: sigma_b^2 / sigma_w^2, not negative.

    Raises:
        ValueError: If the ratio is negative.

    Example:
        >>> from unvanish.theory.activations import activation
        >>> round(chi_layer_norm(activation("sigmoid")), 4)
        0.1528
    """
    if not bias_ratio >= 0.0:
        raise ValueError(f"bias_ratio must not be negative, but is {bias_ratio}")
    return slope_moment(phi, 1.0) / (second_moment(phi, 1.0) + bias_ratio)
