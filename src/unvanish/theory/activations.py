"""Activation functions as mean-field theory sees them: value, slope, kinks, largest slope."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import special

from unvanish.theory.quadrature import Array, Function, resolved

_SELU_SCALE: Final = 1.0507009873554804934193349852946
_SELU_ALPHA: Final = 1.6732632423543772848170429916717


@dataclass(frozen=True, slots=True)
class Activation:
    """An elementwise function and what theory needs of it.

    Attributes:
        name: As PyTorch's functional module calls it.
        value: phi(z), elementwise.
        slope: phi'(z); at a kink either side's.
        kinks: Where the value or the slope jumps, or bends so fast that a panel must end.
        slope_cap: Largest |phi'|: no operating point lets more gradient through.
        slope_cap_at: A point where it is reached; ``inf`` where it is only approached.
        is_homogeneous: Whether phi(s z) = s phi(z) for every s > 0, as for ReLU and its kin.
    """

    name: str
    value: Function
    slope: Function
    kinks: tuple[float, ...] = ()
    slope_cap: float = 1.0
    slope_cap_at: float = 0.0
    is_homogeneous: bool = False

    def __str__(self) -> str:
        return self.name


def _normal(z: Array) -> Array:
    density: Array = np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    return density


def _sigmoid_slope(z: Array) -> Array:
    slope: Array = special.expit(z) * special.expit(-z)
    return slope


def _softplus(z: Array) -> Array:
    soft: Array = np.logaddexp(0.0, z)
    return soft


def _mish(z: Array) -> Array:
    return z * np.tanh(_softplus(z))


def _mish_slope(z: Array) -> Array:
    t = np.tanh(_softplus(z))
    slope: Array = t + z * special.expit(z) * (1.0 - t * t)
    return slope


def _silu_slope(z: Array) -> Array:
    slope: Array = special.expit(z) * (1.0 + z * special.expit(-z))
    return slope


def _elu(z: Array) -> Array:
    return np.where(z > 0, z, np.expm1(np.minimum(z, 0.0)))


def _elu_slope(z: Array) -> Array:
    return np.where(z > 0, 1.0, np.exp(np.minimum(z, 0.0)))


def _selu(z: Array) -> Array:
    return _SELU_SCALE * np.where(z > 0, z, _SELU_ALPHA * np.expm1(np.minimum(z, 0.0)))


def _selu_slope(z: Array) -> Array:
    return _SELU_SCALE * np.where(z > 0, 1.0, _SELU_ALPHA * np.exp(np.minimum(z, 0.0)))


def leaky_relu(negative_slope: float = 0.01) -> Activation:
    """Return LeakyReLU, or PReLU at one value of its parameter.

    Args:
        negative_slope: Slope below zero; 0 gives ReLU, 1 the identity.
    """
    a = negative_slope
    return Activation(
        "relu" if a == 0.0 else f"leaky_relu({a:g})",
        lambda z: np.where(z > 0, z, a * z),
        lambda z: np.where(z > 0, 1.0, a),
        kinks=(0.0,),
        slope_cap=max(1.0, abs(a)),
        slope_cap_at=1.0,
        is_homogeneous=True,
    )


_MISH_PEAK: Final = (1.088498161251728, 1.4905711716)
_SILU_PEAK: Final = (1.099839320128867, 2.3993572422)

ACTIVATIONS: Final[dict[str, Activation]] = {
    a.name: a
    for a in (
        Activation("identity", lambda z: z, np.ones_like, is_homogeneous=True),
        Activation("sigmoid", special.expit, _sigmoid_slope, slope_cap=0.25),
        Activation("tanh", np.tanh, lambda z: 1.0 - np.tanh(z) ** 2),
        Activation(
            "erf",
            special.erf,
            lambda z: 2.0 / math.sqrt(math.pi) * np.exp(-z * z),
            slope_cap=2.0 / math.sqrt(math.pi),
        ),
        Activation(
            "hardtanh",
            lambda z: np.clip(z, -1.0, 1.0),
            lambda z: np.where(np.abs(z) < 1.0, 1.0, 0.0),
            kinks=(-1.0, 1.0),
        ),
        Activation(
            "softsign",
            lambda z: z / (1.0 + np.abs(z)),
            lambda z: (1.0 + np.abs(z)) ** -2,
            kinks=(0.0,),
        ),
        Activation("softplus", _softplus, special.expit, slope_cap_at=math.inf),
        leaky_relu(0.0),
        leaky_relu(0.01),
        Activation("elu", _elu, _elu_slope, kinks=(0.0,), slope_cap_at=1.0),
        Activation(
            "selu",
            _selu,
            _selu_slope,
            kinks=(0.0,),
            slope_cap=_SELU_SCALE * _SELU_ALPHA,
        ),
        Activation(
            "gelu",
            lambda z: z * special.ndtr(z),
            lambda z: special.ndtr(z) + z * _normal(z),
            slope_cap=float(special.ndtr(math.sqrt(2.0)))
            + math.sqrt(2.0) * math.exp(-1.0) / math.sqrt(2.0 * math.pi),
            slope_cap_at=math.sqrt(2.0),
        ),
        Activation(
            "silu",
            lambda z: z * special.expit(z),
            _silu_slope,
            slope_cap=_SILU_PEAK[0],
            slope_cap_at=_SILU_PEAK[1],
        ),
        Activation(
            "mish",
            _mish,
            _mish_slope,
            slope_cap=_MISH_PEAK[0],
            slope_cap_at=_MISH_PEAK[1],
        ),
    )
}
"""Every activation the theory knows by name."""

_ALIASES: Final = {
    "linear": "identity",
    "logistic": "sigmoid",
    "hard_tanh": "hardtanh",
    "swish": "silu",
    "leaky_relu": "leaky_relu(0.01)",
    "leakyrelu": "leaky_relu(0.01)",
    "lrelu": "leaky_relu(0.01)",
    "prelu": "leaky_relu(0.25)",
}


def activation(name: str) -> Activation:
    """Return an activation by name.

    Args:
        name: Such as ``"tanh"``, ``"SiLU"``, ``"leaky_relu(0.2)"`` or ``"prelu"`` (whose
            parameter starts at 0.25).

    Raises:
        ValueError: If it is not known; the message names the nearest one.

    Example:
        >>> activation("Sigmoid").slope_cap
        0.25
    """
    wanted = name.strip().lower().replace("-", "_").replace(" ", "_")
    wanted = _ALIASES.get(wanted, wanted)
    if wanted in ACTIVATIONS:
        return ACTIVATIONS[wanted]
    head, _, tail = wanted.partition("(")
    if head in ("leaky_relu", "leakyrelu", "lrelu", "prelu") and tail.endswith(")"):
        try:
            return leaky_relu(float(tail[:-1]))
        except ValueError:
            pass
    known = [*ACTIVATIONS, *_ALIASES]
    near = difflib.get_close_matches(wanted, known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(ACTIVATIONS)}"
    raise ValueError(f"theory knows no activation {name!r}{hint}")


def from_function(
    value: Callable[[Array], Array],
    *,
    name: str = "",
    kinks: tuple[float, ...] = (),
    slope: Function | None = None,
) -> Activation:
    """Return any elementwise function as an activation.

    Args:
        value: phi, taking and returning a float64 array.
        name: What to call it; the function's own name by default.
        kinks: Where it or its slope jumps. Between kinks it must be smooth.
        slope: phi'; a central difference of fourth order by default, good to about 1e-9 for a
            function that changes over lengths of order one.

    Raises:
        ValueError: If the function does not return one finite number for each it is given, or
            changes too fast for its slope to be told from its values.

    Example:
        >>> cube = from_function(lambda z: z**3, name="cube")
        >>> bool(abs(cube.slope(np.array([2.0]))[0] - 12.0) < 1e-7)
        True
    """
    z = np.linspace(-10.0, 10.0, 4001)
    try:
        with np.errstate(all="ignore"):
            tried = np.asarray(value(z))
    except Exception as error:
        raise ValueError(
            "value must map an array to an array, for instance lambda z: numpy.tanh(2 * z) and not "
            f"math.tanh(2 * z); given an array it raised {type(error).__name__}: {error}"
        ) from error
    if tried.shape != z.shape or not np.all(np.isfinite(tried)):
        raise ValueError(
            "value must map an array to a finite array of the same shape, "
            "for instance lambda z: numpy.tanh(2 * z)"
        )

    used = slope or _difference(value, kinks, z)
    ends = resolved([lambda z: value(z) ** 2, lambda z: used(z) ** 2], kinks)
    slopes = np.abs(used(z))
    peak = int(np.argmax(slopes))
    return Activation(
        name or getattr(value, "__name__", "function"),
        value,
        used,
        kinks=ends,
        slope_cap=float(slopes[peak]),
        slope_cap_at=float(z[peak]),
    )


_STEPS: Final = (1e-3, 1e-4, 1e-5)
_SLOPES_AGREE: Final = 1e-5
"""Of the largest slope, by which differences over a step and over half of it may differ."""


def _difference(value: Function, kinks: tuple[float, ...], z: Array) -> Function:
    """Return a central difference with the widest step that resolves the function.

    Raises:
        ValueError: If none does.
    """

    def over(h: float) -> Function:
        def slope(z: Array) -> Array:
            for kink in kinks:  # differences stay on their side
                right = z >= kink
                z = np.where(np.abs(z - kink) < 2.0 * h, kink + np.where(right, 2, -2) * h, z)
            near = value(z + h) - value(z - h)
            far = value(z + 2 * h) - value(z - 2 * h)
            return np.asarray((8.0 * near - far) / (12.0 * h))

        return slope

    worst = 0.0
    for h in _STEPS:
        smooth = z
        for kink in kinks:
            smooth = smooth[np.abs(smooth - kink) > 2.0 * h]
        wide, narrow = over(h)(smooth), over(0.5 * h)(smooth)
        off = np.abs(wide - narrow)
        if np.max(off) <= _SLOPES_AGREE * max(float(np.max(np.abs(narrow))), 1e-12):
            return over(h)
        worst = float(smooth[int(np.argmax(off))])
    raise ValueError(
        f"the slope cannot be told from the values: near z = {worst:.3g} the function jumps or "
        "bends within 1e-5; name that place in kinks, or give the slope"
    )
