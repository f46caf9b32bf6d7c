"""Reads a run into plain numbers, for the published rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from benchmarks.peers.record import Activation, Gradient, Parameter, Record, Step
from benchmarks.peers.training import Watcher, watch

ACTIVATIONS: Final = frozenset(
    "celu elu gelu hardsigmoid hardswish hardtanh leaky_relu logsigmoid mish prelu relu relu6 "
    "rrelu selu sigmoid silu softplus softsign tanh".split()
)
INSIDE: Final = {"tanh": (-9.4999, 9.4999), "sigmoid": (-23.0, 16.99999)}
"""SageMaker Debugger's bounds of the input, where the slope is about 1e-7."""
RANGE: Final = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0)}
BINS: Final = 50
TINY: Final = 1e-5


def record(name: str, seed: int) -> Record:
    """Train a patient and return what the published rules read of it."""
    recorder = Recorder()
    watch(name, seed, recorder)
    return Record(tuple(recorder.steps))


class Recorder(Watcher):
    """Writes down every step."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def begin(self) -> None:
        """Listen to the network's calls of activation functions."""
        self._model = self.trial.model
        self._calls: list[Activation] = []
        self._mode: _Listener | None = None
        self._handles = [
            self._model.register_forward_pre_hook(self._listen),
            self._model.register_forward_hook(self._stop, always_call=True),
        ]

    def _listen(self, *_: object) -> None:
        self._mode = _Listener(self._calls)
        self._mode.__enter__()

    def _stop(self, *_: object) -> None:
        if self._mode is not None:
            self._mode.__exit__(None, None, None)
            self._mode = None

    def after_backward(self) -> None:
        """Write down values and gradients, and keep the values for after the update."""
        self._before = {
            name: parameter.detach().clone()
            for name, parameter in self._model.named_parameters()
            if parameter.requires_grad
        }
        self._now = {
            name: _parameter(self._model, name, parameter)
            for name, parameter in self._model.named_parameters()
            if parameter.requires_grad
        }

    def after_update(self, loss: float) -> None:
        """Write down what the update added, and close the step."""
        for name, parameter in self._model.named_parameters():
            if name in self._before:
                change = _values(parameter.detach() - self._before[name])
                self._now[name] = replace(
                    self._now[name],
                    change_mean_abs=float(change.abs().mean()),
                    change_norm=float(change.norm()),
                )
        self.steps.append(
            Step(
                loss=loss,
                parameters=tuple(self._now.values()),
                activations=tuple(self._calls),
            )
        )
        self._calls.clear()

    def close(self) -> None:
        """Stop listening."""
        self._stop()
        for handle in self._handles:
            handle.remove()


class _Listener(TorchFunctionMode):
    """Sees every activation function, whether a module or the code of `forward` calls it."""

    def __init__(self, calls: list[Activation]) -> None:
        super().__init__()
        self._calls = calls

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call the function, and write down what went in and came out."""
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "").rstrip("_")
        given = args[0] if args else kwargs.get("input")
        if name not in ACTIVATIONS or not isinstance(given, Tensor):
            return func(*args, **kwargs)
        before = given.detach().clone()  # the call may work in place
        result = func(*args, **kwargs)
        if before.numel() and before.ndim:
            self._calls.append(activation(name, before, result.detach()))
        return result


def activation(name: str, given: Tensor, result: Tensor) -> Activation:
    """Read one call of an activation function.

    Args:
        name: Name of the function.
        given: Its input, of at least one dimension.
        result: Its output.
    """
    x, y = _by_unit(given), _by_unit(result)
    if not (bool(x.isfinite().all()) and bool(y.isfinite().all())):
        return Activation(function=name, is_finite=False)
    inside = bounded = 0.0
    if name in INSIDE:
        low, high = INSIDE[name]
        inside = _share(((x > low) & (x < high)).double().mean(dim=0) < 0.01)
        bounded = _share(_saturation(y, *RANGE[name]) > 0.85)
    return Activation(
        function=name,
        input_variance=float(x.var(correction=0)),
        output_std=float(y.std(correction=0)),
        rarely_positive_share=_share((y > 0).double().mean(dim=0) < 0.01),
        rarely_inside_share=inside,
        always_tiny_share=_share((y.abs() < TINY).double().mean(dim=0) >= 0.95),
        bounded_share=bounded,
    )


def _by_unit(tensor: Tensor) -> Tensor:
    """Return one row a case and one column a unit."""
    if tensor.ndim == 1:
        tensor = tensor[:, None]
    if tensor.ndim >= 4:
        tensor = tensor.movedim(1, -1)
    return tensor.double().reshape(-1, tensor.shape[-1])


def _share(which: Tensor) -> float:
    return float(which.double().mean())


def _saturation(y: Tensor, low: float, high: float) -> Tensor:
    """Return how far a histogram of each unit's outputs sits at the ends of its range.

    The mean distance from the middle of the range, 0 to 1, over the bins' means.
    """
    bins = ((y - low) / (high - low) * BINS).long().clamp(0, BINS - 1)
    empty = torch.zeros(BINS, y.shape[1], dtype=y.dtype)
    counts = empty.scatter_add(0, bins, torch.ones_like(y))
    sums = empty.scatter_add(0, bins, y)
    return (2 * (sums - low * counts) / (high - low) - counts).abs().sum(dim=0) / len(y)


def _parameter(model: nn.Module, name: str, parameter: nn.Parameter) -> Parameter:
    owner = model.get_submodule(name.rpartition(".")[0])
    values = _values(parameter)
    sizes = values.abs()
    return Parameter(
        name=name,
        kind=_kind(name, parameter, owner),
        layer=type(owner).__name__,
        shape=tuple(parameter.shape),
        mean_abs=float(sizes.mean()),
        norm=float(values.norm()),
        variance=float(values.var(correction=0)),
        zero_share=_share(values == 0),
        tiny_share=_share(sizes < TINY),
        negative_share=_share(values < 0),
        is_finite=bool(values.isfinite().all()),
        gradient=None if parameter.grad is None else _gradient(parameter.grad),
    )


def _kind(name: str, parameter: Tensor, owner: nn.Module) -> str:
    if isinstance(owner, (nn.Embedding, nn.EmbeddingBag)):
        return "embedding"
    if "bias" in name.rpartition(".")[2]:
        return "bias"
    return "weight" if parameter.ndim >= 2 else "vector"


def _gradient(grad: Tensor) -> Gradient:
    values = _values(grad)
    low, high = np.percentile(values.numpy(), [5, 95])
    return Gradient(
        mean_abs=float(values.abs().mean()),
        norm=float(values.norm()),
        zero_share=_share(values == 0),
        spread=float(high - low),
        is_finite=bool(values.isfinite().all()),
    )


def _values(tensor: Tensor) -> Tensor:
    """Return all entries as real numbers in one dimension."""
    dense = tensor.detach().to_dense() if tensor.layout is not torch.strided else tensor.detach()
    real = torch.view_as_real(dense) if dense.is_complex() else dense
    return real.double().flatten()
