"""Which tensors come from which, with or without gradient.

Autograd forgets everything that passes ``detach()`` or ``no_grad``. Lineage does not, and
so can tell a parameter whose value reaches the loss without a gradient from one that the
loss never sees.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from types import FrameType
from typing import Any, Final

import torch
from torch import Tensor, nn

from unvanish.core.places import SourceLine
from unvanish.core.stack import nearest_line
from unvanish.observe.opaque import in_starved_checkpoint

EXPORTS: Final = frozenset({"item", "numpy", "tolist", "array", "float", "int", "bool"})
"""Calls that hand a value to Python or numpy, where no tensor can be followed."""

SILENT: Final = EXPORTS | {"setitem"}
"""Calls that matter although no tensor comes out of them."""

_IN_PLACE_OPERATORS: Final = frozenset(
    f"__i{op}__" for op in "add sub mul truediv floordiv mod pow and or xor".split()
)

IMPORTS: Final = frozenset({"tensor", "as_tensor", "from_numpy", "asarray", "scalar_tensor"})
"""Calls that make a tensor of Python or numpy numbers."""


_FUNCTION_APPLY: Final = frozenset({torch.autograd.Function.apply.__code__})
"""The frame in which a `torch.autograd.Function` runs its forward pass, without gradient."""

_PLACE_BITS: Final = 40

_SHAPES: Final = frozenset(
    "zeros_like ones_like empty_like full_like rand_like randn_like randint_like "
    "new_zeros new_ones new_empty new_full new_tensor".split()
)
"""Calls that take the shape or the type of their first input, and not its values."""

_LIKE: Final = frozenset({"view_as", "reshape_as", "expand_as", "type_as"})
"""Calls that take no more than that of their second input."""


@dataclass(slots=True)
class Call:
    """One call of a torch function: what went in, and whether the gradient came out.

    Attributes:
        op: What was called.
        path: Module that called it.
        source: The user's line.
        parents: Indices of the calls that made its inputs.
        parameters: Names of the parameters among its inputs.
        cuts: Whether a gradient could have come from its inputs and does not.
        signal: Whether it was computed from the input data.
        carries: Whether a gradient comes out of it.
        under: What switched the recording of gradients off: ``"no_grad"``, ``"checkpoint"``,
            or empty; ``"sample"`` within a draw, whether it cuts or not.
        hidden: Whether it wrote into a tensor that carries a gradient, without autograd
            taking note: ``h.data.mul_(2)``.
        package: Installed package whose own line cuts here; empty where the user's does.
        within: That line of the package.
        learned: Whether its value, or one that it was computed from, carries a gradient: what
            a network answered stays its answer behind a ``detach()``.
        pieces: Which pieces of data went in, see `Lineage.piece_of_data`.
        bridged: Whether a gradient leads back past it although it carries none: it ran inside a
            function of the user's that has a backward pass of its own.
        derives: For `torch.autograd.grad`, indices of the calls that made what it differentiated.
        lost: Whether that was without ``create_graph``, and not by weights: no gradient leads
            back from the derivative. ``under`` is the function of `torch.autograd.functional`
            then that asked for it.
        standing: ids of the tensors among its inputs that stood ready before the forward pass
            and may be data although they did not come with the batch, see `may_stand`.
        shape: Shape of the first tensor that came out.
        buffers: ids of the model's buffers among its inputs.
    """

    op: str
    path: str
    source: SourceLine | None
    parents: tuple[int, ...]
    parameters: tuple[str, ...]
    cuts: bool
    signal: bool
    carries: bool = False
    under: str = ""
    hidden: bool = False
    package: str = ""
    within: SourceLine | None = None
    learned: bool = False
    pieces: tuple[int, ...] = ()
    bridged: bool = False
    derives: tuple[int, ...] = ()
    lost: bool = False
    standing: tuple[int, ...] = ()
    shape: tuple[int, ...] = ()
    buffers: tuple[int, ...] = ()


@dataclass(slots=True)
class Lineage:
    """The calls of one forward pass and the tensors they made.

    Attributes:
        parameter_names: id of a parameter to its name.
        buffers: ids of the model's buffers.
        targets: The pieces of data that are the target, see `piece_of_data`.
        standing: id of every tensor in some call's `Call.standing` to that tensor.
    """

    parameter_names: Mapping[int, str]
    buffers: frozenset[int] = frozenset()
    targets: set[int] = field(default_factory=set)
    standing: dict[int, weakref.ref[Tensor]] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    _exported: list[int] = field(default_factory=list)
    _exported_numbers: dict[float, int] = field(default_factory=dict)
    _storages: dict[int, int] = field(default_factory=dict)
    _writes: dict[int, int] = field(default_factory=dict)
    _makers: dict[int, tuple[weakref.ref[Tensor], int]] = field(default_factory=dict)
    _inputs: dict[int, weakref.ref[Tensor]] = field(default_factory=dict)
    _from_data: set[int] = field(default_factory=set)
    _carrying: dict[int, weakref.ref[Tensor]] = field(default_factory=dict)
    _of_parameters: set[int] = field(default_factory=set)
    _switched_off_in: str = ""
    _draws: bool = False
    _drew: bool = False

    def switch(self, frame: FrameType, *, on: bool, draws: bool = False) -> None:
        """Take note of who switches the recording of gradients off.

        Args:
            frame: Where it is switched.
            on: What it is switched to.
            draws: Whether a distribution switches it off to draw.
        """
        if on:
            self._drew, self._draws = self._draws, False
        # Leaving torch.enable_grad() goes back to what somebody else switched off.
        leaves = frame.f_code.co_name == "__exit__" or (
            frame.f_back is not None and frame.f_back.f_code.co_name == "__exit__"
        )
        if on or not torch.is_grad_enabled():
            return
        if leaves:
            self._draws = self._drew
            return
        found = nearest_line(frame)
        self._switched_off_in = found[1] if found is not None else ""
        self._draws = draws

    def add_input(self, tensor: Tensor) -> None:
        """Declare a tensor to be data: whatever is computed from it is signal."""
        self._inputs[id(tensor)] = weakref.ref(tensor)

    def maker(self, tensor: Tensor) -> int | None:
        """Return the index of the call that a tensor's value comes from, if one was seen.

        That is the call that made it, or a later one that wrote into its memory.
        """
        entry = self._makers.get(id(tensor))
        made_by = entry[1] if entry is not None and entry[0]() is tensor else None
        if not self._writes or id(tensor) in self.parameter_names:
            return made_by
        written_by = self._writes.get(storage_of(tensor), -1)
        return written_by if written_by > (-1 if made_by is None else made_by) else made_by

    def piece_of_data(self, tensor: Tensor) -> int | None:
        """Return which piece of the input data a tensor is.

        Returns:
            A number for the call that computed it from the data and for its place in memory,
            a negative one for an input itself, and None for what holds no data: constants,
            noise, parameters.
        """
        made_by = self.maker(tensor)
        if made_by is not None:
            if made_by not in self._from_data:
                return None
            # One call may hand out several pieces: x.unbind(1).
            offset = int(tensor.storage_offset()) if tensor.layout is torch.strided else 0
            return made_by << _PLACE_BITS | int(offset)
        entry = self._inputs.get(id(tensor))
        return -1 - id(tensor) if entry is not None and entry() is tensor else None

    def is_learned(self, tensor: Tensor) -> bool:
        """Tell whether a tensor was computed from values that carried a gradient."""
        made_by = self.maker(tensor)
        return made_by is not None and self.calls[made_by].learned

    def _wrapper(self, tensor: Tensor, path: str, source: SourceLine | None) -> int | None:
        """Note the call that made a new tensor of known memory, and was not seen itself.

        ``nn.Parameter(tensor)`` and ``Variable(tensor)`` are such calls.
        """
        behind = self._storages.get(storage_of(tensor))
        if behind is None or tensor.grad_fn is not None:
            return None
        call = self.calls[behind]
        index = len(self.calls)
        kind = type(tensor).__name__ if type(tensor) is not Tensor else "Variable"
        self.calls.append(Call(kind, path, source, (behind,), (), call.carries, call.signal))
        self._makers[id(tensor)] = (weakref.ref(tensor), index)
        return index

    def _is_known(self, tensor: Tensor) -> bool:
        entry = self._inputs.get(id(tensor))
        return id(tensor) in self.buffers or (entry is not None and entry() is tensor)

    def _stands(self, tensor: Tensor) -> bool:
        entry = self._inputs.get(id(tensor))
        return may_stand(tensor) and not (entry is not None and entry() is tensor)

    def is_stranger(self, tensor: Tensor) -> bool:
        """Tell whether a tensor is no parameter, buffer or input, and came from no call."""
        named = id(tensor) in self.parameter_names
        return not named and not self._is_known(tensor) and self.maker(tensor) is None

    def is_signal(self, tensor: Tensor) -> bool:
        """Tell whether a tensor was computed from the input data."""
        made_by = self.maker(tensor)
        if made_by is not None:
            return self.calls[made_by].signal
        entry = self._inputs.get(id(tensor))
        return entry is not None and entry() is tensor

    def add_call(
        self,
        op: str,
        path: str,
        source: SourceLine | None,
        inputs: Iterable[Tensor],
        outputs: Iterable[Tensor],
        *,
        signal: bool,
        arguments: Iterable[Any] = (),
        writes: bool = False,
    ) -> int:
        """Remember one call and return its index.

        Args:
            op: What was called.
            path: Module that called it.
            source: The user's line.
            inputs: Tensors that went in.
            outputs: Tensors that came out.
            signal: True where it is signal whatever its inputs are.
            arguments: Everything that went in, for the numbers among it.
            writes: Whether the call wrote into its first input.
        """
        inputs = list(inputs)
        parents: list[int] = []
        names: list[str] = []
        pieces: list[int] = []
        standing: list[int] = []
        carried = unknown = False
        # What torch.autograd.grad returns need not depend on the values that go in.
        for position, tensor in enumerate(() if op == "grad" else inputs):
            signal = signal or self.is_signal(tensor)
            if (op in _SHAPES and position == 0) or (op in _LIKE and position):
                continue
            carried = carried or tensor.requires_grad
            if (piece := self.piece_of_data(tensor)) is not None:
                pieces.append(piece)
            made_by = self.maker(tensor)
            if made_by is None and id(tensor) in self.parameter_names:
                names.append(self.parameter_names[id(tensor)])
                self._of_parameters.add(storage_of(tensor))
                continue
            if made_by is None and not self._is_known(tensor):
                made_by = self._wrapper(tensor, path, source)
                unknown = unknown or made_by is None
                signal = signal or self.is_signal(tensor)
            if made_by is None and self._stands(tensor):
                self.standing[id(tensor)] = weakref.ref(tensor)
                standing.append(id(tensor))
            if made_by is not None:
                parents.append(made_by)
                maker = self.calls[made_by]
                maker.bridged |= tensor.requires_grad and not (maker.carries or maker.cuts)
        if self._exported_numbers:
            numbers = (a for a in arguments if type(a) is float)
            parents.extend(
                self._exported_numbers[n] for n in numbers if n in self._exported_numbers
            )
        if unknown or (op in IMPORTS and not parents and not names):
            # Made of numbers: whatever left for Python before may be among them.
            parents.extend(self._exported)
        outputs = list(outputs)
        carries = any(t.requires_grad for t in outputs)
        cuts = carried and bool(outputs) and not carries
        if carried and carries and torch.is_grad_enabled():
            # Indices, beside the values that were chosen: x.topk(k), x.max(dim).
            choice = [t for t in outputs if not t.requires_grad]
            outputs = [t for t in outputs if t.requires_grad]
            if choice:
                made = Call(op, path, source, tuple(parents), tuple(names), True, signal)
                made.pieces, made.standing = tuple(pieces), tuple(standing)
                self._note(made, choice)
        hidden = writes and bool(inputs) and self._is_hidden(inputs[0])
        under = "sample" if self._draws and not torch.is_grad_enabled() else ""
        if (cuts or hidden) and not under and not torch.is_grad_enabled():
            under = _switched_off_by()
        if under == "function":
            cuts = hidden = False  # a function of the user's has a backward pass of its own
        call = Call(
            op, path, source, tuple(parents), tuple(names), cuts, signal, carries, under, hidden
        )
        call.pieces, call.standing = tuple(pieces), tuple(standing)
        if self.buffers:
            call.buffers = tuple(id(one) for one in inputs if id(one) in self.buffers)
        index = self._note(call, outputs)
        self._note_carriers(inputs, outputs)
        if writes and inputs:
            self._storages[storage_of(inputs[0])] = index
            self._writes[storage_of(inputs[0])] = index
        self._storages.pop(0, None)
        self._writes.pop(0, None)
        return index

    def _note(self, call: Call, outputs: Iterable[Tensor]) -> int:
        """Keep a call and what it made, and find out whose it is where it cuts."""
        index = len(self.calls)
        self.calls.append(call)
        outputs = list(outputs)
        call.shape = tuple(outputs[0].shape) if outputs else ()
        call.learned = call.carries or any(self.calls[parent].learned for parent in call.parents)
        if call.pieces:
            self._from_data.add(index)
        if call.cuts:
            self._find_author(call)
        for tensor in outputs:
            self._makers[id(tensor)] = (weakref.ref(tensor), index)
            self._storages[storage_of(tensor)] = index
        return index

    def _find_author(self, call: Call) -> None:
        """Note the installed package whose line a cut is, and that line.

        Where the recording was switched off, the line that switched it counts: all that a
        library computes under a ``no_grad`` of the user's is cut by the user. So is what a
        checkpoint leaves without a gradient.
        """
        if call.under == "checkpoint":
            return
        found = nearest_line(sys._getframe(1))
        if found is None:
            return
        line, package = found
        if call.under in ("no_grad", "sample"):
            package = "" if torch.is_inference_mode_enabled() else self._switched_off_in
        if package:
            call.within, call.package = line, package

    def _is_hidden(self, tensor: Tensor) -> bool:
        """Tell whether a write into a tensor changes one with a gradient unseen by autograd."""
        storage = storage_of(tensor)
        carrier = self._carrying.get(storage)
        if carrier is None or carrier() is None or storage in self._of_parameters:
            return False
        return not (tensor.requires_grad and torch.is_grad_enabled())

    def _note_carriers(self, inputs: Iterable[Tensor], outputs: Iterable[Tensor]) -> None:
        """Remember whose memory holds a value with a gradient; new memory holds none."""
        old = {storage_of(tensor) for tensor in inputs}
        for tensor in outputs:
            storage = storage_of(tensor)
            if not storage:
                continue
            if tensor.grad_fn is not None:
                self._carrying[storage] = weakref.ref(tensor)
            elif storage not in old:
                self._carrying.pop(storage, None)

    def add_silent(
        self,
        op: str,
        path: str,
        source: SourceLine | None,
        inputs: Iterable[Tensor],
        output: Any,
    ) -> None:
        """Remember a call that no tensor comes out of.

        It wrote into a tensor (``t[i] = x``), or handed a value to Python or numpy
        (``item``, ``numpy``).

        Args:
            op: One of `SILENT`.
            path: Module that called it.
            source: The user's line.
            inputs: Tensors that went in.
            output: What came out.
        """
        if op == "setitem":
            self.add_call(op, path, source, inputs, (), signal=False, writes=True)
            return
        floats = [tensor for tensor in inputs if tensor.is_floating_point()]
        if floats:
            index = self.add_call(op, path, source, floats, (), signal=False)
            if any(tensor.requires_grad for tensor in floats):
                self.calls[index].cuts = True
                self._find_author(self.calls[index])
            self._exported.append(index)
            self._exported_numbers.update((n, index) for n in islice(_floats_in(output), 10_000))

    def upstream(self, start: Iterable[int]) -> set[int]:
        """Return the given calls and every call their values come from."""
        seen: set[int] = set()
        stack = list(start)
        while stack:
            call = stack.pop()
            if call not in seen:
                seen.add(call)
                stack.extend(self.calls[call].parents)
        return seen


def _switched_off_by() -> str:
    """Say what switched the recording of gradients off, from the calls that are running."""
    if in_starved_checkpoint():
        return "checkpoint"
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code in _FUNCTION_APPLY:
            return "function"
        frame = frame.f_back
    return "no_grad"


def may_stand(tensor: Tensor) -> bool:
    """Tell whether a tensor may be data that stands in a network: a table of real numbers."""
    if isinstance(tensor, nn.Parameter) or tensor.requires_grad:
        return False
    return tensor.is_floating_point() and tensor.ndim > 1


def maker_of_piece(piece: int) -> int | None:
    """Return the index of the call that computed a piece of data; None for an input itself.

    Args:
        piece: As `Lineage.piece_of_data` returns it.
    """
    return piece >> _PLACE_BITS if piece >= 0 else None


def storage_of(tensor: Tensor) -> int:
    """Return the address of a tensor's memory; 0 where it has none of its own."""
    if tensor.layout is not torch.strided:
        return 0
    try:
        return tensor.untyped_storage().data_ptr()
    except (NotImplementedError, RuntimeError):
        return 0


def writes(function: Any) -> bool:
    """Tell whether a torch function works in place: ``add_``, ``+=``, ``copy_``."""
    name: str = getattr(function, "__name__", "")
    if name.endswith("__"):
        return name in _IN_PLACE_OPERATORS
    return name.endswith("_") and name not in ("requires_grad_", "detach_")


def _floats_in(value: Any) -> Iterator[float]:
    if type(value) is float:
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _floats_in(item)
