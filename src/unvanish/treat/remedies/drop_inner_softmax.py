"""Leaving out the function between the last layer and a loss that applies its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, final

from torch import nn

from unvanish.core.findings import Finding
from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.records import Recording, Role, Site
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Found, NotApplicable
from unvanish.diagnose.contracts import NO_LOGARITHMS
from unvanish.diagnose.neighbours import Neighbours
from unvanish.diagnose.reach import RANGES
from unvanish.diagnose.rules.output_loss_pair import OutputLossPair
from unvanish.treat.ending import append_to_end, exchange_end, summed_axis, why_out_of_reach
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.surgery import CannotTreatError

_IDENTITY: Final = "none"
_LOG_SOFTMAX: Final = "log_softmax"
_SIGMOID: Final = "sigmoid"
_SOFTMAX: Final = "softmax"
_PROBABILITIES: Final = frozenset({"softmax", "sigmoid"})
_RECTIFIERS: Final = frozenset({"relu", "relu6"})
_TAKE_SCORES: Final = frozenset({"log_softmax", "binary_cross_entropy_with_logits"})
_NLL: Final = frozenset(
    {
        "share of the gradient of cross entropy",
        "share of outputs that are logarithms of probabilities",
        NO_LOGARITHMS,
    }
)


@final
@dataclass(frozen=True, kw_only=True)
class DropInnerSoftmax:
    """Leave out the function at the end of a network that its loss was not made for.

    ## When to use
    A softmax, sigmoid, tanh or ReLU between the last layer and a loss that wants raw scores
    (UV204): `cross_entropy` and `binary_cross_entropy_with_logits` apply their own. With a softmax
    before it, cross entropy cannot fall below 1.46 for 10 classes, however sure the network is. Or
    a bounded function before a regression whose target it cannot reach.

    ## What it changes
    The last function is left out: a module becomes `nn.Identity`, a call in a forward is passed by.
    For `nll_loss`, which wants logarithms, it becomes a log-softmax. A softmax over one class,
    which is constant, becomes a sigmoid; one over the samples is turned to the classes.

    ## What it costs
    Nothing in time. The network answers scores: whoever reads probabilities off it has to apply the
    function to them. The largest class is the same, but for a ReLU, under which all scores below
    zero were one and the same.

    ## Settings
    instead: what stands there from now on, ``none``, ``log_softmax``, ``sigmoid`` or ``softmax``.
    function: what is taken away.

    ## Where we differ
    Bridle derives the pair of softmax and logarithmic score; that they are one step and not two is
    how PyTorch's losses are built.

    ## Composes with
    Every other remedy.

    ## Evidence
    The gradient at the scores of a guess among C classes is larger by C without a softmax before
    cross entropy: exactly. Patients of the zoo, trained for their own budget, seed 0, all else as
    it was: digits with a softmax twice reach an accuracy of 0.92 (0.19 before), with a softmax over
    one class 0.92 (0.53); angles of up to 60 degrees behind a tanh leave 0.17 of the variance
    unexplained (0.96).

    ## Source
    Bridle (1990).
    """

    name: ClassVar[str] = "drop-inner-softmax"
    treats: ClassVar[frozenset[str]] = frozenset({"UV204"})
    change: ClassVar[Change] = Change.LOSS
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.WEIGHTS, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["bridle1990"],)
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = frozenset({"logits-loss"})

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit a network whose last function and loss do not belong together."""
        verdict = OutputLossPair().examine(case.recording)
        if not isinstance(verdict, Found):
            return self._rectified(case)
        reason = ""
        for finding in verdict.findings:
            site = finding.sites[0]
            action = _action(finding, site)
            if not action:
                reason = reason or _by_hand(finding)
                continue
            if refused := why_out_of_reach(case, site):
                reason = reason or refused
                continue
            by_steps = finding.unit == NO_LOGARITHMS
            axis = 1 if action == _SOFTMAX else _axis(case, site, by_steps=by_steps)
            return self._prescription(site, action, axis, _first(finding.message))
        return NotApplicable(reason)

    def _rectified(self, case: Case) -> Prescription | NotApplicable:
        """Judge a ReLU on the scores: a score below zero gets no gradient, however wrong it is."""
        neighbours = Neighbours(case.recording)
        for loss in case.recording.sites:
            site = neighbours.source(loss) if loss.op in _TAKE_SCORES else None
            if site is None or loss.role is not Role.LOSS or site.op not in _RECTIFIERS:
                continue
            if site.is_output and not why_out_of_reach(case, site):
                why = (
                    f"{site.name} comes before {loss.function}: no score below zero has a gradient"
                )
                return self._prescription(site, _IDENTITY, -1, why)
        return NotApplicable("what the network answers is what its loss asks for")

    def _prescription(self, site: Site, action: str, axis: int, why: str) -> Prescription:
        return Prescription(
            remedy=self.name,
            why=why,
            change=self.change,
            keeps=self.keeps,
            settings={"function": site.op, "instead": action, "axis": axis},
            places=(site.path,),
            cost=_cost(site, action),
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Exchange the last function.

        Raises:
            CannotTreatError: If the network has no such function at its end any more.
        """
        function = str(prescription.settings["function"])
        instead = str(prescription.settings["instead"])
        axis = int(prescription.settings["axis"])
        site = _site(patient.anatomy.recording, prescription.places[0], function)
        if site is None:
            raise CannotTreatError(f"no {function} stands at the end of the network")
        new: nn.Module = nn.Identity()
        if instead == _LOG_SOFTMAX:
            new = nn.LogSoftmax(dim=axis)
        elif instead == _SOFTMAX:
            new = nn.Softmax(dim=axis)
        elif instead == _SIGMOID:
            new = nn.Sigmoid()
        words = "no function" if instead == _IDENTITY else repr(new)
        if function in RANGES or function == "log_softmax":
            exchange_end(patient, site, new, words)
        else:
            append_to_end(patient, site, new, f"{function}, then {words}")
        if site.source is not None:
            what = f"take {function} out" if instead == _IDENTITY else f"write {words.lower()}"
            patient.notes.append(f"to keep it, {what} at {site.source}")
        if instead == _IDENTITY and function in _PROBABILITIES:
            call = f"output, dim={axis}" if function == _SOFTMAX else "output"
            patient.notes.append(
                "the network answers scores now: for probabilities, apply "
                f"torch.{function}({call}) to them, outside of the loss"
            )


def _action(finding: Finding, site: Site) -> str:
    """Return what is to stand in the place of a function; empty where it is not the function."""
    if site.role is not Role.SIGNAL or site.index < 0 or not site.is_output:
        return ""
    if finding.unit in _NLL:
        return _LOG_SOFTMAX
    if site.op not in RANGES:
        return ""
    if finding.unit == "share of the gradient" and site.op == "softmax":
        return _SIGMOID
    if finding.unit == "probability" and len(finding.sites) == 1:
        return _SOFTMAX
    told = any(line.startswith(f"remove the {site.op}") for line in finding.help)
    return _IDENTITY if told else ""


def _by_hand(finding: Finding) -> str:
    """Say what is to be written by hand, and in which line."""
    site = next((s for s in reversed(finding.sites) if s.source), None)
    where = f" at {site.source}" if site is not None else ""
    help_ = finding.help[0] if finding.help else "write another loss"
    return f"it is the loss{where} that has to change, which is your own code: {help_}"


def _axis(case: Case, site: Site, *, by_steps: bool) -> int:
    """Return the axis over classes; the last one where there are scores for each step."""
    if site.op in ("softmax", "log_softmax"):
        return summed_axis(case, site)
    return 1 if len(site.shape) > 1 and not by_steps else -1


def _first(message: str) -> str:
    return message.splitlines()[0].rstrip(".")


def _cost(site: Site, action: str) -> str:
    if action == _SIGMOID:
        return ""
    if action == _LOG_SOFTMAX:
        return "the network answers logarithms of probabilities"
    if site.op in _PROBABILITIES:
        return f"the network answers scores: apply the {site.op} where its answers are read"
    return f"the network's answers are bounded no more, as {site.op} bounded them"


def _site(recording: Recording, path: str, function: str) -> Site | None:
    """Return the last step of a function at the end of a network."""
    found = [
        site
        for site in recording.signal_sites()
        if site.path == path and site.op == function and site.is_output
    ]
    return found[-1] if found else None
