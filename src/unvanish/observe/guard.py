"""Put everything back as it was: the observer's oath, kept by snapshot and restore."""

from __future__ import annotations

import copy
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

_CONTAINERS = (dict, list, set)


@dataclass(frozen=True, slots=True)
class _Kept:
    """One tensor as it was: an alias of its storage in its shape, a copy, its flags."""

    tensor: Tensor
    data: Tensor
    values: Tensor
    version: int | None
    requires_grad: bool
    grad: Tensor | None


class ModelSnapshot:
    """The complete state of a model, for an exact return to it.

    Parameters and buffers are copied; every module's own attributes, and the dicts,
    lists and sets directly among them (hooks, caches, counters), are copied one level
    deep; plain tensor attributes are copied by value. Every ``.grad`` is taken off until the
    end, so that a backward pass inside of a backward pass has none to add to.

    Args:
        model: The model to keep.
    """

    def __init__(self, model: nn.Module) -> None:
        self._tensors: list[_Kept] = []
        self._generators: list[tuple[torch.Generator, Tensor]] = []
        self._modules: list[tuple[nn.Module, dict[str, Any], dict[str, Any]]] = []
        seen: set[int] = set()
        for module in model.modules():
            state = dict(module.__dict__)
            inner = {k: copy.copy(v) for k, v in state.items() if isinstance(v, _CONTAINERS)}
            self._modules.append((module, state, inner))
            for value in (
                *module._parameters.values(),
                *module._buffers.values(),
                *state.values(),
            ):
                if isinstance(value, torch.Generator):
                    self._generators.append((value, value.get_state()))
                if isinstance(value, Tensor) and id(value) not in seen and _has_storage(value):
                    seen.add(id(value))
                    self._keep(value)
        for kept in self._tensors:
            if kept.grad is not None:
                kept.tensor.grad = None

    def _keep(self, tensor: Tensor) -> None:
        data = tensor.data
        version = None if tensor.is_inference() else tensor._version
        grad = tensor.grad if tensor.is_leaf else None
        kept = _Kept(tensor, data, data.clone(), version, tensor.requires_grad, grad)
        self._tensors.append(kept)

    @property
    def values(self) -> dict[int, Tensor]:
        """The kept copy of every tensor, by the tensor's id."""
        return {id(kept.tensor): kept.values for kept in self._tensors}

    def restore(self, *, at_the_end: bool = False) -> None:
        """Put back every attribute, container, buffer, parameter and flag.

        Args:
            at_the_end: Put back every ``.grad`` and the version counters too. A graph of one
                of the looks can then no longer be walked, and one that the user keeps still
                can.
        """
        for module, state, inner in self._modules:
            own = module.__dict__
            for key, saved in inner.items():
                _restore_container(state[key], saved)
            if own.keys() != state.keys() or any(own[k] is not v for k, v in state.items()):
                own.clear()
                own.update(state)
        for generator, generator_state in self._generators:
            generator.set_state(generator_state)
        with torch.no_grad():
            for kept in self._tensors:
                _restore_tensor(kept, kept.grad if at_the_end else None)
                if at_the_end and kept.version is not None and kept.version != kept.tensor._version:
                    torch._C._autograd._unsafe_set_version_counter((kept.tensor,), (kept.version,))


def _restore_tensor(kept: _Kept, grad: Tensor | None) -> None:
    tensor, data = kept.tensor, kept.data
    if tensor.data_ptr() != data.data_ptr() or not _same_layout(tensor, data):
        tensor.data = data
    if not _same_bits(data, kept.values):
        data.copy_(kept.values)
    if tensor.is_leaf:
        if tensor.requires_grad != kept.requires_grad:
            tensor.requires_grad_(kept.requires_grad)
        if tensor.grad is not grad:
            tensor.grad = grad


def is_lazy(tensor: Tensor) -> bool:
    """Tell whether a lazy module's parameter or buffer still waits for its first input."""
    return isinstance(
        tensor, (nn.parameter.UninitializedParameter, nn.parameter.UninitializedBuffer)
    )


def _has_storage(tensor: Tensor) -> bool:
    return tensor.layout is torch.strided and tensor.device.type != "meta" and not is_lazy(tensor)


def _same_layout(a: Tensor, b: Tensor) -> bool:
    return (a.dtype, a.shape, a.stride()) == (b.dtype, b.shape, b.stride())


def _same_bits(a: Tensor, b: Tensor) -> bool:
    if a.is_floating_point() or a.is_complex():
        # Equal numbers may differ in bits (0.0 and -0.0), and equal bits in number (NaN).
        a, b = _bytes(a), _bytes(b)
    return bool(torch.equal(a, b))


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.detach().resolve_conj().resolve_neg().contiguous().view(-1).view(torch.uint8)


def _restore_container(container: Any, saved: Any) -> None:
    if isinstance(container, list):
        container[:] = saved
    else:
        container.clear()
        container.update(saved)


@contextmanager
def untouched(model: nn.Module, *, seed: int) -> Iterator[ModelSnapshot]:
    """Run a block with its own random numbers and leave model and generators as found.

    Args:
        model: The model that must come out bit-identical.
        seed: Seed of python's, numpy's and torch's generators inside the block.

    Yields:
        The snapshot, to return to the beginning between two looks.
    """
    snapshot = ModelSnapshot(model)
    python_state = random.getstate()
    numpy = sys.modules.get("numpy")
    numpy_state = numpy.random.get_state() if numpy is not None else None
    cuda = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    grad_enabled = torch.is_grad_enabled()
    try:
        with torch.random.fork_rng(devices=cuda):
            seed_everything(seed)
            yield snapshot
    finally:
        torch.set_grad_enabled(grad_enabled)
        random.setstate(python_state)
        if numpy is not None:
            numpy.random.set_state(numpy_state)
        snapshot.restore(at_the_end=True)


def seed_everything(seed: int) -> None:
    """Seed python, torch (all devices) and, where it is loaded, numpy."""
    random.seed(seed)
    torch.manual_seed(seed)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(seed % 2**32)
