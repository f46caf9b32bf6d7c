"""Softplus in the place of a ReLU that makes what the loss is taken of, and is shut."""

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
from unvanish.treat.ending import exchange_end, spot_of, why_out_of_reach
from unvanish.treat.probing import passing
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.surgery import CannotTreatError

_TAKES_NO_ZERO: Final = frozenset({"log", "log2", "log10", "sqrt", "rsqrt", "pow", "reciprocal"})

_AXES: Final = 2
"""Of an output: samples and at least one more."""


@final
@dataclass(frozen=True, kw_only=True)
class PositiveOutput:
    r"""Make a number that has to be positive by softplus, where a ReLU makes it zero.

    ## When to use
    A rate, a scale, a variance or a share of evidence that a ReLU makes, and that goes on, as it is
    or divided by its sum, into a logarithm or a root (UV403). The ReLU answers exactly zero for
    half of its inputs: the logarithm is minus infinity there, and a floor under it makes it finite
    but gives no gradient back, since the ReLU's own slope is zero. Or a network whose output passes
    a ReLU because it is never negative, and of which some output is zero for every sample (UV202):
    no gradient enters there.

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
    ReLU's zeros were seen to reach a step that has no value or no slope at zero, or to be all that
    an output gives.

    ## Composes with
    Every other remedy. Behind an input below -104 in float32 softplus is zero, too:
    guard-singularity is a floor for that.

    ## Evidence
    Patients of the zoo, trained for their own budget, seed 0, all else as it was: a
    cross entropy by hand over shares of evidence reaches an accuracy of 0.96 (0.08 before: every
    weight is NaN after one step; 0.09 with guard-singularity).

    ## Source
    Dugas, Bengio, Bélisle, Nadeau and Garcia (2001), section 3.
    """

    name: ClassVar[str] = "positive-output"
    treats: ClassVar[frozenset[str]] = frozenset({"UV403", "UV202"})
    change: ClassVar[Change] = Change.ACTIVATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.WEIGHTS, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["dugas2001"],)
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = frozenset()

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit a network with a ReLU whose zeros reach a logarithm or a root, or are its output."""
        found = _found(case)
        if not found:
            return NotApplicable(
                "no zeros of a ReLU reach a logarithm or a root, and none shuts an output"
            )
        for _, maker in found:
            if refused := why_out_of_reach(case, maker):
                return NotApplicable(refused)
        taker, maker = found[0]
        return Prescription(
            remedy=self.name,
            why=f"{taker.op}{_at(taker)} is given the zeros of a {maker.op}{_at(maker)}"
            if taker is not maker
            else f"the {maker.op}{_at(maker)} shuts an output for every sample",
            change=self.change,
            keeps=self.keeps,
            places=tuple(dict.fromkeys(maker.path for _, maker in found)),
            cost="what the network has learnt where the ReLU's input is near zero or below",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Put softplus in the place of the ReLU.

        Raises:
            CannotTreatError: If its zeros do no harm any more.
        """
        makers = {
            maker.index: maker for _, maker in _found(patient) if maker.path in prescription.places
        }
        if not makers:
            raise CannotTreatError(
                "no zeros of a ReLU reach a logarithm, a root or the output any more"
            )
        for maker in makers.values():
            exchange_end(patient, maker, nn.Softplus(), "Softplus")


def _found(known: Case | Patient) -> list[tuple[Site, Site]]:
    """Return the steps that a ReLU's zeros harm, each with the ReLU; for an output it is both."""
    recording = known.anatomy.recording
    found = _zeros_of(recording)
    taken = {maker.index for _, maker in found}
    return found + [
        (site, site)
        for site in recording.signal_sites()
        if _is_relu(site) and site.is_output and site.index not in taken and _is_shut(known, site)
    ]


def _is_shut(known: Case | Patient, site: Site) -> bool:
    """Tell whether some output of a ReLU is zero for every sample."""
    passed = passing(known.model, known.batch, [spot_of(known, site, "after")])[0]
    if not passed or passed[-1].ndim < _AXES:
        return False
    return bool((passed[-1].flatten(1).amax(0) == 0).any())


def _is_relu(site: Site) -> bool:
    return site.op == "relu" and site.op == site.function


def _zeros_of(recording: Recording) -> list[tuple[Site, Site]]:
    """Return the steps that are given the zeros of a ReLU and take none, each with the ReLU."""
    values = recording[Quantity.NON_FINITE_FRACTION]
    gradients = recording[Quantity.NON_FINITE_GRAD_FRACTION]
    neighbours = Neighbours(recording)
    found = []
    for taker in recording.sites:
        maker = saturated_behind(neighbours, taker) if taker.op in _TAKES_NO_ZERO else None
        if maker is None or not _is_relu(maker):
            continue
        sick = values.get(taker) > 0.0 or gradients.get(maker) > 0.0
        if sick and maker.role is Role.SIGNAL:
            found.append((taker, maker))
    return found


def _at(site: Site) -> str:
    return f" at {site.source}" if site.source else ""
