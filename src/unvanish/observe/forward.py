"""Watch a forward pass: every torch call, its module, the user's line, its numbers.

A torch-function mode sees modules, functional calls and operators alike. After each call
the autograd nodes it left behind are found by walking back to nodes already known, so an
operation made of several nodes (attention, a recurrent layer) is seen node by node.
"""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.overrides import TorchFunctionMode

from unvanish.core.operations import (
    LAYER_FUNCTIONS,
    MATMUL_OPS,
    STEP_OPS,
    VIEW_OPS,
    Node,
    clean,
    is_leaf_node,
    op_of_node,
    shape_of,
)
from unvanish.core.places import SourceLine
from unvanish.core.stack import user_line
from unvanish.observe.data import DataUses, entry_values
from unvanish.observe.derivatives import note_derivative
from unvanish.observe.draws import is_a_draw
from unvanish.observe.failures import is_out_of_memory
from unvanish.observe.inside import read_inside
from unvanish.observe.lineage import SILENT, Lineage, writes
from unvanish.observe.opaque import is_packing, unfused
from unvanish.observe.readings import Call, NodeNote, is_wrapped, lay_out, measure
from unvanish.observe.statistics.slope import ACTIVATIONS

_log = logging.getLogger(__name__)

_QUERIES: Final = frozenset(
    "dim size numel stride storage_offset is_contiguous __set__ __len__ is_floating_point "
    "is_complex requires_grad_ data_ptr untyped_storage get_device nelement ndimension "
    "element_size is_same_size result_type _set_grad_enabled set_grad_enabled backward "
    "register_hook __hash__ __repr__ __format__ __str__ retain_grad has_names".split()
)


@dataclass(frozen=True, slots=True)
class Failure:
    """The call in flight when the forward pass raised."""

    op: str
    path: str
    source: SourceLine | None
    shapes: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class _Started:
    """What went into a call that is followed.

    Attributes:
        name: The operation.
        inputs: Tensors among its arguments.
        input_nodes: The nodes that made them.
        before: Input of an activation function, as it was.
    """

    name: str
    inputs: list[Tensor]
    input_nodes: list[Node]
    before: Tensor | None


class ForwardTape(TorchFunctionMode):
    """Record one forward pass while it is active; leaves nothing behind when it ends.

    Args:
        model: The model whose module paths name the sites.
        batch_size: Samples in the batch, for statistics over samples.
        built: Module to the line that built it, where known.
        measuring: Whether numbers and lines are read too, not only which node is which.
        counts: How many samples the data holds that stands in the network and was declared;
            empty where all data comes with the batch.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        batch_size: int,
        built: Mapping[nn.Module, SourceLine] | None = None,
        measuring: bool = True,
        counts: Set[int] = frozenset(),
    ) -> None:
        super().__init__()
        self.notes: dict[Node, NodeNote] = {}
        self.failure: Failure | None = None
        self.fault: Exception | None = None
        """What our own code raised. The user's code never sees it, and goes on unobserved."""
        self.unmeasured: list[tuple[Node, Exception]] = []
        self.backwards: dict[Node, SourceLine | None] = {}
        self.hooked: set[Node] = set()
        """Nodes whose gradient a hook of the user's sees first."""
        self._batch_size = batch_size
        self.counts = counts
        self._built = built or {}
        self._measuring = measuring
        self._paths: dict[int, str] = {id(module): path for path, module in model.named_modules()}
        self._stack: list[nn.Module] = []
        self._hooks: list[Any] = []
        names: dict[int, str] = {}
        for name, parameter in model.named_parameters():
            names.setdefault(id(parameter), name)
        self.lineage = Lineage(names, frozenset(map(id, model.buffers())))
        self.data = DataUses()

    def __enter__(self) -> ForwardTape:
        self._hooks = [
            register_module_forward_pre_hook(self._enter_module),
            register_module_forward_hook(self._leave_module, always_call=True),
        ]
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        super().__exit__(exc_type, exc_val, exc_tb)  # type: ignore[no-untyped-call]
        for hook in self._hooks:
            hook.remove()

    def _enter_module(self, module: nn.Module, args: Any) -> None:  # noqa: ARG002
        self._stack.append(module)

    def _leave_module(self, module: nn.Module, args: Any, output: Any) -> None:  # noqa: ARG002
        # A module whose pre-hook raised was never pushed; a nested one may not have popped.
        for position in range(len(self._stack) - 1, -1, -1):
            if self._stack[position] is module:
                del self._stack[position:]
                return

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        started: _Started | None = None
        if self.fault is None:
            try:
                with torch._C.DisableTorchFunction():  # other modes are for the user's calls
                    started = self._begin(func, args, kwargs)
            except Exception as error:
                self.fault = error
        if started is None:
            return func(*args, **kwargs)
        try:
            with unfused(started.name):
                output = func(*args, **kwargs)
        except Exception:
            if self.failure is None:
                shapes = tuple(tuple(t.shape) for t in started.inputs)
                line = user_line(sys._getframe(1))
                self.failure = Failure(started.name, self.current_path, line, shapes)
            raise
        try:
            with torch._C.DisableTorchFunction():
                self._end(func, args, kwargs, started, output)
        except Exception as error:
            self.fault = error
        return output

    def _begin(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> _Started | None:
        """Take note of what goes into a call; None for a call that is not followed."""
        raw_name = getattr(func, "__name__", "")
        if raw_name == "backward" and args[0].grad_fn is not None:
            self.backwards[args[0].grad_fn] = user_line(sys._getframe(1))
        if raw_name == "_set_grad_enabled":
            frame = sys._getframe(2)
            self.lineage.switch(frame, on=bool(args[0]), draws=is_a_draw(frame))
        if raw_name == "register_hook" and args[0].grad_fn is not None:
            self.hooked.add(args[0].grad_fn)
        if raw_name in _QUERIES:
            return None
        if raw_name == "__get__":
            return self._begin_property(func, args)
        name = clean(raw_name)
        inputs = list(_tensors_in(args, kwargs))
        if any(map(is_wrapped, inputs)):
            return None
        # Before the call: an in-place operation gives its input a new node.
        input_nodes = self._nodes_behind(inputs)
        if name == "hardtanh" and _clips_at_zero(args, kwargs):
            name = "relu6"  # nn.ReLU6 calls it so; its lower end is a switch, not a saturation
        before: Tensor | None = None
        if self._measuring and name in ACTIVATIONS and inputs:
            in_place = (
                raw_name.endswith("_") or kwargs.get("inplace") or any(a is True for a in args[1:])
            )
            before = inputs[0].detach().clone() if in_place else inputs[0]
        return _Started(name, inputs, input_nodes, before)

    def _begin_property(self, func: Callable[..., Any], args: tuple[Any, ...]) -> _Started | None:
        """Follow properties that hand out tensors: ``.T`` keeps the gradient, ``.data`` cuts it."""
        name = getattr(getattr(func, "__self__", None), "__name__", "property")
        if name == "grad" or not isinstance(args[0], Tensor) or is_wrapped(args[0]):
            return None
        return _Started(name, [args[0]], [], None)

    def _end(
        self,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        started: _Started,
        output: Any,
    ) -> None:
        """Take note of what came out of a call."""
        name, inputs = started.name, started.inputs
        outputs = list(_tensors_in((output,), {}))
        if name in SILENT and not outputs:
            line = user_line(sys._getframe(2))
            self.lineage.add_silent(name, self.current_path, line, inputs, output)
        if outputs:
            self._see(func, args, kwargs, started, outputs)

    @property
    def current_path(self) -> str:
        """Path of the innermost module that is running."""
        for module in reversed(self._stack):
            path = self._paths.get(id(module))
            if path is not None:
                return path
        return ""

    def _see(
        self,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        started: _Started,
        outputs: list[Tensor],
    ) -> None:
        name, inputs = started.name, started.inputs
        path = self.current_path
        source = user_line(sys._getframe(3)) if self._measuring else None
        signal = name in LAYER_FUNCTIONS or not inputs
        # Before the call is noted: an in-place operation becomes the maker of its input.
        pieces = [
            piece
            for tensor in (inputs if self._measuring else ())
            if tensor.grad_fn is None and (piece := self.lineage.piece_of_data(tensor)) is not None
        ]
        entering = self._entering(name, inputs) if pieces and name in MATMUL_OPS else None
        self.lineage.add_call(
            name,
            path,
            source,
            inputs,
            outputs,
            signal=signal,
            arguments=(*args, *kwargs.values()),
            writes=writes(func),
        )
        if name == "grad":
            note_derivative(self.lineage, args, kwargs)
        from_weights = not self.lineage.calls[-1].signal
        fresh = [
            note
            for tensor in outputs
            if tensor.grad_fn is not None
            for note in self.discover(tensor.grad_fn)
        ]
        main = _main_note(fresh) if fresh else None
        if self._measuring:
            self.data.see(name, inputs, outputs, main.node if main is not None else None)
        if main is None:
            return
        module = self._stack[-1] if self._stack else None
        built = self._built.get(module) if module is not None else None
        for note in fresh:
            note.path, note.source, note.built = path, source or built, built
            note.module = type(module).__name__ if module is not None else ""
            note.function = name
            note.from_weights = note.from_weights or from_weights
        steps = sum(note.op not in VIEW_OPS and not note.from_weights for note in fresh)
        if steps <= 1 or name in ACTIVATIONS:
            main.op = name or main.op
        main.data = tuple(pieces)
        if not from_weights and outputs[0].grad_fn is not None:
            given = inputs[0] if inputs else None
            call = Call(func, name, args[1:], kwargs, started.before, outputs[0], given)
            behind = [self.notes[n] for n in started.input_nodes if n in self.notes]
            # A recurrent layer's steps are smaller than its output: measure where it leaves.
            same_size = math.prod(shape_of(main.node)) == outputs[0].numel()
            target = main if same_size else self.notes[outputs[0].grad_fn]
            if not self._measuring:
                lay_out(target, call, behind)
                return
            try:
                if entering is not None:
                    _entry_note(fresh, main).values.update(entry_values(name, entering))
                samples = self._samples_in(outputs[0])
                measure(target, call, behind, samples)
                read_inside(fresh, call, outputs, behind, samples)
            except Exception as error:  # the rest of the network can be judged all the same
                if is_out_of_memory(error):
                    raise
                _log.debug("%s in %s was not measured", name, path, exc_info=True)
                self.unmeasured.append((main.node, error))

    def _samples_in(self, tensor: Tensor) -> int:
        """Return how many samples an activation holds: of the batch, or of data that stands."""
        return next((n for n in tensor.shape[:2] if n in self.counts), self._batch_size)

    def _entering(self, name: str, inputs: list[Tensor]) -> Tensor | None:
        """Return the data that a layer is given, where it is given data and a weight."""
        multiplied = inputs[:3] if name == "multi_head_attention_forward" else inputs  # no mask
        weights = [
            t
            for t in inputs
            if id(t) in self.lineage.parameter_names
            or (t.grad_fn in self.notes and self.notes[t.grad_fn].from_weights)
        ]
        data = (
            t
            for t in multiplied
            if t.is_floating_point()
            and t.grad_fn is None
            and self.lineage.piece_of_data(t) is not None
            and not self.lineage.is_learned(t)
        )
        return next(data, None) if weights else None

    def _nodes_behind(self, inputs: list[Tensor]) -> list[Node]:
        """Return the nodes that made some tensors.

        Nodes no call was seen for (custom autograd functions) are placed one module further
        out than the call that uses them.
        """
        nodes = [t.grad_fn for t in inputs if t.grad_fn is not None]
        outer = self._stack[-2] if len(self._stack) > 1 else None
        for note in (n for node in nodes if node not in self.notes for n in self.discover(node)):
            note.path = self._paths.get(id(outer), "") if outer is not None else ""
            note.module = type(outer).__name__ if outer is not None else ""
            note.function = note.op
        return nodes

    def discover(self, root: Node) -> list[NodeNote]:
        """Take note of every node behind `root` that is not known yet, producers first."""
        fresh: list[NodeNote] = []
        stack: list[tuple[Node, bool]] = [(root, False)]
        while stack:
            node, expanded = stack.pop()
            if node in self.notes or is_leaf_node(node):
                continue
            behind = [n for n, _ in node.next_functions if n is not None]
            if not expanded:
                stack.append((node, True))
                stack.extend((n, False) for n in behind)
                continue
            note = NodeNote(node, _op_of(node), packed=is_packing())
            note.from_weights = (
                bool(behind)
                and note.op in VIEW_OPS
                and all(is_leaf_node(n) or self.notes[n].from_weights for n in behind)
            )
            self.notes[node] = note
            fresh.append(note)
        return fresh


def _op_of(node: Node) -> str:
    """Return a node's operation; a function of the user's own is no step for being called Sign."""
    op = op_of_node(node.name())
    if op in STEP_OPS and isinstance(node, torch.autograd.function.BackwardCFunction):
        return f"{type(node).__name__.removesuffix('Backward')}.apply"
    return op


def _clips_at_zero(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    low = kwargs.get("min_val", args[1] if len(args) > 1 else -1.0)
    return isinstance(low, (int, float)) and low >= 0


def _tensors_in(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Iterator[Tensor]:
    for value in (*args, *kwargs.values()):
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (tuple, list)):
            for item in value:
                if isinstance(item, Tensor):
                    yield item


def _main_note(fresh: list[NodeNote]) -> NodeNote:
    """Of the nodes one call left behind, return the one that stands for the call."""
    for note in reversed(fresh):
        if note.op in MATMUL_OPS:
            return note
    for note in reversed(fresh):
        if note.op not in VIEW_OPS and not note.from_weights:
            return note
    return fresh[-1]


def _entry_note(fresh: list[NodeNote], main: NodeNote) -> NodeNote:
    """Of the nodes one call left behind, return the one that multiplies what went in."""
    return next((n for n in fresh if n.op in MATMUL_OPS and not n.from_weights), main)
