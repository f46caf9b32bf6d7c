"""The straight-through estimator: the step as it is, with the gradient of a softer one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final, final

import torch
from torch import nn

from unvanish.core.findings import Finding
from unvanish.core.glossary import Quantity
from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.records import Edge, Parameter, Recording, Role, Site
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Found, NotApplicable
from unvanish.diagnose.rules.zero_derivative import ZeroDerivative
from unvanish.diagnose.sampled import deaf_draws
from unvanish.observe.batch import call_model
from unvanish.observe.guard import untouched
from unvanish.treat.probing import Spot, calls_of, passing
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.surgery import CannotTreatError
from unvanish.treat.surrogates import Inwards, StraightThrough
from unvanish.treat.turns import Turns

_STEPS: Final = {"sign": 2.0, "sgn": 2.0}
"""Functions of one step at zero, and its height."""

_ROUNDING: Final = frozenset({"round", "floor", "ceil", "trunc", "fix", "bernoulli"})
_CLAMPS: Final = frozenset({"clamp", "clip", "clamp_min", "clamp_max"})
_KNOWN: Final = frozenset(_STEPS) | _ROUNDING | _CLAMPS


@final
@dataclass(frozen=True, kw_only=True)
class StraightThroughEstimator:
    r"""Pass a gradient through steps that have none: sign, round, a clamp out of range.

    ## When to use
    Parameters whose only way to the loss leads through a function of steps (UV205): binary
    activations and weights, quantised codes, Bernoulli units, a clamp whose every entry is beyond
    its bounds. Bernoulli draws also where the rest of the loss reaches what they are drawn by.

    ## What it changes
    The derivative, and nothing else: the network computes what it computed. Rounding and Bernoulli
    draws pass the gradient on as it is. The sign passes it on within |x| <= c, divided by c, as the
    straight line between the two levels would. A clamp passes it on inside of its bounds, and
    beyond them where descent leads back.

    ## What it costs
    The gradient is not that of the loss: it is biased, and the loss may rise along it. Nothing in
    time or memory to speak of.

    ## Settings
    window: c, 1, or the largest root mean square of what enters such a step, where that is more:
    sign(x) is sign(x / c), and a window that most entries miss passes next to nothing.

    ## Where we differ
    Bengio and others pass the gradient on everywhere. Hubara and others found that it is to be
    stopped where |x| > 1, where more of it changes nothing; their slope is 1, ours with c = 1 too.

    ## Composes with
    Normalisation before the step, which keeps its input within the window.

    ## Evidence
    Patients of the zoo, trained for their own budget, seed 0, all else as it was: binary
    activations on digits reach an accuracy of 0.94 (0.39 before), binary weights 0.96 (0.68), and
    an autoencoder with a rounded code leaves 0.27 of the variance unexplained (0.75).

    ## Source
    Bengio, Léonard and Courville (2013), section 4; Hubara and others (2016), section 2.3.
    """

    name: ClassVar[str] = "straight-through"
    treats: ClassVar[frozenset[str]] = frozenset({"UV205"})
    change: ClassVar[Change] = Change.GRAPH
    keeps: ClassVar[frozenset[Keeps]] = frozenset(
        {Keeps.FUNCTION, Keeps.WEIGHTS, Keeps.STATE_NAMES}
    )
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["bengio2013"], SOURCES["hubara2016"])
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = frozenset()

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit a network in which parameters starve behind a step without a derivative."""
        walls = walls_of(case.recording)
        known = [site for site in walls if site.op in _KNOWN and site.op == site.function]
        if not known:
            return NotApplicable(_why_none(case.recording, walls))
        window = self._window(case, known)
        names = sorted({site.op for site in known})
        return Prescription(
            remedy=self.name,
            why=f"{', '.join(names)} passes no gradient on to the parameters behind it",
            change=self.change,
            keeps=self.keeps,
            settings={"functions": ", ".join(names), "window": window},
            places=tuple(dict.fromkeys(site.path for site in known)),
            cost="a gradient that is not that of the loss",
        )

    def _window(self, case: Case, walls: list[Site]) -> float:
        """Return the size of the input within which a sign passes the gradient."""
        steps = [site for site in walls if site.op in _STEPS]
        spots = [
            Spot(path=path, where="before", function=function)
            for path, function in dict.fromkeys((s.path, s.function) for s in steps)
        ]
        sizes = [
            float(values.double().square().mean().sqrt())
            for seen in passing(case.model, case.batch, spots)
            for values in seen
            if values.numel()
        ]
        largest = max((size for size in sizes if math.isfinite(size)), default=0.0)
        return float(f"{max(1.0, largest):.2g}")

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Put a derivative behind each step.

        Raises:
            CannotTreatError: If the calls that starve cannot be told from others.
        """
        functions = set(str(prescription.settings["functions"]).split(", "))
        window = float(prescription.settings["window"])
        recording = patient.anatomy.recording
        walls = [
            site
            for site in walls_of(recording)
            if site.op in functions and site.path in prescription.places
        ]
        told_apart: list[tuple[Site, Turns]] = []
        for path, function in dict.fromkeys((site.path, site.function) for site in walls):
            calls = calls_of(recording, path, function)
            meant = {site.index for site in walls if site.path == path}
            chosen = frozenset(n for n, site in enumerate(calls) if site.index in meant)
            if not chosen:
                continue
            turns = Turns(chosen, len(calls)) if len(chosen) < len(calls) else None
            site = calls[min(chosen)]
            if turns is not None:
                told_apart.append((site, turns))
                patient.surgery.insert("", None, "begin", turns=turns)
            part = _part(function, window)
            patient.surgery.insert(
                path,
                part,
                "through",
                function=function,
                turns=turns,
                before=f"{function}, whose derivative is zero",
                after=f"{function} with a gradient, {part!r}",
                source=site.source,
            )
        _refuse_uncounted(patient, told_apart)
        lines = [f"{site.op} at {site.source}" for site in walls if site.source is not None]
        if lines:
            places = ", ".join(dict.fromkeys(lines))
            patient.notes.append(f"to keep it, write y = x + (step(x) - x).detach() for {places}")
        patient.notes.append(
            "the gradient is an estimate, not that of the loss: where the loss rises, lower the "
            "learning rate"
        )


def walls_of(recording: Recording) -> list[Site]:
    """Return the steps that pass no gradient on, with trainable parameters starving behind them.

    A draw is one too where what layers make of it is kept from the parameters behind it.

    Args:
        recording: One look at the network.
    """
    into: dict[int, list[Edge]] = {}
    for edge in recording.edges:
        if 0 <= edge.producer < edge.consumer:
            into.setdefault(edge.consumer, []).append(edge)
    starved = {p.name: p for p in recording.parameters if _is_starved(p)}
    deaf = {site.index for draw in deaf_draws(recording) for site in draw.sites}
    gradient = recording[Quantity.LOG10_ACTIVATION_GRAD_RMS]
    found = []
    for site in recording.sites:
        if site.op not in _KNOWN or site.role is Role.LOSS:
            continue
        arrived = gradient.get(site)
        passes = any(edge.log10_gain > -math.inf for edge in into.get(site.index, ()))
        if passes and arrived != -math.inf:
            continue
        behind = {site.index, *_behind(into, site)}
        names = {name for index in behind for name in recording.sites[index].weights}
        uses = {p.name for p in starved.values() if any(u.site in behind for u in p.uses)}
        if starved.keys() & (names | uses) or site.index in deaf:
            found.append(site)
    # Where none gets a gradient, it ends somewhere else.
    return found if any(gradient.get(site) > -math.inf for site in found) else []


def _is_starved(parameter: Parameter) -> bool:
    return (
        parameter.requires_grad
        and parameter.in_optimizer is not False
        and parameter.has_grad
        and parameter.log10_grad_rms == -math.inf
    )


def _behind(into: dict[int, list[Edge]], site: Site) -> Iterator[int]:
    """Yield the indices of all that a step is computed from."""
    waiting, seen = [site.index], {site.index}
    while waiting:
        for edge in into.get(waiting.pop(), ()):
            if edge.producer not in seen:
                seen.add(edge.producer)
                waiting.append(edge.producer)
                yield edge.producer


def _part(function: str, window: float) -> nn.Module:
    if function in _CLAMPS:
        return Inwards()
    if function in _STEPS:
        return StraightThrough(window, _STEPS[function] / (2.0 * window))
    return StraightThrough()


def _refuse_uncounted(patient: Patient, told_apart: list[tuple[Site, Turns]]) -> None:
    """Run the network once to see whether the calls come as often as they were seen to."""
    if not told_apart:
        return
    with untouched(patient.model, seed=0), torch.no_grad():
        call_model(patient.model, patient.batch.inputs)
    for site, turns in told_apart:
        if turns.count != turns.expected:
            raise CannotTreatError(
                f"{site.op} is called {turns.count} times, and the {turns.expected} calls with a "
                "gradient cannot be told from the others",
                where=site.path,
                help=f"write y = x + ({site.op}(x) - x).detach() where the parameters starve",
            )


def _why_none(recording: Recording, walls: list[Site]) -> str:
    """Say why there is nothing to treat, and what to write by hand."""
    verdict = ZeroDerivative().examine(recording)
    if isinstance(verdict, Found):
        return _pointed(verdict.findings[0])
    if walls:
        return f"{walls[0].op} is made of other steps: write its estimator by hand"
    own = _own_wall(recording)
    if own is not None:
        return (
            f"{own.op} has a backward of its own, which passes nothing on for what it is given "
            "here: bring its input into the range that it lets through"
        )
    return "no parameter starves behind a step without a derivative, such as sign or round"


def _own_wall(recording: Recording) -> Site | None:
    """Return a function of the user's own that lets no gradient through; None for none."""
    gradient = recording[Quantity.LOG10_ACTIVATION_GRAD_RMS]
    passing_on = {edge.consumer for edge in recording.edges if edge.log10_gain > -math.inf}
    return next(
        (
            site
            for site in recording.sites
            if site.op.endswith(".apply")
            and gradient.get(site) > -math.inf
            and site.index not in passing_on
        ),
        None,
    )


def _pointed(finding: Finding) -> str:
    site = finding.sites[0] if finding.sites else None
    where = f" at {site.source}" if site is not None and site.source else ""
    what = site.op if site is not None else "it"
    return (
        f"{what}{where} gives out no values that a gradient could be passed through: "
        f"{finding.help[0] if finding.help else 'write it in another way'}"
    )
