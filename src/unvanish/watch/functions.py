"""Activation functions: their slope at a few entries, and which units let any gradient through.

Slopes are read off the output wherever the function can be undone, so that an activation which
works in place is measured like any other; the rest are sampled before they are called.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unvanish.observe.statistics.slope import ACTIVATIONS

Settings = tuple[float | str, ...]
Slope = Callable[..., Tensor]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Function:
    """An activation function.

    Attributes:
        name: As `ACTIVATIONS` has it, which knows its largest slope.
        slope: phi' from a sample of its output, or of its input; None where it is not known.
        of_input: Whether `slope` takes the input.
        settings: Names of its settings and what they are by default, in the order in which it is
            called with them, and in which `slope` and `on` take them.
        on: For an output and the dimensions that hold no units, a number for each unit that is
            0 or less where no entry has a slope; None where no unit can be dead.
    """

    name: str
    slope: Slope | None = None
    of_input: bool = False
    settings: tuple[tuple[str, float | str], ...] = ()
    on: Callable[..., Tensor] | None = None

    @property
    def flat_below(self) -> float:
        """Slope below which a bounded function is saturated; ``nan`` for any other."""
        known = ACTIVATIONS[self.name]
        return known.cap / 100.0 if known.can_saturate else math.nan

    def of_call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Settings:
        """Return the settings of a call: what stands behind the tensor, and keywords."""
        return tuple(
            args[place] if len(args) > place else kwargs.get(name, default)
            for place, (name, default) in enumerate(self.settings, start=1)
        )

    def of_module(self, module: nn.Module) -> Settings:
        """Return the settings of a module."""
        return tuple(getattr(module, name, default) for name, default in self.settings)


def _gelu(z: Tensor, form: str) -> Tensor:
    if form == "tanh":
        inner = math.sqrt(2.0 / math.pi) * (z + 0.044715 * z**3)
        steep = math.sqrt(2.0 / math.pi) * (1.0 + 3 * 0.044715 * z.square())
        curve = torch.tanh(inner)
        return 0.5 * (1.0 + curve) + 0.5 * z * (1.0 - curve.square()) * steep
    density = torch.exp(-0.5 * z.square()) / math.sqrt(2.0 * math.pi)
    return 0.5 * (1.0 + torch.erf(z / math.sqrt(2.0))) + z * density


def _silu(z: Tensor) -> Tensor:
    share = torch.sigmoid(z)
    return share * (1.0 + z * (1.0 - share))


def _mish(z: Tensor) -> Tensor:
    curve = torch.tanh(F.softplus(z))
    return curve + z * (1.0 - curve.square()) * torch.sigmoid(z)


def _hardswish(z: Tensor) -> Tensor:
    return torch.where(z <= -3.0, 0.0, torch.where(z >= 3.0, 1.0, (2.0 * z + 3.0) / 6.0))


def _inside(y: Tensor, low: float, high: float) -> Tensor:
    return ((y > low) & (y < high)).to(y.dtype)


def _bent(y: Tensor, below: float) -> Tensor:
    return torch.where(y > 0.0, 1.0, below)


def _any_inside(y: Tensor, others: tuple[int, ...], low: float, high: float) -> Tensor:
    return ((y > low) & (y < high)).amax(others).float()


_SELU: Final = (1.6732632423543772, 1.0507009873554805)

FUNCTIONS: Final = {
    function.name: function
    for function in (
        Function(
            name="relu",
            slope=lambda y: (y > 0.0).to(y.dtype),
            on=lambda y, others: y.amax(others),
        ),
        Function(
            name="relu6",
            slope=lambda y: _inside(y, 0.0, 6.0),
            on=lambda y, others: _any_inside(y, others, 0.0, 6.0),
        ),
        Function(name="leaky_relu", slope=_bent, settings=(("negative_slope", 0.01),)),
        Function(name="prelu"),
        Function(
            name="elu",
            slope=lambda y, alpha: torch.where(y > 0.0, 1.0, y + alpha),
            settings=(("alpha", 1.0),),
        ),
        Function(
            name="celu",
            slope=lambda y, alpha: torch.where(y > 0.0, 1.0, 1.0 + y / alpha),
            settings=(("alpha", 1.0),),
        ),
        Function(
            name="selu",
            slope=lambda y: torch.where(y > 0.0, _SELU[1], y + _SELU[0] * _SELU[1]),
        ),
        Function(name="gelu", slope=_gelu, of_input=True, settings=(("approximate", "none"),)),
        Function(name="silu", slope=_silu, of_input=True),
        Function(name="mish", slope=_mish, of_input=True),
        Function(
            name="softplus",
            slope=lambda y, beta: -torch.expm1(-beta * y),
            settings=(("beta", 1.0),),
        ),
        Function(name="sigmoid", slope=lambda y: y * (1.0 - y)),
        Function(name="tanh", slope=lambda y: 1.0 - y.square()),
        Function(name="softsign", slope=lambda y: (1.0 - y.abs()).square()),
        Function(
            name="hardtanh",
            slope=_inside,
            settings=(("min_val", -1.0), ("max_val", 1.0)),
            on=_any_inside,
        ),
        Function(
            name="hardsigmoid",
            slope=lambda y: _inside(y, 0.0, 1.0) / 6.0,
            on=lambda y, others: _any_inside(y, others, 0.0, 1.0),
        ),
        Function(
            name="hardswish",
            slope=_hardswish,
            of_input=True,
            on=lambda y, others: (y != 0.0).amax(others).float(),
        ),
        Function(name="logsigmoid", slope=lambda y: -torch.expm1(y)),
        Function(name="tanhshrink", slope=lambda z: torch.tanh(z).square(), of_input=True),
        Function(
            name="erf",
            slope=lambda z: 2.0 / math.sqrt(math.pi) * torch.exp(-z.square()),
            of_input=True,
        ),
    )
}
"""By name; gradient and dead units of every one are known from calculus."""

_MODULES: Final[dict[type[nn.Module], str]] = {
    nn.ReLU: "relu",
    nn.ReLU6: "relu6",
    nn.LeakyReLU: "leaky_relu",
    nn.PReLU: "prelu",
    nn.ELU: "elu",
    nn.CELU: "celu",
    nn.SELU: "selu",
    nn.GELU: "gelu",
    nn.SiLU: "silu",
    nn.Mish: "mish",
    nn.Softplus: "softplus",
    nn.Sigmoid: "sigmoid",
    nn.Tanh: "tanh",
    nn.Softsign: "softsign",
    nn.Hardtanh: "hardtanh",
    nn.Hardsigmoid: "hardsigmoid",
    nn.Hardswish: "hardswish",
    nn.LogSigmoid: "logsigmoid",
    nn.Tanhshrink: "tanhshrink",
}


def _calls() -> dict[Callable[..., Any], Function]:
    """Find every way to call a function: torch's, the functional one, the tensor's method."""
    found: dict[Callable[..., Any], Function] = {}
    for name, function in FUNCTIONS.items():
        for home in (torch, F, Tensor, torch.special):
            for spelling in (name, f"{name}_"):
                call = getattr(home, spelling, None)
                if callable(call):
                    found[call] = function
    found[torch.special.expit] = FUNCTIONS["sigmoid"]
    return found


CALLS: Final = _calls()
"""What a function mode meets, to the function it is."""


def function_of(module: nn.Module) -> Function | None:
    """Return the activation function that a module of torch's is; None for any other module."""
    name = _MODULES.get(type(module))
    return None if name is None else FUNCTIONS[name]
