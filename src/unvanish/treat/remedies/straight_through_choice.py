"""Straight-through choice: what an index looks up stays, and its scores get a gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Final, final

import torch
from torch import Tensor

from unvanish.core.errors import UnvanishError
from unvanish.core.findings import Finding, Severity
from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.records import Recording
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Found, NotApplicable
from unvanish.diagnose.rules.zero_derivative import ZeroDerivative
from unvanish.observe.copies import copied
from unvanish.treat.choices import Choices, Expected
from unvanish.treat.chosen import CHOICES
from unvanish.treat.hearing import hear, newly_fed
from unvanish.treat.probing import Spot, passing
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.surgery import Surgery

_PROBABILITIES: Final = 0.0
"""Temperature that stands for scores that are probabilities already."""
_SUMS: Final = 1e-3
"""How far a row of probabilities may be from a sum of 1."""


@final
@dataclass(frozen=True, kw_only=True)
class StraightThroughChoice:
    r"""Pass a gradient to the scores of a choice: argmax, then an embedding or a one-hot vector.

    ## When to use
    Parameters whose only way to the loss leads through an index that was chosen by scores (UV205):
    words between two networks, hard codes, hard routing.

    ## What it changes
    The derivative, and nothing else: the same index is chosen and looks up the same numbers. The
    scores get the gradient that the softmax of them would have, had it weighed what could have been
    looked up. What uses the index is found as it runs: an embedding, `table[index]`, a one-hot
    vector, gather, index_select, also through views, slices and concatenations of the index.

    ## What it costs
    The gradient is not that of the loss: it is biased, and the loss may rise along it. A matrix
    product of the choices with the table, and some microseconds for each step of the forward.

    ## Settings
    For each place its temperature: 1, or how far the scores of a choice lie apart (standard
    deviation), where that is more, since a softmax that has chosen passes next to nothing; 0 where
    the scores are probabilities.

    ## Where we differ
    Jang and others draw the choice with Gumbel noise and lower the temperature in training; here
    what the network computes is kept and the temperature stays.

    ## Composes with
    Anything that keeps the scores about one apart.

    ## Evidence
    `unvanish cure zoo:argmax_between_two_networks`, mean of five seeds of 800 steps: a listener
    guesses right 99.6 % of the time, and 61 % of the time untreated.

    ## Source
    Bengio, Léonard and Courville (2013), section 4; Jang, Gu and Poole (2017), section 2.2.
    """

    name: ClassVar[str] = "straight-through-choice"
    treats: ClassVar[frozenset[str]] = frozenset({"UV205", "UV501"})
    change: ClassVar[Change] = Change.GRAPH
    keeps: ClassVar[frozenset[Keeps]] = frozenset(
        {Keeps.FUNCTION, Keeps.WEIGHTS, Keeps.STATE_NAMES}
    )
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["bengio2013"], SOURCES["jang2017"])
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = frozenset()

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit a network in which parameters starve behind a choice that looks something up."""
        starved = _starved(case.recording)
        places = dict.fromkeys((s.path, s.op) for f in starved for s in f.sites if s.op in CHOICES)
        if not places:
            return NotApplicable("no parameter starves behind a choice, such as argmax")
        settings = {
            f"{path} {op}".strip(): temperature
            for path, op in places
            if (temperature := _temperature(case, path, op)) is not None
        }
        if not settings:
            path, op = next(iter(places))
            return NotApplicable(f"{op} in {path or 'the model'} chooses by no trained scores")
        twin = copied(case.model)
        _prepare(Surgery(twin), settings, case.recording)
        try:
            fed = newly_fed(twin, case, starved)
        except UnvanishError as error:  # a checkpoint around the choice
            return NotApplicable(error.what)
        if not fed:
            return NotApplicable(
                f"what {' and '.join(sorted({op for _, op in places}))} chooses looks nothing up "
                "that a gradient could come from"
            )
        return Prescription(
            remedy=self.name,
            why=f"{', '.join(sorted({op for _, op in places}))} passes no gradient on to "
            f"{len(fed)} parameters that have no other way to learn",
            change=self.change,
            keeps=self.keeps,
            settings=settings,
            places=tuple(dict.fromkeys(path for path, _ in places)),
            cost="a gradient that is not that of the loss",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Let every choice of the prescription be remembered with its scores."""
        settings = {key: float(value) for key, value in prescription.settings.items()}
        _prepare(patient.surgery, settings, patient.anatomy.recording)
        patient.notes.append(
            "to keep it, look up soft + (hard - soft).detach() with soft = softmax(scores) and "
            "hard = one_hot(argmax(scores)): (soft + (hard - soft).detach()) @ table"
        )
        patient.notes.append(
            "the gradient is an estimate, not that of the loss: where the loss rises, lower the "
            "learning rate"
        )


def _starved(recording: Recording) -> list[Finding]:
    """Return what UV205 says about choices with parameters behind them."""
    verdict = ZeroDerivative().examine(recording)
    if not isinstance(verdict, Found):
        return []
    errors = [f for f in verdict.findings if f.severity is Severity.ERROR and f.parameters]
    return [f for f in errors if any(s.index < 0 for s in f.sites)]


def _temperature(case: Case, path: str, function: str) -> float | None:
    """Return what the scores of a choice are divided by; None where they are no numbers."""
    spot = Spot(path=path, where="before", function=function)
    seen = [one for one in passing(case.model, case.batch, [spot])[0] if one.is_floating_point()]
    if not seen or not all(one.numel() for one in seen):
        return None
    if function == "multinomial" or all(map(_are_probabilities, seen)):
        return _PROBABILITIES
    spread = max(map(_spread, seen))
    return float(f"{max(1.0, spread):.2g}")


def _spread(scores: Tensor) -> float:
    """Return how far the scores of one choice lie apart; those that are masked do not count."""
    known = scores.double().masked_fill(~scores.isfinite(), math.nan)
    spread = float((known - known.nanmean(-1, keepdim=True)).square().nanmean().sqrt())
    return spread if math.isfinite(spread) else 0.0


def _are_probabilities(scores: Tensor) -> bool:
    if not scores.ndim or bool((scores < 0.0).any()):
        return False
    sums = [scores.double().sum(axis) for axis in range(scores.ndim)]
    return any(bool(torch.all((total - 1.0).abs() < _SUMS)) for total in sums)


def _prepare(surgery: Surgery, settings: dict[str, float], recording: Recording) -> None:
    """Open the scope of a forward, and let each choice in it know its scores."""
    choices = Choices()
    hear(
        surgery,
        choices,
        lambda setting: Expected(choices, setting),
        settings,
        recording,
        after="the gradient of a softmax",
    )
