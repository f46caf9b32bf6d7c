"""A floor under the argument of a logarithm, a root or a division that reaches zero."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, final

from unvanish.core.prescriptions import Change, Edit, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.guarding import guarded
from unvanish.treat.losses import spoken
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.singularities import FLOORED, Meeting, meetings
from unvanish.treat.surgery import CannotTreatError

IN_THE_LOSS: Final = "the loss"
"""What stands for the path of a call in the loss."""


@final
@dataclass(frozen=True, kw_only=True)
class GuardSingularity:
    r"""Keep what enters a logarithm, a root or a division away from zero, by the least distance.

    ## When to use
    A loss or a gradient that is NaN or infinite (UV403) because `log`, `sqrt`, a negative or broken
    power, a division, `acos` or one of their kin is given a number at which it has no value or no
    slope: the probability of a class that is exactly zero, the distance of a point to itself, a sum
    of nothing. One such entry makes every gradient NaN, and after one step every weight.

    ## What it changes
    What enters these calls, in the network and in the loss, passes a floor: x becomes max(x, e), a
    divisor that has both signs keeps its own, and what `acos` is given stays e within -1 and 1.
    Entries beyond the floor pass as they are, bit for bit; those below it get no gradient from this
    call. Calls of the same kind in your own code that did not reach zero in the first batch get
    their floor too: a network in training may bring them there.

    ## What it costs
    The time of a maximum. Where the floor is reached the loss is another one: -log(0) becomes
    -log(e).

    ## Settings
    calls: function and line of each. floors: e of each. It is the rounding of a number of the
    argument's own size (its root mean square in the batch times 1.2e-7 in float32): a probability
    below it is not known to differ from zero, so that a smaller e would buy a steeper gradient,
    1 / e for a logarithm, and no truer one. In float16, whose largest number is 65504, e is larger
    where the slope would overflow.

    ## Where we differ
    The usual constant, 1e-8, is no number of float16, too large for distances of 1e-5 squared, and
    smaller than the rounding of the probabilities it is added to. Added rather than taken as the
    larger of the two, it changes every entry.

    ## Composes with
    Every other remedy. Where the zero is that of a ReLU, which passes no gradient there, the loss
    becomes a number and little is learnt: positive-output is the better one. Where the loss takes
    the logarithm of a softmax or sigmoid, logits-loss is.

    ## Evidence
    Patients of the zoo, trained for their own budget, seed 0, all else as it was: a
    contrastive loss over all pairs, each point and itself among them, puts the nearest neighbour
    into the right class for 1.00 of the points (0.06 before: every weight is NaN after one step).

    ## Source
    Goodfellow, Bengio and Courville (2016), section 4.1, on underflow and what a logarithm or a
    division makes of it.
    """

    name: ClassVar[str] = "guard-singularity"
    treats: ClassVar[frozenset[str]] = frozenset({"UV403"})
    change: ClassVar[Change] = Change.LOSS
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.WEIGHTS, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["goodfellow2016"],)
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = frozenset()

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit a network or a loss with a call that reaches its singularity in the first batch."""
        try:
            found = meetings(case)
        except Exception as error:  # whatever the user's code says to another pass
            return NotApplicable(
                f"its loss cannot be computed: {(str(error).splitlines() or [''])[0]}"
            )
        # Another batch may meet what the first one does not.
        named = {f.sites[0].op for f in case.diagnosis.findings if f.code == "UV403" and f.sites}
        is_asked = self.name in case.asked
        met = [one for one in found if one.is_met or one.name in named or is_asked]
        if not met:
            return NotApplicable(
                "no logarithm, root or division is given a zero in the first batch, or none whose "
                "call can be met"
            )
        where = ", ".join(dict.fromkeys(f"{one.name}{_at(one)}" for one in met))
        inside = any(one.path is not None for one in found)
        return Prescription(
            remedy=self.name,
            why=f"{where} is given what it has no value or no slope at",
            change=Change.GRAPH if inside else self.change,
            keeps=self.keeps,
            settings={
                "calls": ", ".join(_named(one) for one in found),
                "floors": ", ".join(f"{one.floor:g}" for one in found),
            },
            places=tuple(dict.fromkeys(one.path for one in found if one.path is not None)),
            cost="where the floor is reached, the loss is another one",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Put the floors before the calls.

        Raises:
            CannotTreatError: If one of the calls is not made any more.
        """
        calls = str(prescription.settings["calls"]).split(", ")
        floors = [float(one) for one in str(prescription.settings["floors"]).split(", ")]
        if len(calls) != len(floors):
            raise CannotTreatError(f"there are {len(calls)} calls and {len(floors)} floors")
        wanted = dict(zip(calls, floors, strict=True))
        found = [
            one.with_floor(wanted[_named(one)])
            for one in meetings(patient)
            if _named(one) in wanted
        ]
        if not found:
            raise CannotTreatError("none of the calls is made any more")
        for one in found:
            if one.path is not None:
                patient.surgery.insert(
                    one.path,
                    one.floored,
                    "before",
                    function=one.function,
                    argument=one.where.argument,
                )
                _note(patient, one, one.name)
        _guard_loss(patient, [one for one in found if one.path is None])
        where = ", ".join(dict.fromkeys(f"{o.name}{_at(o)} {o.floor:g}" for o in found))
        patient.notes.append(f"to keep it, write x.clamp_min(floor) for what enters {where}")


def _guard_loss(patient: Patient, met: Sequence[Meeting]) -> None:
    if not met:
        return
    old = patient.loss

    def undo() -> None:
        patient.loss = old

    patient.loss = guarded(old, met)
    for one in met:
        _note(patient, one, f"{one.name} in {spoken(old)}", undo)
    patient.notes.append(
        "train with the loss of the treated network, which is no part of the network itself"
    )


def _note(
    patient: Patient, one: Meeting, before: str, undo: Callable[[], None] | None = None
) -> None:
    """Write into the books what was done at each of the lines of a call."""
    signed = "signed " if one.signed else ""
    for line in one.lines or (None,):
        after = f"{one.name}{FLOORED}{one.floor:g}"
        edit = Edit(place=one.path or "", before=signed + before, after=after, source=line)
        patient.surgery.hold(undo or _nothing, edit)


def _nothing() -> None:
    """Put nothing back."""


def _named(one: Meeting) -> str:
    return f"{one.function} in {IN_THE_LOSS if one.path is None else one.path or 'the network'}"


def _at(one: Meeting) -> str:
    return f" at {one.lines[0]}" if one.lines else ""
