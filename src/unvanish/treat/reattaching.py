"""Which of the calls that cut a gradient are to pass it on, and how they are made to."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

import torch
from torch import nn

from unvanish.core.errors import UnvanishError
from unvanish.core.incidents import Cut
from unvanish.core.places import SourceLine
from unvanish.core.records import Recording
from unvanish.diagnose.cuts import (
    cut_off,
    cuts_of,
    derivatives_of,
    draws_of,
    is_derivative,
    is_drawn,
)
from unvanish.observe.batch import Batch, call_model
from unvanish.observe.guard import seed_everything, untouched
from unvanish.observe.look import Conditions, running
from unvanish.observe.loss import compute_loss
from unvanish.observe.tracing import trace
from unvanish.treat.cutting import (
    MAKERS,
    NORMAL,
    NUMBERS,
    SWITCH,
    AtLines,
    Given,
    KeepGradient,
    Met,
    Number,
    Numbers,
    PassOn,
    Stacked,
    Unstacked,
    met,
    stands_at,
)
from unvanish.treat.differentiating import ARGUMENT, GRAD, CreateGraph
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.redrawing import AroundZero, Moments, OfUnitSize, Reparametrised
from unvanish.treat.surgery import Surgery

SPOKEN: Final = {
    "detach": ".detach()",
    "data": ".data",
    "item": ".item()",
    "tolist": ".tolist()",
    NORMAL: "torch.normal()",
    GRAD: "torch.autograd.grad()",
    SWITCH: "torch.no_grad()",
}
"""What a user writes to make each call."""

DRAWN: Final = ".sample()"
"""What a user writes to draw without a gradient."""

_PARTS: Final[dict[str, type[nn.Module]]] = {
    SWITCH: KeepGradient,
    "item": Number,
    "tolist": Numbers,
}
"""What stands in the place of a call; of any other, what it was given."""

_MOST: Final = 8
"""Calls of a function in one forward that are told from others of the same line, by number."""

_BY_LINE: Final = frozenset({"detach", "data"}) | NUMBERS
"""Operations that cut at their own line."""

_MOST_IN_A_ROW: Final = 3
"""Cuts behind each other that are passed."""

_MOST_TRIED: Final = 6
"""Lines of which each is left out once, to see whether more passes without it."""


@dataclass(frozen=True, slots=True)
class Passage:
    """Calls of one function in one forward that are to pass the gradient on.

    Attributes:
        path: Path of the module.
        function: What is called.
        numbers: Which calls of it; None for every one, or every one of its lines.
        lines: The user's lines.
        draws: Whether a distribution calls it to draw.
        by_line: Whether the function is called in other lines too, which are not meant.
    """

    path: str
    function: str
    numbers: tuple[int, ...] | None
    lines: tuple[tuple[str, int], ...]
    draws: bool = False
    by_line: bool = False

    @property
    def is_telling(self) -> bool:
        """Whether its calls can be told from others of the function."""
        return self.numbers is None or len(self.numbers) <= _MOST

    @property
    def spoken(self) -> str:
        """What a user writes to make the call; empty for what comes along with another."""
        return DRAWN if self.draws else SPOKEN.get(self.function, "")


def passages(known: Case | Patient, lines: Collection[str] | None = None) -> list[Passage]:
    """Return the calls that cut trainable parameters off and can be met in a forward.

    Args:
        known: The network.
        lines: Lines that are meant, as ``"train.py:12"``; None for every one that cuts.
    """
    recording = known.anatomy.recording
    cuts = [one for one in cuts_of(recording, cut_off(recording)) if not one.package]
    further = (*draws_of(recording), *derivatives_of(recording))
    return _passages(known, [*cuts, *further], lines)


def needed(case: Case, names: set[str]) -> list[Passage]:
    """Return the calls at which a gradient has to be passed on to reach some parameters.

    A straight-through estimator cuts off too, beside a way that leads round it. What living
    parameters pass as well is left alone, and so is every line without which more is reached.

    Args:
        case: The network; it stays as it is.
        names: Names of the parameters that get no gradient.
    """
    recording, known = case.recording, list[Passage]()
    for _ in range(_MOST_IN_A_ROW):
        cuts = [one for one in cuts_of(recording, cut_off(recording)) if not one.package]
        alone = [one for one in cuts if names.issuperset(one.parameters)]
        new: list[Passage] = []
        for chosen in (alone, cuts):
            new = [one for one in _passages(case, chosen, None) if one not in known]
            if not new or not all(one.is_telling for one in new):
                continue
            best, reached = _without_too_much(case, [*known, *new], names)
            if reached:
                return best
        if not new:
            return []
        known = [*known, *new]
        try:
            recording = _look_past(case, known)
        except UnvanishError:
            return []  # the code wants a number where a tensor was handed on
    return []


def _look_past(case: Case, found: Sequence[Passage]) -> Recording:
    """Look at the network with some calls passing the gradient: what cuts it next shows then."""
    surgery = Surgery(case.model)
    insert(surgery, found, said=False)
    context = case.recording.context
    try:
        return trace(
            case.model,
            case.batch,
            case.loss,
            batches=1,
            probe_steps=0,
            seed=context.seed,
            autocast=context.autocast,
        )
    finally:
        surgery.undo()


def _without_too_much(
    case: Case, found: list[Passage], names: set[str]
) -> tuple[list[Passage], int]:
    """Leave out lines as long as more parameters get a gradient without them."""
    reached = _reached(case, found, names)
    while 1 < len(found) <= _MOST_TRIED and reached < len(names):
        fewer = [[one for one in found if one is not left] for left in found]
        counts = [_reached(case, some, names) for some in fewer]
        if max(counts) <= reached:
            break
        reached = max(counts)
        found = fewer[counts.index(reached)]
    return found, reached


def insert(surgery: Surgery, found: Sequence[Passage], *, said: bool) -> None:
    """Let calls pass the gradient on.

    Args:
        surgery: Of the network.
        found: The calls.
        said: Whether it is written into the books.
    """
    for one in found:
        turns = AtLines(one.lines) if one.by_line else None
        for number in one.numbers if one.numbers is not None else (None,):
            if one.function == NORMAL:
                _insert_draw(surgery, one, number, turns)
                continue
            if one.function in MAKERS:
                given = Given()
                for part, where in ((Unstacked(given), "before"), (Stacked(given), "after")):
                    surgery.insert(one.path, part, where, function=one.function, call=number)
                continue
            derives = one.function == GRAD
            passed = CreateGraph() if derives else _PARTS.get(one.function, PassOn)()
            file, line = one.lines[0] if one.lines else ("", 0)
            surgery.insert(
                one.path,
                passed,
                "before" if derives else "instead",
                function=one.function,
                call=number,
                turns=turns,
                argument=ARGUMENT if derives else 0,
                before=one.spoken if said else "",
                after=("create_graph=True" if derives else "the gradient passes") if said else "",
                source=SourceLine(file, line) if file else None,
            )


def _insert_draw(surgery: Surgery, one: Passage, number: int | None, turns: AtLines | None) -> None:
    """Draw noise of unit size, and scale and shift it behind the draw."""
    moments = Moments()
    parts = (
        (AroundZero(moments), "before", 0),
        (OfUnitSize(moments), "before", 1),
        (Reparametrised(moments), "after", 0),
    )
    for part, where, argument in parts:
        surgery.insert(
            one.path,
            part,
            where,
            function=NORMAL,
            call=number,
            turns=turns,
            argument=argument,
        )


def _passages(
    known: Case | Patient, cuts: Sequence[Cut], lines: Collection[str] | None
) -> list[Passage]:
    recording = known.anatomy.recording
    sources = [(t.cut, t.source) for t in recording.truncations if t.cut in ("detach", "data")]
    sources += [(one.op, one.source) for one in cuts if one.op in _BY_LINE]
    sources += [(NORMAL, one.source) for one in cuts if is_drawn(one)]
    derived = [(GRAD, one.source) for one in cuts if is_derivative(one) and one.op == GRAD]
    sources += derived
    switched = _switched(recording, cuts)
    if not sources and not switched:
        return []
    seen = met(known.model, known.batch)
    if lines is None:
        meant = [one for one in seen if _is_meant(one, sources, switched)]
    else:
        told = [one for one in seen if any(f"{f}:{n}" in lines for f, n in one.lines)]
        others = [o for o in told if any(stands_at(o, source) for _, source in derived)]
        meant = [o for o in told if o not in others or _is_meant(o, sources, switched)]
    groups: dict[tuple[str, str, tuple[tuple[str, int], ...]], list[Met]] = {}
    for one in meant:
        groups.setdefault((one.path, one.function, one.lines), []).append(one)
    found = []
    for (path, function, places), ours in groups.items():
        others = [o for o in seen if (o.path, o.function) == (path, function) and o not in ours]
        by_line = bool(others and places) and all(o.lines != places for o in others)
        is_every = by_line or not others
        numbers = None if is_every else tuple(sorted({one.number for one in ours}))
        draws = any(one.draws for one in ours)
        found.append(Passage(path, function, numbers, places, draws, by_line))
    return found if NUMBERS.isdisjoint(one.function for one in found) else _and_back(found, seen)


def _switched(recording: Recording, cuts: Sequence[Cut]) -> set[tuple[str, str]]:
    """Return path and operation of what ends under a `no_grad`: of a line's calls, all of them."""
    lines = {(one.op, str(one.source)) for one in cuts if one.under == "no_grad"}
    return {
        (one.path, one.op)
        for one in (*cuts, *recording.cuts)
        if one.under == "no_grad" and (one.op, str(one.source)) in lines
    }


def _and_back(found: list[Passage], seen: Sequence[Met]) -> list[Passage]:
    """Add the calls in which numbers become a tensor again, wherever they are made."""
    kept = [one for one in found if one.function not in MAKERS]
    places = dict.fromkeys((one.path, one.function) for one in seen if one.function in MAKERS)
    return kept + [Passage(path, function, None, ()) for path, function in places]


def _is_meant(
    one: Met, sources: Iterable[tuple[str, SourceLine | None]], switched: set[tuple[str, str]]
) -> bool:
    if one.draws:
        return any(op == NORMAL and stands_at(one, source) for op, source in sources)
    if one.function == SWITCH:
        return bool(one.under & switched)
    return any(one.function == op and stands_at(one, source) for op, source in sources)


def changes_gradient(case: Case, found: Sequence[Passage]) -> bool:
    """Tell whether a network whose calls pass the gradient on has another gradient, and runs.

    Args:
        case: The network; it stays as it is.
        found: The calls.
    """
    names = {name for name, one in case.model.named_parameters() if one.requires_grad}
    before, after = _gradients(case, (), names), _gradients(case, found, names)
    return any(
        a is not None and (b is None or not torch.equal(a, b))
        for b, a in zip_longest(before, after)
    )


def _reached(case: Case, found: Sequence[Passage], names: set[str]) -> int:
    """Count the parameters that get a gradient then."""
    gradients = _gradients(case, found, names)
    return sum(one is not None and bool(one.count_nonzero()) for one in gradients)


def _gradients(
    case: Case, found: Sequence[Passage], names: set[str]
) -> Sequence[torch.Tensor | None]:
    """Return the gradients of parameters then, none where it fails; the network stays as it was."""
    context = case.recording.context
    parameters = [p for name, p in case.model.named_parameters() if name in names]
    device = next((p.device for p in parameters), torch.device("cpu"))
    conditions = Conditions(case.loss, context.seed, context.autocast, {})
    surgery = Surgery(case.model)
    with untouched(case.model, seed=context.seed), running(conditions, device):
        insert(surgery, found, said=False)
        seed_everything(context.seed)
        try:
            output = call_model(case.model, case.batch.inputs)
            loss = compute_loss(case.loss, output, Batch(None, case.batch.target))[0]
            if not loss.requires_grad:
                return ()
            gradients: Sequence[torch.Tensor | None] = torch.autograd.grad(
                loss, parameters, allow_unused=True
            )
            return gradients
        except Exception:  # whatever the user's code says to a tensor where a number was
            return ()
        finally:
            surgery.undo()
