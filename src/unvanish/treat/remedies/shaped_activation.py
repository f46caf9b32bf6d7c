"""Deep kernel shaping with the constants in the functions, as the paper has it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Final, final

import torch
from torch import Tensor, nn

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.chains import chain_of
from unvanish.treat.exchanging import exchange, places_of
from unvanish.treat.layerwise import (
    DRAWING,
    EXCHANGES,
    MEASURING,
    NOT_PLAIN,
    SHAPING,
)
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.remedies.folded_kernel_shape import ZETA
from unvanish.treat.shaping import chain_in, draw, read, shapes_for, written


class _Erf(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.erf(x)


_MODULES: Final[dict[str, Callable[[], nn.Module]]] = {
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "softsign": nn.Softsign,
    "erf": _Erf,
    "elu": nn.ELU,
    "celu": nn.CELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "softplus": nn.Softplus,
    "hardswish": nn.Hardswish,
    "leaky_relu": nn.LeakyReLU,
    "logsigmoid": nn.LogSigmoid,
}


class Shaped(nn.Module):
    """A function between two shifts and two scales: s (phi(a x + b) + c).

    Args:
        phi: The function.
        input_scale: a.
        input_shift: b.
        output_shift: c.
        output_scale: s.
    """

    def __init__(
        self,
        phi: nn.Module,
        input_scale: float,
        input_shift: float,
        output_shift: float,
        output_scale: float,
    ) -> None:
        super().__init__()
        self.phi = phi
        self.input_scale, self.input_shift = input_scale, input_shift
        self.output_shift, self.output_scale = output_shift, output_scale

    def forward(self, x: Tensor) -> Tensor:
        """Return s (phi(a x + b) + c)."""
        shaped: Tensor = self.phi(self.input_scale * x + self.input_shift)
        return self.output_scale * (shaped + self.output_shift)

    def extra_repr(self) -> str:
        """Show the four constants."""
        return (
            f"a={self.input_scale:.4g}, b={self.input_shift:.4g}, "
            f"c={self.output_shift:.4g}, s={self.output_scale:.4g}"
        )


@final
@dataclass(frozen=True, kw_only=True)
class ShapedActivation:
    """Shift and scale every function so that a deep network behaves like a shallow one (DKS).

    ## When to use
    A plain network, of hundreds or thousands of layers too, of a smooth function, whose layers
    have no bias or have dropout between them, so that `folded-kernel-shape` does not fit; or
    where weights of ordinary size are wanted, with which SGD keeps its learning rate.

    ## What it changes
    Each function phi becomes s (phi(a x + b) + c), a module with four fixed numbers, solved for
    from the depth: a signal of mean square 1 keeps it, has mean 0, and two inputs are told apart
    at the end about as well as at the beginning. Weights are drawn orthogonal, a convolution's
    with one tap that is not zero; biases become zero. A layer that reads the data keeps all
    taps and is scaled on the batch, and its bias takes the mean of the data off.

    ## What it costs
    What was learnt in all layers is lost. Four elementwise operations a function.

    ## Settings
    `zeta`: 1.5, the slope of the whole network's correlation map at 1; `depth`: functions in a
    row; `centre inputs` and `settle sizes`: true; and the four constants of each function, which
    are what is used.

    ## Where we differ
    The paper normalises each input to length 1; here the data are standardised by the first layer,
    and every layer behind it is multiplied so that its signal has mean square 1 on the batch,
    from which narrow layers stray. Residual networks are refused: their constants depend on the
    graph.

    ## Composes with
    Any optimiser, dropout. Not with normalisation, connections past layers, another function or
    another initialisation.

    ## Evidence
    Digits, 30 plain layers of 64 units, Adam, 300 steps, the better of two learning rates for
    every arm, one seed, share of the test images (`python -m benchmarks.starts`; a guess is
    0.1): GELU, SiLU and softplus 0.981 (untouched 0.078, 0.078 and 0.094), sigmoid and tanh
    0.972 (0.094 and 0.194). The gradient of 1,000 tanh layers lost 243 decades on its way and
    changes by 0.1 afterwards; outputs for different inputs have a cosine below 0.1.

    ## Source
    Martens and others (2021).
    """

    name: ClassVar[str] = "shaped-activation"
    treats: ClassVar[frozenset[str]] = frozenset(
        {"UV101", "UV102", "UV103", "UV104", "UV105", "UV106", "UV201"}
    )
    change: ClassVar[Change] = Change.ACTIVATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["martens2021"], SOURCES["xiao2018"])
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = (EXCHANGES | DRAWING | NOT_PLAIN | MEASURING | SHAPING) - {
        "shaped-activation"
    }

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit a plain network of functions for which constants exist."""
        chain = chain_of(case)
        if isinstance(chain, NotApplicable):
            return chain
        unknown = sorted(set(chain.functions) - _MODULES.keys() - {"relu", "relu6", "threshold"})
        if unknown:
            return NotApplicable(f"{', '.join(unknown)} cannot be shaped")
        shapes = shapes_for(chain, case, ZETA)
        if isinstance(shapes, str):
            return NotApplicable(shapes)
        places = places_of(case.anatomy, chain.functions)
        if sum(len(p.turns) if p.turns is not None else p.calls for p in places) != chain.calls:
            return NotApplicable("one of its functions stands where it cannot be exchanged")
        return Prescription(
            remedy=self.name,
            why=f"{chain.depth} functions in a row without a connection past them: "
            + ", ".join(chain.functions),
            change=self.change,
            keeps=self.keeps,
            settings={
                "functions": ", ".join(chain.functions),
                "depth": chain.depth,
                "zeta": ZETA,
                "centre inputs": True,
                "settle sizes": True,
                **written(shapes),
            },
            places=tuple(dict.fromkeys(place.path for place in places)),
            cost="what all layers have learnt; four elementwise operations a function",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Exchange the functions for shaped ones, then draw the weights."""
        chain = chain_in(patient)
        shapes = read(prescription, chain.functions)
        kinds = {name: _as_used(patient.model, name) for name in shapes}
        for name, shape in shapes.items():
            exchange(
                patient,
                replace(prescription, settings={"functions": name}),
                lambda phi=kinds[name], shape=shape: Shaped(  # type: ignore[misc]
                    copy.deepcopy(phi),
                    shape.input_scale,
                    shape.input_shift,
                    shape.output_shift,
                    shape.output_scale,
                ),
            )
        draw(
            patient,
            chain,
            {},
            centred=bool(prescription.settings["centre inputs"]),
            settled=bool(prescription.settings["settle sizes"]),
        )


def _as_used(model: nn.Module, name: str) -> nn.Module:
    """Return a module of a function, with the options of the one that the network has."""
    kind = _MODULES[name]
    found = next((m for m in model.modules() if isinstance(kind, type) and type(m) is kind), None)
    phi = kind() if found is None else copy.deepcopy(found)
    if hasattr(phi, "inplace"):
        phi.__dict__["inplace"] = False
    return phi
