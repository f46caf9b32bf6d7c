"""Smooth activation: tanh where a loss takes derivatives of functions of straight pieces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, final

from torch import nn

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.diagnose.neighbours import Neighbours
from unvanish.diagnose.second_derivatives import flat_derivatives
from unvanish.treat.exchanging import EXCHANGES, RECTIFIED, exchange, prescribed
from unvanish.treat.protocol import Case, Patient

_STRAIGHT: Final = RECTIFIED | {"leaky_relu", "hardtanh"}
"""Functions of straight pieces that tanh may take the place of."""


@final
@dataclass(frozen=True, kw_only=True)
class SmoothActivation:
    r"""Exchange functions of straight pieces for tanh where the loss takes their derivatives.

    ## When to use
    A loss with second derivatives of the network, such as the residual of a differential equation,
    a penalty on curvature or forces that are trained, and hidden functions such as ReLU, whose
    second derivative is zero: that part of the loss teaches nothing (UV205).

    ## What it changes
    Every hidden function of the kind is exchanged, a module or a call. Functions of the output, of
    gates, of attention and of a loop over time stay. Weights stay.

    ## What it costs
    What the network has learnt is lost. Deep stacks of tanh lose gradient where their weights do
    not suit it.

    ## Settings
    None.

    ## Where we differ
    None in the function. It is offered where a derivative that the network itself computes is
    found to depend on no parameter, not wherever `torch.autograd.grad` is called.

    ## Composes with
    xavier, made afterwards. Not with the other exchanges of a function.

    ## Evidence
    `unvanish cure benchmarks/outside_cures/beta/oscillator_pinn.py`, a harmonic oscillator by the
    residual of its equation, means of five seeds of 347 steps at rates chosen alike: the solution
    is off by 0.03 (root mean square), and by 0.88 with ReLU.

    ## Source
    Raissi, Perdikaris and Karniadakis (2019), section 3.
    """

    name: ClassVar[str] = "smooth-activation"
    treats: ClassVar[frozenset[str]] = frozenset({"UV205"})
    change: ClassVar[Change] = Change.ACTIVATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.WEIGHTS, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["raissi2019"],)
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = EXCHANGES

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit a network whose derivatives enter the loss and depend on no parameter."""
        if next(flat_derivatives(Neighbours(case.recording)), None) is None:
            return NotApplicable("no derivative in its loss is one of a function without curvature")
        return prescribed(
            case,
            remedy=self.name,
            new="Tanh",
            functions=_STRAIGHT,
            keeps=self.keeps,
            cost="what the network has learnt",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Put tanh in the place of each."""
        exchange(patient, prescription, nn.Tanh)
