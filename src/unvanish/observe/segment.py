"""From one place of a network to another: a forward pass with a leaf put in between.

The leaf stands in for what a module gives out, and every later step depends on it and on nothing
before it. J^T v is one backward pass; J u the derivative after w of <u, J^T w>, w a variable, which
are two; or the central difference of two forward passes.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from unvanish.core.errors import BatchError
from unvanish.observe.batch import Batch, call_model, main_output, map_tensors
from unvanish.observe.failures import first_line, is_out_of_memory
from unvanish.observe.guard import ModelSnapshot, seed_everything
from unvanish.observe.opaque import in_the_open, unfused

_log = logging.getLogger(__name__)

_AGREES: Final = 1e-3
"""Relative error up to which two products with one matrix agree."""


@dataclass(slots=True)
class Run:
    """One forward pass from a leaf to the end.

    Attributes:
        start: The leaf that stands in for the start.
        end: What came out.
        between: Path to output of the layers in between.
    """

    start: Tensor
    end: Tensor
    between: dict[str, Tensor]

    def pull(self, direction: Tensor) -> Tensor:
        """Return J^T v."""
        return self.pull_to([self.start], direction)[0]

    def pull_to(self, tensors: Sequence[Tensor], direction: Tensor) -> list[Tensor]:
        """Return J^T v for the Jacobians from several places."""
        found: tuple[Tensor | None, ...] = torch.autograd.grad(
            self.end, tensors, direction.to(self.end), retain_graph=True, allow_unused=True
        )
        return [
            torch.zeros_like(t) if g is None else g.detach()
            for t, g in zip(tensors, found, strict=True)
        ]


class Runner:
    """Runs the model from the same state with a value of choice at the start."""

    def __init__(
        self,
        model: nn.Module,
        batch: Batch,
        snapshot: ModelSnapshot,
        start: str,
        end: str,
        seed: int,
        *,
        layers: bool,
    ) -> None:
        self.model, self.batch, self.snapshot, self.seed = model, batch, snapshot, seed
        modules = dict(model.named_modules())
        self.start, self.end = modules[start] if start else None, modules[end] if end else None
        self.said = start or "the input", end or "the output"
        self.layers = {}
        if layers:
            self.layers = {
                path: module
                for path, module in modules.items()
                if path not in (start, end)
                and next(module.parameters(recurse=False), None) is not None
            }

    def run(self, value: Tensor | None = None) -> Run:
        """Run forwards.

        Args:
            value: What stands at the start; its own value by default.

        Raises:
            BatchError: If start or end are not met, or the end does not depend on the start.
        """
        caught: dict[str, Tensor] = {}
        between: dict[str, Tensor] = {}

        def begin(tensor: Tensor) -> Tensor:
            if "start" in caught:
                return tensor
            leaf = (tensor if value is None else value).detach().to(tensor.dtype)
            caught["start"] = leaf.clone().requires_grad_()
            return caught["start"].clone()  # so that it can be changed in place

        def finish(tensor: Tensor) -> Tensor:
            caught["end"] = tensor
            return tensor.clone()

        self.snapshot.restore()
        seed_everything(self.seed)
        inputs = self.batch.inputs
        if self.start is None:
            inputs = _with_first(inputs, begin)
        with _opened(), _hooked(self, begin, finish, between):
            try:
                output = call_model(self.model, inputs)
            except Exception as error:
                if is_out_of_memory(error):
                    raise
                raise BatchError(
                    f"the forward pass raised {type(error).__name__}: {first_line(error)}",
                    help="run model(inputs) once by itself with this batch",
                ) from error
        if self.end is None:
            ended = main_output(output)
            if ended is not None:
                caught["end"] = ended
        return self._checked(caught, between)

    def _named(self, which: str, *, first: bool) -> str:
        """Say which module could be named, as one writes it in Python and on a command line."""
        paths = [p for p, m in self.model.named_modules() if p and not any(m.children())]
        path = (paths[0] if first else paths[-1]) if paths else "layers.0"
        return f"name a module: {which}={path!r} in Python, --{which} {path} on the command line"

    def _checked(self, caught: dict[str, Tensor], between: dict[str, Tensor]) -> Run:
        start, end = caught.get("start"), caught.get("end")
        if start is None:
            raise BatchError(
                "the network has no floating input to differentiate by"
                if self.start is None
                else f"{self.said[0]} gave no floating tensor",
                help=self._named("start", first=True),
            )
        if end is None or not end.is_floating_point():
            raise BatchError(
                f"{self.said[1]} is a single number, or no floating tensor",
                help=self._named("end", first=False),
            )
        if not end.requires_grad:
            raise BatchError(
                f"no gradient runs from {self.said[1]} back to {self.said[0]}",
                help="unvanish check   says where it is cut",
            )
        return Run(start, end, {p: t for p, t in between.items() if t.requires_grad})


@contextmanager
def _opened() -> Iterator[None]:
    """Run attention and recurrent layers in steps that have second derivatives."""
    with ExitStack() as stack:
        stack.enter_context(in_the_open())
        stack.enter_context(unfused("lstm"))
        yield


@contextmanager
def _hooked(
    runner: Runner,
    begin: Callable[[Tensor], Tensor],
    finish: Callable[[Tensor], Tensor],
    between: dict[str, Tensor],
) -> Iterator[None]:
    """Put hooks on start, end and the layers in between, and take them off."""
    handles = []

    def keep(path: str) -> Callable[..., Any]:
        def hook(module: nn.Module, args: Any, output: Any) -> Any:  # noqa: ARG001
            def note(tensor: Tensor) -> Tensor:
                between[path] = tensor
                return tensor.clone()

            return _with_first(output, note)

        return hook

    for path, module in runner.layers.items():
        handles.append(module.register_forward_hook(keep(path)))
    for module, change in ((runner.end, finish), (runner.start, begin)):
        if module is not None:
            handles.append(
                module.register_forward_hook(lambda _m, _a, out, c=change: _with_first(out, c))
            )
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _with_first(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Rebuild a nested value with its first floating tensor changed."""
    done = False

    def once(tensor: Tensor) -> Tensor:
        nonlocal done
        if done or not tensor.is_floating_point() or tensor.ndim == 0:
            return tensor
        done = True
        return change(tensor)

    return map_tensors(value, once)


Push = Callable[[Tensor], Tensor]


def pusher(run: Run, runner: Runner, generator: torch.Generator) -> tuple[Push | None, str]:
    """Return a function u -> J u, and how it does it; None where none agrees with J^T."""
    ways = ((_double_backward, "double backward"), (_difference, "difference"))
    for way, name in ways:
        try:
            push = way(run, runner)
            if push is not None and _agree(run, push, generator):
                return push, name
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            _log.debug("no %s", name, exc_info=True)
    return None, ""


def _agree(run: Run, push: Push, generator: torch.Generator) -> bool:
    """Tell whether <J u, v> = <u, J^T v>.

    An operation written by hand may leave its second derivative out without a word, and a
    straight-through estimator has a backward pass that is no derivative of its forward pass.
    """
    u, v = signs(run.start, generator), signs(run.end, generator)
    pushed, pulled = push(u).double(), run.pull(v).double()
    forth, back = float((pushed * v).sum()), float((pulled * u).sum())
    scale = float(pushed.norm()) * math.sqrt(v.numel()) + float(pulled.norm()) * math.sqrt(
        u.numel()
    )
    return abs(forth - back) <= _AGREES * scale


def _double_backward(run: Run, runner: Runner) -> Push | None:  # noqa: ARG001
    """Return u -> J u as the derivative of <u, J^T w> after w."""
    weights = torch.zeros_like(run.end).requires_grad_()
    back: Tensor | None = torch.autograd.grad(
        run.end, run.start, weights, create_graph=True, allow_unused=True
    )[0]
    if back is None or back.grad_fn is None:
        return None

    def push(direction: Tensor) -> Tensor:
        found: Tensor | None = torch.autograd.grad(
            back, weights, direction.to(back), retain_graph=True, allow_unused=True
        )[0]
        return torch.zeros_like(run.end) if found is None else found.detach()

    return push


def _difference(run: Run, runner: Runner) -> Push:
    """Return u -> J u by central differences, with the best step of the type."""
    centre = run.start.detach()
    size = max(float(centre.double().square().mean().sqrt()), 1e-30)
    step = size * torch.finfo(centre.dtype).eps ** (1 / 3)

    def push(direction: Tensor) -> Tensor:
        direction = direction.to(centre)
        length = float(direction.double().square().mean().sqrt())
        if length == 0.0:
            return torch.zeros_like(run.end)
        h = step / length
        ends = [runner.run(centre + s * h * direction).end.detach() for s in (1.0, -1.0)]
        change: Tensor = (ends[0] - ends[1]) / (2.0 * h)
        return change

    return push


def signs(like: Tensor, generator: torch.Generator) -> Tensor:
    """Return random signs in the shape of a tensor."""
    drawn = torch.randint(0, 2, tuple(like.shape), generator=generator) * 2 - 1
    return drawn.to(like)
