"""Passing a gradient on where a line of the forward cuts it off."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, final

import torch
from torch import nn

from unvanish.core.incidents import Cut
from unvanish.core.places import SourceLine
from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.records import Recording
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Found, NotApplicable
from unvanish.diagnose.cuts import are_a_target, cut_off, cuts_of, named
from unvanish.diagnose.rules.gradient_trap import GradientTrap
from unvanish.diagnose.rules.zero_derivative import ZeroDerivative
from unvanish.observe.batch import Batch, call_model
from unvanish.observe.guard import seed_everything, untouched
from unvanish.observe.look import Conditions, running
from unvanish.observe.loss import compute_loss
from unvanish.treat.cutting import SWITCH, KeepGradient, Met, PassOn, met, stands_at
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.surgery import CannotTreatError, Surgery

_SPOKEN: Final = {"detach": ".detach()", "data": ".data", SWITCH: "torch.no_grad()"}
_MOST: Final = 8
"""Calls of a function in one forward that are told from others of it."""


@final
@dataclass(frozen=True, kw_only=True)
class Reattach:
    """Pass the gradient on at a `.detach()`, `.data` or `torch.no_grad()` that cuts it off.

    ## When to use
    Trainable parameters that reach the loss and get no gradient back (UV501, UV505), or a state
    that comes to every time step without its gradient (UV301), where the line that cuts was not
    meant: a detach left from another experiment, a decorator copied from inference.

    ## What it changes
    The derivative, and nothing else: the network computes what it computed. In the forward that
    holds the line, `.detach()` and `.data` hand on the tensor itself, and `torch.no_grad()` does
    not turn gradients off. Other calls of the same kind stay as they are.

    ## What it costs
    Time and memory of the backward pass through what was cut off. Take the line out of the source:
    while it stands there, this treatment has to look at every call of that forward.

    ## Settings
    lines: the lines that cut.

    ## Where we differ
    There is nothing to differ from: it undoes what the line says.

    ## Composes with
    Every other remedy. What was cut off may be sick in itself, and show it only now.

    ## Evidence
    The zoo's patients with a `detach` between two parts, one at every time step, and a `no_grad`
    left on: every parameter gets a gradient, and it is the gradient of the same network without the
    line, to the last bit (see the test).

    ## Source
    Paszke and others (2019): gradients flow only along recorded operations.
    """

    name: ClassVar[str] = "reattach"
    treats: ClassVar[frozenset[str]] = frozenset({"UV501", "UV505", "UV301"})
    change: ClassVar[Change] = Change.GRAPH
    keeps: ClassVar[frozenset[Keeps]] = frozenset(
        {Keeps.FUNCTION, Keeps.WEIGHTS, Keeps.STATE_NAMES}
    )
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["paszke2019"],)
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = frozenset()

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit a network that a line of its own forward cuts off from its loss."""
        recording = case.recording
        cut = cut_off(recording)
        if not cut and not recording.truncations:
            return NotApplicable("a gradient path reaches every trainable parameter")
        if cut and are_a_target(recording, cut):
            return NotApplicable(
                f"{named(cut)} looks like a target network, cut off on purpose; where it is not, "
                "give the optimiser, which tells"
            )
        calls = calls_to_pass(case)
        if not calls or _too_many(calls):
            return NotApplicable(_pointed(recording, calls))
        if cut and not _is_reached(case, calls, {p.name for p in cut}):
            return NotApplicable(_pointed(recording, calls))
        lines = tuple(dict.fromkeys(f"{file}:{number}" for c in calls for file, number in c.lines))
        spoken = sorted({_SPOKEN[call.function] for call in calls})
        who = named(cut).removesuffix(",") if cut else "every earlier time step"
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
        calls = [
            call
            for call in calls_to_pass(patient)
            if any(f"{file}:{number}" in lines for file, number in call.lines)
        ]
        if not calls or _too_many(calls):
            raise CannotTreatError(
                "the line that cuts cannot be told from others of its kind",
                where=lines[0],
                help="take it out of the source",
            )
        _insert(patient.surgery, calls, said=True)
        spoken = sorted({_SPOKEN[call.function] for call in calls})
        patient.notes.append(
            f"to keep it, take {' and '.join(spoken)} out of {' and '.join(lines)}"
            + (", or off what is called there" if _SPOKEN[SWITCH] in spoken else "")
        )


@dataclass(frozen=True, slots=True)
class _Call:
    """Calls of one function in one forward that are to pass the gradient on.

    Attributes:
        path: Path of the module.
        function: What is called.
        numbers: Which calls of it; None for every one.
        lines: The user's lines.
    """

    path: str
    function: str
    numbers: tuple[int, ...] | None
    lines: tuple[tuple[str, int], ...]


def calls_to_pass(known: Case | Patient) -> list[_Call]:
    """Return the calls that cut trainable parameters off and can be met in a forward.

    Args:
        known: The network.
    """
    recording = known.anatomy.recording
    cut = cut_off(recording)
    cuts = [one for one in cuts_of(recording, cut) if not one.package] if cut else []
    sources = [("detach", one.source) for one in recording.truncations if one.cut == "detach"]
    sources += [(one.op, one.source) for one in cuts if one.op in ("detach", "data")]
    switched = {(one.path, one.op) for one in cuts if one.under == "no_grad"}
    if not sources and not switched:
        return []
    seen = met(known.model, known.batch)
    meant = [one for one in seen if _is_meant(one, sources, switched)]
    groups: dict[tuple[str, str], list[Met]] = {}
    for one in meant:
        groups.setdefault((one.path, one.function), []).append(one)
    calls = []
    for (path, function), ours in groups.items():
        others = [o for o in seen if (o.path, o.function) == (path, function) and o not in ours]
        numbers = None if not others else tuple(sorted({one.number for one in ours}))
        lines = tuple(dict.fromkeys(line for one in ours for line in one.lines))
        calls.append(_Call(path, function, numbers, lines))
    return calls


def _is_meant(
    one: Met, sources: Iterable[tuple[str, SourceLine | None]], switched: set[tuple[str, str]]
) -> bool:
    if one.function == SWITCH:
        return bool(one.under & switched)
    return any(one.function == op and stands_at(one, source) for op, source in sources)


def _too_many(calls: Sequence[_Call]) -> bool:
    return any(call.numbers is not None and len(call.numbers) > _MOST for call in calls)


def _insert(surgery: Surgery, calls: Sequence[_Call], *, said: bool) -> None:
    for call in calls:
        for number in call.numbers if call.numbers is not None else (None,):
            part: nn.Module = KeepGradient() if call.function == SWITCH else PassOn()
            file, line = call.lines[0] if call.lines else ("", 0)
            surgery.insert(
                call.path,
                part,
                "instead",
                function=call.function,
                call=number,
                before=_SPOKEN[call.function] if said else "",
                after="the gradient passes" if said else "",
                source=SourceLine(file, line) if file else None,
            )


def _is_reached(case: Case, calls: Sequence[_Call], names: set[str]) -> bool:
    """Try whether a parameter that was cut off gets a gradient; the network stays as it was."""
    context = case.recording.context
    parameters = [p for name, p in case.model.named_parameters() if name in names]
    device = next((p.device for p in parameters), torch.device("cpu"))
    conditions = Conditions(case.loss, context.seed, context.autocast, {})
    surgery = Surgery(case.model)
    with untouched(case.model, seed=context.seed), running(conditions, device):
        _insert(surgery, calls, said=False)
        seed_everything(context.seed)
        try:
            output = call_model(case.model, case.batch.inputs)
            loss = compute_loss(case.loss, output, Batch(None, case.batch.target))[0]
            if not loss.requires_grad:
                return False
            found: Sequence[torch.Tensor | None] = torch.autograd.grad(
                loss, parameters, allow_unused=True
            )
        except RuntimeError:
            return False
        finally:
            surgery.undo()
        return any(one is not None for one in found)


def _pointed(recording: Recording, calls: Sequence[_Call]) -> str:
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
