"""What a user's own functions do on one batch: are they steps, and what do they pass back?"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.autograd import Function

from unvanish.observe.batch import Batch, call_model, map_tensors
from unvanish.observe.copies import copied
from unvanish.observe.guard import seed_everything, untouched
from unvanish.observe.look import Conditions, running
from unvanish.observe.loss import compute_loss
from unvanish.treat.answering import answer
from unvanish.treat.own_functions import Answer, Grads, begin, end, users_functions
from unvanish.treat.own_slopes import Slope, place_of_input
from unvanish.treat.protocol import Case
from unvanish.treat.relay import Relay
from unvanish.treat.surgery import Surgery

_NARROWEST: Final = 1e-3
"""Least width of a soft step, where all that comes to it is the same."""
_OF_SPREAD: Final = 0.25
"""Width of a soft step, of how far what comes to it lies from its threshold. The root mean square
of its slope is then half of its height over that, for numbers from a normal distribution: the
gradient shrinks as much as the signal does, from those numbers to answers that go either way."""
_FEWEST: Final = 16
"""Entries from which on an answer can be told to be a step."""
_DECADES: Final = 3.0
"""How far around what comes to a function it is asked for its other answer, in decades."""
_LEAST_SHARED: Final = 4
"""Entries to a level, on average, from which on a function rounds."""


@dataclass(slots=True)
class _Call:
    given: Tensor
    output: Tensor


@dataclass(slots=True, eq=False)
class OwnStep:
    """All calls of one function in one module's forward.

    Attributes:
        path: Path of the module.
        name: The function's qualified name.
        function: The class.
        slope: That of the soft step; None where the function is none.
        why_none: What it is, where it is no step.
        arrived: Sum of the squares of what was passed back to its calls.
        own: The same of what they passed on.
        soft: The same of what the soft step passes on.
    """

    path: str
    name: str
    function: type[Function]
    slope: Slope | None = None
    why_none: str = ""
    arrived: float = 0.0
    own: float = 0.0
    soft: float = 0.0
    _calls: list[_Call] = field(default_factory=list)
    _again: Callable[[Tensor], Any] | None = None

    @property
    def share(self) -> float:
        """The size of what it passes on, against that of what a soft step would; nan for none."""
        return math.sqrt(self.own / self.soft) if self.soft > 0.0 else math.nan

    def note(self, inputs: tuple[Any, ...], place: int, output: Tensor) -> _Call:
        """Take note of one call."""
        call = _Call(inputs[place].detach().clone(), output.detach().clone())
        self._calls.append(call)
        if self._again is None:
            run: Any = self.function.apply
            before, after = inputs[:place], inputs[place + 1 :]
            self._again = lambda given: run(*before, given, *after)
        return call

    def judge(self) -> None:
        """Say what the function is, from what it was given and what it answered."""
        given = torch.cat([call.given.flatten().double() for call in self._calls])
        output = torch.cat([call.output.flatten().double() for call in self._calls])
        is_known = given.isfinite() & output.isfinite() & (given != 0.0)
        given, output = given[is_known], output[is_known]
        if given.numel() < _FEWEST:
            self.why_none = "is given too few numbers to tell what it is"
            return
        levels = output.unique()
        asked, answers = given, output
        if levels.numel() == 1:
            asked, answers = self._asked_further(given)
            levels = answers.unique()
        if levels.numel() == 1:
            self.why_none = "has the same answer for everything"
        elif levels.numel() == 2:
            self._judge_step(given, asked, answers)
        elif _rounds(given, output, levels):
            self.slope = Slope(1.0)
        else:
            self.why_none = "is no step and rounds nothing"

    def _asked_further(self, given: Tensor) -> tuple[Tensor, Tensor]:
        """Ask the function about numbers around those it was given, on both sides of zero."""
        first = self._calls[0].given
        largest = float(given.abs().max())
        half = torch.logspace(-_DECADES, _DECADES, first.numel() // 2 + 1, dtype=first.dtype)
        around = largest * torch.cat([-half.flip(0), half])[: first.numel()]
        if self._again is None or first.numel() < _FEWEST:
            return given, torch.zeros_like(given)
        try:
            with torch.no_grad():
                found = self._again(around.to(first.device).reshape(first.shape))
        except Exception:  # whatever the user's function makes of numbers it never met
            return given, torch.zeros_like(given)
        if not isinstance(found, Tensor) or found.shape != first.shape:
            return given, torch.zeros_like(given)
        return around.to(given), found.detach().flatten().to(given)

    def _judge_step(self, given: Tensor, asked: Tensor, answers: Tensor) -> None:
        low, high = answers.unique().tolist()
        below, above = asked[answers == low], asked[answers == high]
        height = high - low
        if float(below.min()) >= float(above.max()):
            below, above, height = above, below, -height
        if float(below.max()) > float(above.min()):
            self.why_none = "has two answers, but no threshold between them"
            return
        beneath, over = float(below.max()), float(above.min())
        threshold = 0.0 if beneath <= 0.0 <= over else float(f"{(beneath + over) / 2:.3g}")
        spread = float((given - threshold).square().mean().sqrt())
        width = max(_NARROWEST, _OF_SPREAD * spread)
        self.slope = Slope(float(f"{height:.3g}"), float(f"{width:.2g}"), threshold)

    def weigh(self, call: _Call, grad: Tensor, passed: Tensor | None) -> Tensor | None:
        """Count what comes to a call and what it passes on; return what a soft step would."""
        if self.slope is None:
            return passed
        soft = grad * self.slope.at(call.given)
        self.arrived += _squares(grad)
        self.soft += _squares(soft)
        self.own += 0.0 if passed is None else _squares(passed)
        return soft


@dataclass(frozen=True, slots=True)
class _Weighed:
    """The answer of a call that is weighed: that of a soft step, so that more gets to the next."""

    step: OwnStep
    call: _Call
    place: int

    def __call__(self, own: Callable[[], Grads], grads: Grads) -> Grads:
        found = list(own())
        if grads[0] is not None:
            found[self.place] = self.step.weigh(self.call, grads[0], found[self.place])
        return tuple(found)


class _Listening(Relay):
    """Takes note of the calls in one module's forward."""

    __slots__ = ("_path", "_steps")

    def __init__(self, path: str, steps: dict[tuple[str, str], OwnStep]) -> None:
        super().__init__()
        self._path, self._steps = path, steps

    def enter(self) -> None:
        """Begin a forward."""
        begin(self, ())

    def leave(self) -> None:
        """End it."""
        end(())

    def met(
        self, function: type[Function], _context: Any, inputs: tuple[Any, ...], output: Any
    ) -> Answer | None:
        """Take note of a call."""
        key = self._path, function.__qualname__
        step = self._steps.setdefault(key, OwnStep(*key, function))
        place = place_of_input(inputs, output)
        if place is None:
            step.why_none = step.why_none or "is not computed entry by entry of its first input"
            return None
        return _Weighed(step, step.note(inputs, place, output), place)


def own_steps(case: Case) -> list[OwnStep]:
    """Run a copy of a network forwards and backwards, and say what its users' functions do.

    Args:
        case: The network; it stays as it is.

    Returns:
        One entry for each function in each module that calls it.
    """
    if next(users_functions(), None) is None:
        return []
    twin = copied(case.model)
    with untouched(twin, seed=case.recording.context.seed), _listened(twin) as steps:
        loss = _loss_of(twin, case)
        for step in steps.values():
            if not step.why_none:
                step.judge()
        if loss.requires_grad and any(step.slope is not None for step in steps.values()):
            loss.backward()
    return list(steps.values())


def places_of(model: nn.Module, batch: Batch) -> dict[str, set[str]]:
    """Return the paths of the modules that call a user's functions, and the names of these.

    Args:
        model: The network; it stays as it is.
        batch: What it is run on.
    """
    found: dict[str, set[str]] = {}
    with untouched(model, seed=0), _listened(model) as steps:
        answer(model, batch.inputs)
    for path, name in steps:
        found.setdefault(path, set()).add(name)
    return found


def _loss_of(model: nn.Module, case: Case) -> Tensor:
    """Return the loss of a case's batch, whose data ask for a gradient where they did."""
    context = case.recording.context
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    inputs = map_tensors(case.batch.inputs, _again)
    seed_everything(context.seed)
    with running(Conditions(case.loss, context.seed, context.autocast, {}), device):
        output = call_model(model, inputs)
        return compute_loss(case.loss, output, Batch(inputs, case.batch.target))[0]


def _again(tensor: Tensor) -> Tensor:
    return tensor.detach().clone().requires_grad_(tensor.requires_grad)


class _Deaf:
    """Hears nothing of what is called outside of the network: in its loss."""

    def met(self, *_call: Any) -> None:
        """Leave a call alone."""


@contextmanager
def _listened(model: nn.Module) -> Iterator[dict[tuple[str, str], OwnStep]]:
    """Listen to what a network calls in every module of a user's, until the block ends."""
    steps: dict[tuple[str, str], OwnStep] = {}
    surgery = Surgery(model)
    functions = tuple(users_functions())
    begin(_Deaf(), functions)
    try:
        for path, module in model.named_modules():
            if not path or _is_the_users(module):
                surgery.insert(path, None, "scope", relay=_Listening(path, steps))
        yield steps
    finally:
        end(functions)
        surgery.undo()


def _is_the_users(module: nn.Module) -> bool:
    """Tell whether a module's forward may call a function of the user's by itself."""
    scripted = isinstance(module, torch.jit.ScriptModule)
    return not scripted and type(module).__module__.partition(".")[0] != "torch"


def _rounds(given: Tensor, output: Tensor, levels: Tensor) -> bool:
    """Tell whether each answer is a level next to what was given."""
    if levels.numel() * _LEAST_SHARED > given.numel():
        return False
    return float((output - given).abs().max()) <= float(levels.diff().max())


def _squares(values: Tensor) -> float:
    return float(torch.nan_to_num(values.detach().double(), 0.0, 0.0, 0.0).square().sum())
