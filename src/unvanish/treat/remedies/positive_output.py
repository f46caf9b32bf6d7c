"""Softplus in the place of a ReLU whose zeros are then given to a logarithm or a root."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, final

from torch import nn

from unvanish.core.glossary import Quantity
from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.records import Recording, Role, Site
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.diagnose.neighbours import Neighbours
from unvanish.diagnose.number_format import saturated_behind
from unvanish.treat.ending import exchange_end, why_out_of_reach
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.surgery import CannotTreatError

_TAKES_NO_ZERO: Final = frozenset({"log", "log2", "log10", "sqrt", "rsqrt", "pow", "reciprocal"})


@final
@dataclass(frozen=True, kw_only=True)
class PositiveOutput:
    r"""Make a number that has to be positive by softplus, where a ReLU makes it zero.

    ## When to use
    A rate, a scale, a variance or a share of evidence that a ReLU makes, and that goes on, as it is
    or divided by its sum, into a logarithm or a root (UV403). The ReLU answers exactly zero for
    half of its inputs: the logarithm is minus infinity there, and a floor under it makes it finite
    but gives no gradient back, since the ReLU's own slope is zero.

    ## What it changes
    This one ReLU becomes softplus, log(1 + exp(x)): positive for every input, close to the ReLU
    beyond 3. The logarithm of it has a slope between 0 and 1 everywhere: for inputs far below zero
    it is the input itself. ReLUs of hidden layers stay. Weights stay.

    ## What it costs
    An exponential and a logarithm for every entry. What the network has learnt is off where the
    ReLU's input was near zero or below.

    ## Settings
    None.

    ## Where we differ
    Dugas and others put softplus wherever a result has to be positive. Here it is put only where a
    ReLU's zeros were seen to reach a step that has no value or no slope at zero.

    ## Composes with
    Every other remedy. Behind an input below -104 in float32 softplus is zero, too:
    guard-singularity is a floor for that.

    ## Evidence
    Patients of the zoo, trained for their own budget, seed 0, all else as it was: EVIDENCE

    ## Source
    Dugas, Bengio, Bélisle, Nadeau and Garcia (2001), section 3.
    """

    name: ClassVar[str] = "positive-output"
    treats: ClassVar[frozenset[str]] = frozenset({"UV403"})
    change: ClassVar[Change] = Change.ACTIVATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.WEIGHTS, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["dugas2001"],)
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = frozenset()

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit a network with a ReLU whose zeros reach a logarithm or a root."""
        found = _zeros_of(case.recording)
        if not found:
            return NotApplicable("no zeros of a ReLU reach a logarithm or a root")
        for _, maker in found:
            if refused := why_out_of_reach(case, maker):
                return NotApplicable(refused)
        taker, maker = found[0]
        return Prescription(
            remedy=self.name,
            why=f"{taker.op}{_at(taker)} is given the zeros of {maker.name}",
            change=self.change,
            keeps=self.keeps,
            places=tuple(dict.fromkeys(maker.path for _, maker in found)),
            cost="what the network has learnt where the ReLU's input is near zero or below",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Put softplus in the place of the ReLU.

        Raises:
            CannotTreatError: If its zeros reach no logarithm or root any more.
        """
        makers = {
            maker.index: maker
            for _, maker in _zeros_of(patient.anatomy.recording)
            if maker.path in prescription.places
        }
        if not makers:
            raise CannotTreatError("no zeros of a ReLU reach a logarithm or a root any more")
        for maker in makers.values():
            exchange_end(patient, maker, nn.Softplus(), "Softplus")


def _zeros_of(recording: Recording) -> list[tuple[Site, Site]]:
    """Return the steps that are given the zeros of a ReLU and take none, each with the ReLU."""
    values = recording[Quantity.NON_FINITE_FRACTION]
    gradients = recording[Quantity.NON_FINITE_GRAD_FRACTION]
    neighbours = Neighbours(recording)
    found = []
    for taker in recording.sites:
        maker = saturated_behind(neighbours, taker) if taker.op in _TAKES_NO_ZERO else None
        if maker is None or maker.op != "relu" or maker.op != maker.function:
            continue
        sick = values.get(taker) > 0.0 or gradients.get(maker) > 0.0
        if sick and maker.role is Role.SIGNAL:
            found.append((taker, maker))
    return found


def _at(site: Site) -> str:
    return f" at {site.source}" if site.source else ""
