"""Which tensors come from which, with or without gradient.

Autograd forgets everything that passes ``detach()`` or ``no_grad``. Lineage does not, and
so can tell a parameter whose value reaches the loss without a gradient from one that the
loss never sees.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from torch import Tensor

from unvanish.core.records import SourceLine

EXPORTS: Final = frozenset({"item", "numpy", "tolist", "array", "float", "int", "bool"})
"""Calls that hand a value to Python or numpy, where no tensor can be followed."""

IMPORTS: Final = frozenset({"tensor", "as_tensor", "from_numpy", "asarray", "scalar_tensor"})
"""Calls that make a tensor of Python or numpy numbers."""


@dataclass(slots=True)
class Call:
    """One call of a torch function: what went in, and whether the gradient came out."""

    op: str
    path: str
    source: SourceLine | None
    parents: tuple[int, ...]
    parameters: tuple[str, ...]
    cuts: bool
    signal: bool


@dataclass(slots=True)
class Lineage:
    """The calls of one forward pass and the tensors they made.

    Attributes:
        parameter_names: id of a parameter to its name.
        buffers: ids of the model's buffers.
    """

    parameter_names: Mapping[int, str]
    buffers: frozenset[int] = frozenset()
    calls: list[Call] = field(default_factory=list)
    _exported: list[int] = field(default_factory=list)
    _makers: dict[int, tuple[weakref.ref[Tensor], int]] = field(default_factory=dict)
    _inputs: dict[int, weakref.ref[Tensor]] = field(default_factory=dict)

    def add_input(self, tensor: Tensor) -> None:
        """Declare a tensor to be data: whatever is computed from it is signal."""
        self._inputs[id(tensor)] = weakref.ref(tensor)

    def maker(self, tensor: Tensor) -> int | None:
        """Return the index of the call that made a tensor, if one was seen."""
        entry = self._makers.get(id(tensor))
        return entry[1] if entry is not None and entry[0]() is tensor else None

    def _is_known(self, tensor: Tensor) -> bool:
        entry = self._inputs.get(id(tensor))
        return id(tensor) in self.buffers or (entry is not None and entry() is tensor)

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
    ) -> int:
        """Remember one call and return its index.

        Args:
            op: What was called.
            path: Module that called it.
            source: The user's line.
            inputs: Tensors that went in.
            outputs: Tensors that came out.
            signal: True where it is signal whatever its inputs are.
        """
        parents: list[int] = []
        names: list[str] = []
        carried = unknown = False
        # What torch.autograd.grad returns need not depend on the values that go in.
        for tensor in () if op == "grad" else inputs:
            signal = signal or self.is_signal(tensor)
            carried = carried or tensor.requires_grad
            made_by = self.maker(tensor)
            if made_by is not None:
                parents.append(made_by)
            elif id(tensor) in self.parameter_names:
                names.append(self.parameter_names[id(tensor)])
            elif not self._is_known(tensor):
                unknown = True
        if unknown or (op in IMPORTS and not parents and not names):
            # Made of numbers: whatever left for Python before may be among them.
            parents.extend(self._exported)
        outputs = list(outputs)
        cuts = carried and bool(outputs) and not any(t.requires_grad for t in outputs)
        index = len(self.calls)
        self.calls.append(Call(op, path, source, tuple(parents), tuple(names), cuts, signal))
        for tensor in outputs:
            self._makers[id(tensor)] = (weakref.ref(tensor), index)
        return index

    def add_export(
        self, op: str, path: str, source: SourceLine | None, inputs: Iterable[Tensor]
    ) -> None:
        """Remember that a tensor's value left for Python or numpy (``item``, ``numpy``)."""
        floats = [tensor for tensor in inputs if tensor.is_floating_point()]
        if floats:
            index = self.add_call(op, path, source, floats, (), signal=False)
            self.calls[index].cuts = any(tensor.requires_grad for tensor in floats)
            self._exported.append(index)

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
