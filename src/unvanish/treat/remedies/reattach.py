"""Passing a gradient on where a line of the forward cuts it off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.incidents import Cut
from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.records import Parameter, Recording
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Found, NotApplicable
from unvanish.diagnose.cuts import (
    are_a_target,
    cut_off,
    derivatives_of,
    draws_of,
    named,
    watched,
)
from unvanish.diagnose.rules.gradient_trap import GradientTrap
from unvanish.diagnose.rules.zero_derivative import ZeroDerivative
from unvanish.treat.cutting import SWITCH
from unvanish.treat.differentiating import GRAD
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.reattaching import (
    DRAWN,
    SPOKEN,
    Passage,
    changes_gradient,
    insert,
    needed,
    passages,
)
from unvanish.treat.surgery import CannotTreatError


@final
@dataclass(frozen=True, kw_only=True)
class Reattach:
    """Pass the gradient on at a `.detach()`, `.item()`, `.sample()` or `no_grad` that cuts it off.

    ## When to use
    Trainable parameters that reach the loss and get no gradient back (UV501, UV505), or a state
    that comes to every time step without its gradient (UV301), where the line that cuts was not
    meant: a detach left from another experiment, a decorator copied from inference, `sample()` in
    the place of `rsample()` in an autoencoder, `torch.autograd.grad` without `create_graph=True`
    in a network that answers with derivatives.

    ## What it changes
    The derivative, and nothing else: the network computes what it computed. In the forward that
    holds the line, `.detach()` and `.data` hand on the tensor itself, and `torch.no_grad()` does
    not turn gradients off. `.item()` and `.tolist()` hand on tensors of one entry, with which
    arithmetic goes on, and `torch.tensor()` stacks them. `.sample()` of a distribution that has
    `rsample()` gives what that gives, from the same random numbers. `torch.autograd.grad` is called
    with `create_graph=True` while the network trains. Other calls of the same kind
    stay as they are: calls are told apart by their lines, so that a loop may be of any length.
    What no call of torch can be met at, such as ``float(x)`` and numpy, is refused.

    ## What it costs
    Time and memory of the backward pass through what was cut off. Take the line out of the source:
    while it stands there, this treatment has to look at every call of that forward. A derivative
    that keeps its graph costs a second backward pass through what it was taken of.

    ## Settings
    lines: the lines that cut.

    ## Where we differ
    There is nothing to differ from: it undoes what the line says.

    ## Composes with
    Every other remedy. What was cut off may be sick in itself, and show it only now.

    ## Evidence
    The gradient is that of the same network without the line, to rounding. Patients of the zoo,
    trained for their own budget, seed 0, all else as it was: detached features reach an accuracy of
    0.84 (0.37 before), a GRU that is detached at every step 1.00 (0.28), a method under `no_grad`
    0.94 (0.34), a pooling by `.item()` leaves 0.02 of the variance unexplained (0.86).
    `unvanish cure` on benchmarks/outside_cures/gamma/vae_digits.py, which draws by `sample()`: a
    squared error of 0.026 in the place of 0.074, at 3.2 times the rate, means of five seeds.
    `python -m benchmarks.cures_outside --only pinn_cooling --corpus epsilon`, an equation that
    holds a derivative without a graph: a largest error of 0.040 in the place of 0.34, at 10 times
    the rate, medians of three seeds.

    ## Source
    Paszke and others (2019): gradients flow only along recorded operations. Kingma and Welling
    (2014), section 2.4, for draws.
    """

    name: ClassVar[str] = "reattach"
    treats: ClassVar[frozenset[str]] = frozenset({"UV501", "UV505", "UV301"})
    change: ClassVar[Change] = Change.GRAPH
    keeps: ClassVar[frozenset[Keeps]] = frozenset(
        {Keeps.FUNCTION, Keeps.WEIGHTS, Keeps.STATE_NAMES}
    )
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["paszke2019"], SOURCES["kingma2014"])
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = frozenset()

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit a network that a line of its own forward cuts off from its loss."""
        recording = case.recording
        cut = cut_off(recording)
        further = (*draws_of(recording), *derivatives_of(recording))
        if not cut and not recording.truncations and not further:
            return NotApplicable("a gradient path reaches every trainable parameter")
        if cut and are_a_target(recording, cut):
            return NotApplicable(
                f"{named(cut)} looks like a target network, cut off on purpose; where it is not, "
                "give the optimiser, which tells"
            )
        calls = needed(case, {p.name for p in cut}) if cut else passages(case)
        if not calls or not all(call.is_telling for call in calls):
            return NotApplicable(_pointed(recording, calls))
        if any(one.function == GRAD for one in calls) and not changes_gradient(case, calls):
            return NotApplicable(_pointed(recording, calls))
        lines = tuple(dict.fromkeys(f"{file}:{number}" for c in calls for file, number in c.lines))
        spoken = sorted({call.spoken for call in calls if call.spoken})
        who = "every earlier time step"
        if cut or not recording.truncations:
            who = named(cut or _behind(recording, further)).removesuffix(",")
        return Prescription(
            remedy=self.name,
            why=f"{', '.join(spoken)} at {', '.join(lines)} cuts off {who}",
            change=self.change,
            keeps=self.keeps,
            settings={"lines": ", ".join(lines)},
            places=tuple(dict.fromkeys(call.path for call in calls)),
            cost="the backward pass through what was cut off",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Hand the gradient on at each of the lines.

        Raises:
            CannotTreatError: If the network does not call what cuts any more.
        """
        lines = str(prescription.settings["lines"]).split(", ")
        calls = passages(patient, lines)
        if not calls or not all(call.is_telling for call in calls):
            raise CannotTreatError(
                "the line that cuts cannot be told from others of its kind",
                where=lines[0],
                help="take it out of the source",
            )
        insert(patient.surgery, calls, said=True)
        spoken = sorted({call.spoken for call in calls if call.spoken})
        if spoken in ([DRAWN], [SPOKEN[GRAD]]):
            written = ".rsample()" if spoken == [DRAWN] else "create_graph=True"
            patient.notes.append(f"to keep it, write {written} in {' and '.join(lines)}")
            return
        patient.notes.append(
            f"to keep it, take {' and '.join(spoken)} out of {' and '.join(lines)}"
            + (", or off what is called there" if SPOKEN[SWITCH] in spoken else "")
        )


def _behind(recording: Recording, further: Sequence[Cut]) -> list[Parameter]:
    """Return the parameters of what is drawn or differentiated without a gradient."""
    names = {name for one in further for name in one.parameters}
    return [p for p in watched(recording) if p.name in names]


def _pointed(recording: Recording, calls: Sequence[Passage]) -> str:
    """Say which line cuts, and what to write in its place."""
    verdict = GradientTrap().examine(recording)
    findings = verdict.findings if isinstance(verdict, Found) else ()
    trap = next((f for f in findings if f.sites and f.sites[0].source), None)
    if trap is not None:
        return f"{trap.notes[0]}, in code of your own: {trap.help[0]}"
    cuts: Sequence[Cut] = [one for one in recording.cuts if not one.writes]
    if not cuts:
        return "the gradient ends where no call of torch can be met"
    first = cuts[0]
    where = f" at {first.source}" if first.source else f" in {first.path or 'the network'}"
    if first.op in ("detach", "data") or first.under == "no_grad":
        several = ", called too often to be told from others" if calls else ""
        return f"the gradient ends at {first.op}{where}{several}: take what cuts out of the line"
    choice = ZeroDerivative().examine(recording)
    helps = choice.findings[0].help if isinstance(choice, Found) else ()
    said = helps[0] if helps else "compute it in another way"
    return f"{first.op}{where} gives out no gradient, in code of your own: {said}"
