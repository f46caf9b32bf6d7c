"""Reparameterisation: a normal draw as noise of unit size that is scaled and shifted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, final

import torch
from torch import Tensor, nn

from unvanish.core.places import SourceLine
from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.records import Parameter, Recording, Site
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Found, NotApplicable
from unvanish.diagnose.cuts import named
from unvanish.diagnose.rules.zero_derivative import ZeroDerivative
from unvanish.observe.batch import call_model
from unvanish.observe.guard import untouched
from unvanish.treat.cutting import NORMAL, AtLines, met, stands_at
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.reattaching import Passage, changes_gradient
from unvanish.treat.redrawing import AroundZero, Moments, OfUnitSize, Reparametrised
from unvanish.treat.surgery import CannotTreatError, Surgery

_MOMENTS: Final = ("mean", "std")
"""The arguments of `torch.normal`, by their places."""


@final
@dataclass(frozen=True, kw_only=True)
class Reparameterise:
    """Draw `mean + std * noise` in the place of `torch.normal(mean, std)`.

    ## When to use
    A network that draws with `torch.normal` by what layers make, and hands the draw to further
    layers (UV205): the code of a variational autoencoder, noise of a learned size. PyTorch says
    that the derivative of such a draw is zero, so nothing behind it teaches what stands before it.

    ## What it changes
    The derivative, and nothing else: noise of unit size is drawn from the same random numbers,
    multiplied by the standard deviation and added to the mean. These are the numbers that were
    drawn, to the last bit where the standard deviation is a tensor, and both get their gradient.

    ## What it costs
    Nothing. The gradient is that of the loss for this noise, and no estimate of another one.

    ## Settings
    lines: the lines that draw. noise: for each of them what has the shape of the noise, the mean,
    the standard deviation or neither.

    ## Where we differ
    There is nothing to differ from.

    ## Composes with
    Every other remedy. An encoder that heard only its penalty has had no say in the size of the
    noise: the weight of that penalty may have to be set anew.

    ## Evidence
    The values are those of the network as it was, and the gradient is that of
    `torch.distributions.Normal(mean, std).rsample()` (see the test). A variational autoencoder of
    spectra (benchmarks/outside_cures/iota/raman_vae.py), 800 steps, three seeds: 0.01 of the
    variance of further data is left unexplained by the mean code, in the place of 0.67.

    ## Source
    Kingma and Welling (2014), section 2.4.
    """

    name: ClassVar[str] = "reparameterise"
    treats: ClassVar[frozenset[str]] = frozenset({"UV205"})
    change: ClassVar[Change] = Change.GRAPH
    keeps: ClassVar[frozenset[Keeps]] = frozenset(
        {Keeps.FUNCTION, Keeps.WEIGHTS, Keeps.STATE_NAMES}
    )
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["kingma2014"],)
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = frozenset()

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit a network whose own forward calls `torch.normal` and keeps a gradient there."""
        draws, deaf = _draws(case.recording)
        if not draws:
            return NotApplicable(
                "no torch.normal keeps the gradient of layers from what it draws by"
            )
        calls = _passages(case, draws)
        lines = [f"{file}:{number}" for one in calls for file, number in one.lines]
        if not calls or not changes_gradient(case, calls):
            where = f" at {draws[0].source}" if draws[0].source else ""
            return NotApplicable(
                f"the call of torch.normal{where} cannot be met in a forward of the network: write "
                "mean + std * torch.randn_like(std) there"
            )
        return Prescription(
            remedy=self.name,
            why=f"torch.normal at {', '.join(lines)} hands no gradient on to "
            f"{named(deaf).removesuffix(',')}",
            change=self.change,
            keeps=self.keeps,
            settings={
                "lines": ", ".join(lines),
                "noise": ", ".join(_wholes(case, one) for one in calls),
            },
            places=tuple(dict.fromkeys(one.path for one in calls)),
            cost="nothing",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Scale and shift noise in the place of each of the draws.

        Raises:
            CannotTreatError: If the network does not draw there any more.
        """
        lines = str(prescription.settings["lines"]).split(", ")
        draws = [one for one in _draws(patient.anatomy.recording)[0] if _line(one) in lines]
        calls = _passages(patient, draws)
        if not calls:
            raise CannotTreatError("torch.normal is not called there any more", where=lines[0])
        for one in calls:
            _insert(patient.surgery, one)
        patient.notes.append(
            f"to keep it, write mean + std * torch.randn_like(std) in {' and '.join(lines)}"
        )


def _draws(recording: Recording) -> tuple[list[Site], list[Parameter]]:
    """Return the calls of `torch.normal` that keep a gradient, and the parameters behind them."""
    verdict = ZeroDerivative().examine(recording)
    findings = verdict.findings if isinstance(verdict, Found) else ()
    ours = [f for f in findings if f.sites and f.sites[0].op == NORMAL and f.parameters]
    names = {name for finding in ours for name in finding.parameters}
    sites = [site for finding in ours for site in finding.sites]
    return sites, [one for one in recording.parameters if one.name in names]


def _passages(known: Case | Patient, draws: Sequence[Site]) -> list[Passage]:
    """Return the lines of some draws as calls that a forward of the network makes."""
    seen = [one for one in met(known.model, known.batch) if one.function == NORMAL]
    places = dict.fromkeys(
        (one.path, one.lines)
        for one in seen
        if one.lines and any(stands_at(one, site.source) for site in draws)
    )
    return [Passage(path, NORMAL, None, lines, by_line=True) for path, lines in places]


def _line(site: Site) -> str:
    return f"{site.source.file}:{site.source.line}" if site.source is not None else ""


def _insert(surgery: Surgery, draw: Passage) -> None:
    """Draw noise of unit size in the calls of a line, and scale and shift it behind the draw."""
    moments, turns = Moments(), AtLines(draw.lines)
    for place, part in enumerate((AroundZero(moments), OfUnitSize(moments))):
        surgery.insert(draw.path, part, "before", function=NORMAL, turns=turns, argument=place)
    surgery.insert(
        draw.path,
        Reparametrised(moments),
        "after",
        function=NORMAL,
        turns=turns,
        before="torch.normal(mean, std)",
        after="mean + std * noise",
        source=SourceLine(*draw.lines[0]),
    )


class _Shapes(nn.Module):
    """Keeps the shape of an argument of every call."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.Size | None] = []

    def forward(self, given: Any) -> Any:
        """Return what is given."""
        self.seen.append(given.shape if isinstance(given, Tensor) else None)
        return given


def _wholes(case: Case, draw: Passage) -> str:
    """Name the arguments that have the shape of the draw in every call of a line.

    Args:
        case: The network; it stays as it is.
        draw: The calls.
    """
    shapes = [_Shapes() for _ in _MOMENTS]
    with untouched(case.model, seed=0), torch.no_grad():
        surgery = Surgery(case.model)
        try:
            for place, part in enumerate(shapes):
                turns = AtLines(draw.lines)
                surgery.insert(
                    draw.path, part, "before", function=NORMAL, turns=turns, argument=place
                )
            call_model(case.model, case.batch.inputs)
        finally:
            surgery.undo()
    calls = list(zip(*(part.seen for part in shapes), strict=False))
    whole = [
        name
        for place, name in reversed(list(enumerate(_MOMENTS)))
        if calls and all(one[place] == _drawn(one) for one in calls)
    ]
    return " or ".join(whole) or "neither"


def _drawn(given: Sequence[torch.Size | None]) -> torch.Size:
    """Return the shape of what is drawn by arguments of some shapes."""
    return torch.Size(torch.broadcast_shapes(*(shape for shape in given if shape is not None)))
