r"""In how many directions the output can ask an early layer to change.

Let J be the Jacobian from a layer of n units to C outputs, and v, v' independent random signs.
The gradients J^T v and J^T v' of two samples with one Jacobian have the mean squared cosine

    E cos^2 = tr (J J^T)^2 / (tr J J^T)^2                (to leading order),

the inverse of a number of directions. For an isometry it is 1/C, to which the n units of the
layer add 1/n. Each of L layers of width n spreads the squared singular values: their variance
over their squared mean grows by

    kappa = mu_2 / mu_1^2 - 1 - s_1,    mu_k = E[phi'(z)^(2k)],

s_1 = -1 for Gaussian and 0 for orthogonal weights: 0 for orthogonal linear layers, 1 for
Gaussian linear or orthogonal ReLU layers, 2 for Gaussian ReLU layers (He). Hence

    1 / directions = 1/C + 1/n + kappa L / n.

It holds while kappa L / n is small. Beyond, singular values are far from a common size, the
ratio of means is no longer the mean of the ratio, and directions fall more slowly towards 1.
Where samples have different Jacobians, as in a ReLU network, their gradients agree less and
the directions are more.

Source: Pennington, Schoenholz and Ganguli (2017) for the moments of the spectrum.
"""

from __future__ import annotations


def expected_directions(outputs: float, width: float, layers: int = 0, kappa: float = 0.0) -> float:
    """Return the number of directions of the gradients at a layer.

    Args:
        outputs: Directions at the output, C for random signs at C outputs.
        width: Units n of the layer and of those behind it.
        layers: Layers L between it and the output.
        kappa: Relative variance that each adds to the squared singular values.

    Returns:
        1 / (1/C + 1/n + kappa L / n).

    Raises:
        ValueError: If there is no output or no unit.

    Example:
        >>> expected_directions(10, 90)
        9.0
    """
    if not (outputs > 0 and width > 0):
        raise ValueError(f"outputs and width must be positive, but are {outputs} and {width}")
    return 1.0 / (1.0 / outputs + 1.0 / width + kappa * layers / width)
