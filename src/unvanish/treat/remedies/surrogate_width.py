"""Surrogate width: a step with a made-up derivative gets one as wide as what comes to it."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, final

from torch.autograd import Function

from unvanish.core.errors import UnvanishError
from unvanish.core.places import SourceLine
from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.records import Recording
from unvanish.core.sources import SOURCES, Source
from unvanish.core.stack import display_path
from unvanish.core.verdicts import NotApplicable
from unvanish.diagnose.propagation import propagation_flow
from unvanish.observe.batch import Batch
from unvanish.observe.copies import copied
from unvanish.observe.tracing import trace
from unvanish.treat.own_functions import users_functions
from unvanish.treat.own_slopes import OwnSlopes, Slope
from unvanish.treat.own_steps import OwnStep, own_steps, places_of
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.surgery import CannotTreatError, Surgery

_LARGEST_SHARE: Final = 1.0 / 3.0
"""Share of a soft step's gradient from which on a made-up derivative is as good as that: between
surrogates of any shape that are in use lies less."""
_LEAST_BACK: Final = 1.0
"""Decades that have to come back. A network keeps what less than one would change."""


@final
@dataclass(frozen=True, kw_only=True)
class SurrogateWidth:
    r"""Widen the derivative that a function of your own makes up for its step.

    ## When to use
    A gradient that vanishes (UV101) or ends (UV205, UV501) at a `torch.autograd.Function` of your
    own whose answers are a step, such as spikes or signs, or are rounded: its `backward` is much
    too narrow for what comes to it, as 1 / (1 + 100 |u|)^2 is, or returns zeros, or None.

    ## What it changes
    What these functions pass back in this network, and nothing else: every answer stays what it
    is, the class stays what it is for every other network, and by its further inputs the gradient
    is that of your `backward`. A step of height h gets the gradient of the soft step
    h s(u) = h (1 + u / (1 + |u|)) / 2 of u = (input - threshold) / w. One that rounds passes the
    gradient on as it is.

    ## What it costs
    The gradient is not that of the loss, and was not before. As much memory as what comes to each
    step, and some microseconds for each forward.

    ## Settings
    For each function in each module: the width w, a quarter of how far what comes to it lies from
    its threshold (root mean square); its height and, where that is not zero, its threshold, both
    read off its answers.

    ## Where we differ
    Zenke and Vogels find that the shape matters little and the scale much, and take a peak of 1
    and a steepness b by search, one for all layers. Ours follows from the data: with that width a
    normally distributed input makes the slope's root mean square h / 2 over the input's, so that
    the gradient keeps its size from step to step as the signal does.

    ## Composes with
    Anything that keeps what comes to a step near its threshold.

    ## Evidence
    `unvanish cure zoo:spiking_steep_surrogate`: six layers of spiking neurons on digits, whose
    own slope is 1 / (1 + 100 |u|)^2. In a look at one batch 0.3 decades are lost in the place of
    6.2, and 200 steps lead to an accuracy of 0.95 over 5 seeds (0.58 untreated).

    ## Source
    Zenke and Vogels (2021); Zenke and Ganguli (2018), section 3, for the shape; Bengio, Léonard
    and Courville (2013), section 4, for what rounds.
    """

    name: ClassVar[str] = "surrogate-width"
    treats: ClassVar[frozenset[str]] = frozenset({"UV101", "UV205", "UV501"})
    change: ClassVar[Change] = Change.GRAPH
    keeps: ClassVar[frozenset[Keeps]] = frozenset(
        {Keeps.FUNCTION, Keeps.WEIGHTS, Keeps.STATE_NAMES}
    )
    sources: ClassVar[tuple[Source, ...]] = (
        SOURCES["zenke2021"],
        SOURCES["zenke2018"],
        SOURCES["bengio2013"],
    )
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = frozenset()

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit a network whose own steps pass much less on than soft ones would."""
        if not case.recording.context.loss:
            return NotApplicable("without a loss, nothing is passed back to a function")
        met = own_steps(case)
        meant = [step for step in met if step.share <= _LARGEST_SHARE]
        if not meant:
            return NotApplicable(_why_none(met))
        settings = {key: value for step in meant for key, value in _settings(step)}
        try:
            said = _what_comes_back(case, settings)
        except UnvanishError as error:
            return NotApplicable(error.what)
        if not said:
            return NotApplicable(
                f"{_spoken(meant)} passes little on, but with the slope of a soft step the "
                "gradient is as small"
            )
        return Prescription(
            remedy=self.name,
            why=f"{_spoken(meant)} passes on {min(step.share for step in meant):.2g} of what a "
            f"soft step would; with that, {said}",
            change=self.change,
            keeps=self.keeps,
            settings=settings,
            places=tuple(dict.fromkeys(step.path for step in meant)),
            cost="a gradient that is not that of the loss",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Give every function of the prescription its slope, where it is called.

        Raises:
            CannotTreatError: If one is called there no more.
        """
        settings = {key: float(value) for key, value in prescription.settings.items()}
        _prepare(patient.surgery, settings, patient.batch)
        for name in dict.fromkeys(name for _, name in _slopes_of(settings)):
            source = _backward_of(name)
            patient.notes.append(_by_hand(name, settings) + (f" at {source}" if source else ""))
        patient.notes.append(
            "the gradient is an estimate, not that of the loss: where the loss rises, lower the "
            "learning rate"
        )


def _settings(step: OwnStep) -> list[tuple[str, float]]:
    """Return the settings of one function in one module, each by its name."""
    slope, place = step.slope, f"{step.path} {step.name}".strip()
    if slope is None:
        return []
    if not slope.width:
        return [(f"{place} slope", slope.height)]
    found = [(f"{place} width", slope.width), (f"{place} height", slope.height)]
    return found + ([(f"{place} threshold", slope.threshold)] if slope.threshold else [])


def _slopes_of(settings: Mapping[str, float]) -> dict[tuple[str, str], Slope]:
    """Return path and name of each function to the slope that the settings give it."""
    by_place: dict[tuple[str, str], dict[str, float]] = {}
    for key, value in settings.items():
        place, _, what = key.rpartition(" ")
        path, _, name = place.rpartition(" ")
        by_place.setdefault((path, name), {})[what] = value
    return {
        place: Slope(said["slope"])
        if "slope" in said
        else Slope(said["height"], said["width"], said.get("threshold", 0.0))
        for place, said in by_place.items()
    }


def _prepare(surgery: Surgery, settings: Mapping[str, float], batch: Batch) -> None:
    """Bound the slopes of each module's functions by its forward.

    Raises:
        CannotTreatError: If a module does not call the function.
    """
    slopes, called = _slopes_of(settings), places_of(surgery.model, batch)
    for path, name in slopes:
        if name not in called.get(path, ()):
            raise CannotTreatError(f"{name} is not called any more", where=path)
    names = {name for _, name in slopes}
    for path in (path for path, own in called.items() if own & names):
        own_slopes = {name: slope for (at, name), slope in slopes.items() if at == path}
        surgery.insert(
            path,
            None,
            "scope",
            relay=OwnSlopes(own_slopes),
            before=", ".join(f"{name} with a derivative of its own" for name in own_slopes),
            after=", ".join(_said(name, slope) for name, slope in own_slopes.items()),
            source=_backward_of(next(iter(own_slopes))) if own_slopes else None,
        )


def _said(name: str, slope: Slope) -> str:
    soft = f"a soft step, width {slope.width:g}" if slope.width else "a straight line"
    return f"{name} with the gradient of {soft}"


def _what_comes_back(case: Case, settings: Mapping[str, float]) -> str:
    """Treat a copy and say what of the gradient is there then; nothing where that is too little.

    Raises:
        UnvanishError: If the copy cannot be looked at.
    """
    twin = copied(case.model)
    _prepare(Surgery(twin), settings, case.batch)
    context = case.recording.context
    after = trace(
        twin,
        case.batch,
        case.loss,
        batches=1,
        probe_steps=0,
        seed=context.seed,
        autocast=context.autocast,
    )
    fed = _reached(after) - _reached(case.recording)
    if fed:
        return f"{len(fed)} parameters get a gradient that had none"
    back = _most_lost(case.recording) - _most_lost(after)
    return f"{back:.1f} decades come back" if back >= _LEAST_BACK else ""


def _reached(recording: Recording) -> set[str]:
    return {p.name for p in recording.parameters if p.has_grad and p.log10_grad_rms > -math.inf}


def _most_lost(recording: Recording) -> float:
    flow = propagation_flow(recording)
    known = [] if flow is None else [flow.lost(level) for level in flow.levels]
    return max((lost for lost in known if math.isfinite(lost)), default=0.0)


def _spoken(steps: Sequence[OwnStep]) -> str:
    return ", ".join(dict.fromkeys(step.name for step in steps))


def _why_none(met: Sequence[OwnStep]) -> str:
    """Say why no function is one to treat, and what to do by hand."""
    if not met:
        return "no torch.autograd.Function of the user's own is called"
    shares = [step for step in met if not math.isnan(step.share)]
    if shares:
        least = min(shares, key=lambda step: step.share)
        return (
            f"{least.name} passes on {least.share:.2g} of what a soft step would: its width is "
            "not what is wrong"
        )
    steps = [step for step in met if step.slope is not None]
    if steps:
        return f"no gradient gets to {_spoken(steps)}"
    return f"{met[0].name} {met[0].why_none}: see to its backward by hand"


def _by_hand(name: str, settings: Mapping[str, float]) -> str:
    """Say what to write in the place of a backward pass."""
    slopes = [slope for (_, own), slope in _slopes_of(settings).items() if own == name]
    widths = sorted({slope.width for slope in slopes})
    if not widths[-1]:
        return f"to keep it, let {name}.backward return the gradient that it is given"
    said = f"{widths[0]:g}" + (f" to {widths[-1]:g}" if len(widths) > 1 else "")
    height, threshold = slopes[0].height, slopes[0].threshold
    apart = f"(input - {threshold:g})" if threshold else "input"
    top = "grad" if height == 1.0 else f"{height:g} * grad"
    return (
        f"to keep it, let {name}.backward return {top} / (2 * w * (1 + ({apart} / w).abs()) ** 2) "
        f"with w = {said}"
    )


def _backward_of(name: str) -> SourceLine | None:
    """Return the line of a function's backward pass; None where it has none that can be read."""
    function: type[Function] | None = next(
        (one for one in users_functions() if one.__qualname__ == name), None
    )
    backward: Any = getattr(function, "backward", None)
    code = getattr(inspect.unwrap(backward), "__code__", None) if callable(backward) else None
    if code is None:
        return None
    return SourceLine(display_path(code.co_filename), code.co_firstlineno)
