"""The calls of one forward pass as an interception meets them: where, which, on what.

A recording tells what was computed. To lead a signal round a few steps one must also know by
which call of which module's forward each was made, and with which argument first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from torch import Tensor, nn

from unvanish.core.operations import clean
from unvanish.observe.batch import call_model, main_output, tensors_in
from unvanish.observe.guard import untouched
from unvanish.observe.standing import standing_tensors
from unvanish.treat.following import Following, Running

CONVOLUTIONS: Final = frozenset(
    f"{kind}{axes}d" for kind in ("conv", "conv_transpose") for axes in (1, 2, 3)
)
LAYERS: Final = CONVOLUTIONS | {"linear", "matmul", "mm"}

Place = tuple[str, str, int | None]
"""Path of a module, function (empty for the module's own call), number of its call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call on the way of the signal.

    Attributes:
        index: Position among the calls, in forward order.
        function: What was called: ``"linear"``, ``"sigmoid"``, ``"add"``.
        path: Path of the innermost module.
        number: Which call of this function in that module's forward it was.
        place: What an insertion calls it by.
        first: Shape of its first argument; empty where that is no signal.
        shape: Shape of what it returns.
        before: Calls that made its signal, one entry an argument; -1 for data.
        weights: Names of the parameters it computes with.
        cuts: Whether no gradient comes back from it: it was detached, or is no number to derive.
    """

    index: int
    function: str
    path: str
    number: int
    place: Place
    first: tuple[int, ...]
    shape: tuple[int, ...]
    before: tuple[int, ...]
    weights: tuple[str, ...]
    cuts: bool = False


@dataclass(frozen=True)
class Calls:
    """All of them.

    Attributes:
        calls: In forward order.
        after: Call to those that use what it made.
        entered: Paths of the modules whose forward ran.
    """

    calls: tuple[Call, ...]
    after: Mapping[int, tuple[int, ...]]
    entered: frozenset[str]

    def __getitem__(self, index: int) -> Call:
        return self.calls[index]

    def __len__(self) -> int:
        return len(self.calls)

    def __iter__(self) -> Iterator[Call]:
        return iter(self.calls)

    def users(self, index: int) -> list[Call]:
        """Return the calls that use what a call made."""
        return [self.calls[i] for i in self.after.get(index, ())]


def calls_of(
    model: nn.Module, inputs: Any, *, standing: Collection[str] = (), seed: int = 0
) -> Calls:
    """Run a network once, leave it as it was, and return the calls of its forward.

    Args:
        model: The network.
        inputs: As `unvanish.observe.batch.as_batch` reads them.
        standing: Names of the buffers that are data, as a recording's context gives them.
        seed: Seed of that pass.
    """
    with untouched(model, seed=seed), torch.enable_grad():
        tape = _Tape(model, standing)
        with tape:
            call_model(model, inputs)
    after: dict[int, list[int]] = {}
    for call in tape.calls:
        for index in dict.fromkeys(call.before):
            if index >= 0:
                after.setdefault(index, []).append(call.index)
    used = {index: tuple(users) for index, users in after.items()}
    return Calls(tuple(tape.calls), used, frozenset(tape.entered))


class _Tape(Following):
    """Writes the calls down; holds every tensor until the end, so that no two share an id."""

    def __init__(self, model: nn.Module, standing: Collection[str]) -> None:
        super().__init__(model)
        self.calls: list[Call] = []
        self.entered: set[str] = set()
        self._names: dict[int, tuple[str, ...]] = {}
        for name, parameter in model.named_parameters():
            self._names.setdefault(id(parameter), (name,))
        data = {id(tensor) for tensor in standing_tensors(model, standing).values()}
        for buffer in model.buffers():
            if id(buffer) not in data:
                self._names.setdefault(id(buffer), ())
        self._made: dict[int, int] = {}
        self._nodes: dict[Any, int] = {}
        self._held: list[Any] = []

    def __exit__(self, *exception: Any) -> None:
        super().__exit__(*exception)
        self._held.clear()

    def _begin(self, running: Running) -> None:
        self.entered.add(running.path)

    def _end(self, running: Running, output: Any) -> None:
        path, main = running.path, main_output(output)
        # What torch's own modules call inside may differ from pass to pass; their call does not.
        if path and main is not None and type(running.module).__module__.startswith("torch.nn"):
            index = self._made.get(id(main), -1)
            if index >= 0 and self.calls[index].path == path:
                self.calls[index] = replace(self.calls[index], place=(path, "", None))

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        options: Mapping[str, Any] = kwargs or {}
        raw = getattr(func, "__name__", "")
        if not args:
            return func(*args, **options)
        name = clean(raw)
        number = self._count(name)
        with torch._C.DisableTorchFunction():
            given = list(tensors_in((*args, *options.values())))
            behind = [(t, self._maker(t)) for t in given]
        output = func(*args, **options)
        with torch._C.DisableTorchFunction():
            self._note(name, number, args, behind, output)
        return output

    def _note(
        self,
        name: str,
        number: int,
        args: tuple[Any, ...],
        behind: list[tuple[Tensor, int | None]],
        output: Any,
    ) -> None:
        made = list(tensors_in(output))
        if name == "setitem" and isinstance(args[0], Tensor):
            made = [args[0]]
        if not made or not behind:
            return
        weights = tuple(dict.fromkeys(n for t, _ in behind for n in self._names.get(id(t), ())))
        signal = [index for t, index in behind if id(t) not in self._names and index is not None]
        if not signal:
            for tensor in made:
                self._names[id(tensor)] = weights
                self._held.append(tensor)
            return
        path = self._path
        first = args[0]
        is_signal = isinstance(first, Tensor) and id(first) not in self._names
        index = len(self.calls)
        self.calls.append(
            Call(
                index=index,
                function=name,
                path=path,
                number=number,
                place=(path, name, number),
                first=tuple(first.shape) if is_signal else (),
                shape=tuple(made[0].shape),
                before=tuple(signal),
                weights=weights,
                cuts=not made[0].requires_grad and any(t.requires_grad for t, _ in behind),
            )
        )
        for tensor in made:
            self._made[id(tensor)] = index
            self._held.append(tensor)
            if tensor.grad_fn is not None:
                self._nodes[tensor.grad_fn] = index

    def _maker(self, tensor: Tensor) -> int | None:
        """Return the call that made a tensor, -1 for data."""
        self._held.append(tensor)
        found = self._made.get(id(tensor))
        if found is not None or id(tensor) in self._names or tensor.grad_fn is None:
            return -1 if found is None else found
        waiting, seen = [tensor.grad_fn], set()
        while waiting:  # a custom autograd function is no torch call
            node = waiting.pop()
            if node in self._nodes:
                return self._nodes[node]
            if node not in seen:
                seen.add(node)
                waiting.extend(n for n, _ in node.next_functions if n is not None)
        return -1


def is_layer(call: Call) -> bool:
    """Tell whether a call multiplies the signal, its first argument, with a weight."""
    return call.function in LAYERS and bool(call.weights) and bool(call.first)


def start_of(layer: Call, model: nn.Module) -> Place:
    """Return the place whose first argument is the input of a layer."""
    if layer.path and isinstance(
        model.get_submodule(layer.path), nn.Linear | nn.modules.conv._ConvNd
    ):
        return layer.path, "", None
    return layer.path, layer.function, layer.number


def axes_of(call: Call) -> int:
    """Return the number of axes behind the channels."""
    return int(call.function[-2]) if call.function in CONVOLUTIONS else 0


def weight_of(call: Call) -> str:
    """Return the name of a layer's weight."""
    return call.weights[0]
