"""Surrogate gradient: a comparison stays what it is and gets the gradient of a soft step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Final, final

from unvanish.core.errors import UnvanishError
from unvanish.core.findings import Finding
from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.records import Recording
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Found, NotApplicable
from unvanish.diagnose.rules.zero_derivative import ZeroDerivative
from unvanish.observe.copies import copied
from unvanish.treat.compared import COMPARISONS
from unvanish.treat.comparisons import Compared, Comparisons
from unvanish.treat.hearing import hear, newly_fed
from unvanish.treat.probing import Spot, passing
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.surgery import Surgery

_NARROWEST: Final = 1e-3
"""Least width of a soft step, where all that is compared is the same."""


@final
@dataclass(frozen=True, kw_only=True)
class SurrogateGradient:
    r"""Pass a gradient through comparisons: spikes, thresholds, masks.

    ## When to use
    Parameters whose only way to the loss leads through the answer of a comparison (UV205, UV501):
    the spikes of a spiking network, binary units written as `(x > 0).float()`, a mask by a learned
    threshold.

    ## What it changes
    The derivative, and nothing else: every answer stays what it is. Where it is made a number,
    multiplied, or chooses between two values in `torch.where`, what comes out gets the gradient of
    a soft step s(u) = (1 + u / (1 + |u|)) / 2 of u = (left - right) / w in its place. It is found
    as the network runs, also through views, sums, concatenations and logic.

    ## What it costs
    The gradient is not that of the loss: it is biased, and the loss may rise along it. Some
    microseconds for each step of the forward.

    ## Settings
    For each place its width w: the spread (standard deviation) of what is compared there, so that
    most entries are within reach of the step.

    ## Where we differ
    Zenke and Ganguli take the slope 1 / (1 + b |x|)^2 with one b for all layers; ours is the same
    slope, 1 / b follows from the data, and its integral is 1, the height of the step.

    ## Composes with
    Anything that keeps what is compared near its threshold.

    ## Evidence
    `unvanish cure benchmarks/outside_cures/beta/lif_digits.py --seeds 3 --budget 300steps`: two
    layers of spiking neurons on digits, of which only the read-out learns, reach an accuracy of
    0.95 (0.43 untreated), at rates chosen alike.

    ## Source
    Zenke and Ganguli (2018), section 3; Neftci, Mostafa and Zenke (2019); Bengio, Léonard and
    Courville (2013), section 4.
    """

    name: ClassVar[str] = "surrogate-gradient"
    treats: ClassVar[frozenset[str]] = frozenset({"UV205", "UV501"})
    change: ClassVar[Change] = Change.GRAPH
    keeps: ClassVar[frozenset[Keeps]] = frozenset(
        {Keeps.FUNCTION, Keeps.WEIGHTS, Keeps.STATE_NAMES}
    )
    sources: ClassVar[tuple[Source, ...]] = (
        SOURCES["zenke2018"],
        SOURCES["neftci2019"],
        SOURCES["bengio2013"],
    )
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = frozenset()

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit a network in which parameters starve behind a comparison of numbers."""
        starved = _starved(case.recording)
        places = dict.fromkeys((s.path, s.op) for f in starved for s in f.sites)
        if not places:
            return NotApplicable("no parameter starves behind a comparison, such as x > 0")
        settings = {
            f"{path} {op}".strip(): width
            for path, op in places
            if (width := _width(case, path, op)) is not None
        }
        if not settings:
            path, op = next(iter(places))
            return NotApplicable(f"{op} in {path or 'the model'} compares no real numbers")
        twin = copied(case.model)
        _prepare(Surgery(twin), settings, case.recording)
        try:
            fed = newly_fed(twin, case, starved)
        except UnvanishError as error:  # a checkpoint around the comparison
            return NotApplicable(error.what)
        if not fed:
            return NotApplicable("no number that a gradient could come from is made of the answers")
        return Prescription(
            remedy=self.name,
            why=f"a comparison passes no gradient on to {len(fed)} parameters that "
            "have no other way to learn",
            change=self.change,
            keeps=self.keeps,
            settings=settings,
            places=tuple(dict.fromkeys(path for path, _ in places)),
            cost="a gradient that is not that of the loss",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Let every comparison of the prescription be remembered with what it compares."""
        settings = {key: float(value) for key, value in prescription.settings.items()}
        _prepare(patient.surgery, settings, patient.anatomy.recording)
        patient.notes.append(
            "to keep it, write for x > c: u = (x - c) / w; soft = 0.5 * u / (1 + u.abs()); "
            "y = (x > c).float() + soft - soft.detach()"
        )
        patient.notes.append(
            "the gradient is an estimate, not that of the loss: where the loss rises, lower the "
            "learning rate"
        )


def _starved(recording: Recording) -> list[Finding]:
    """Return what UV205 says about comparisons with parameters behind them."""
    verdict = ZeroDerivative().examine(recording)
    if not isinstance(verdict, Found):
        return []
    return [
        finding
        for finding in verdict.findings
        if finding.parameters and finding.sites and all(s.op in COMPARISONS for s in finding.sites)
    ]


def _width(case: Case, path: str, function: str) -> float | None:
    """Return how far what is compared is spread; None where it is no real number."""
    spot = Spot(path=path, where="before", function=function)
    seen = [
        one.detach().double().flatten()
        for one in passing(case.model, case.batch, [spot])[0]
        if one.is_floating_point() and one.numel()
    ]
    spreads = [float(one[one.isfinite()].std(correction=0)) for one in seen]
    known = [spread for spread in spreads if math.isfinite(spread)]
    if not known:
        return None
    return float(f"{max(_NARROWEST, sum(known) / len(known)):.2g}")


def _prepare(surgery: Surgery, settings: dict[str, float], recording: Recording) -> None:
    """Open the scope of a forward, and let each comparison in it know its width."""
    comparisons = Comparisons()
    hear(
        surgery,
        comparisons,
        lambda setting: Compared(comparisons, setting),
        settings,
        recording,
        after="the gradient of a soft step",
    )
