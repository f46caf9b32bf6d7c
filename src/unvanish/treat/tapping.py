"""Meeting the layers of a network while a batch runs through it, at the functions they call.

A layer is known by the memory of its weight, so that modules, ``x @ W`` and functions are met
alike. What a layer is given there, the layers behind it see in the same pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from unvanish.core.operations import clean
from unvanish.treat.anatomy import Layer

LINEAR: Final = frozenset(
    "linear matmul mm addmm conv1d conv2d conv3d conv_transpose1d conv_transpose2d "
    "conv_transpose3d".split()
)
"""Functions of one signal that are proportional to a weight, and whose units have one axis."""


@dataclass(frozen=True, slots=True)
class Reached:
    """A layer that the batch has come to.

    Attributes:
        layer: The layer.
        signal: What goes in.
        output: What comes out, before the bias.
        bias: Its bias; None where it has none.
        unit_axis: Axis of the output that counts units.
        again: The same call with another signal.
        begins: Where slopes are asked for: the outputs of the layers before, of which the output
            is computed here; the signal itself where there is none.
    """

    layer: Layer
    signal: Tensor
    output: Tensor
    bias: Tensor | None
    unit_axis: int
    again: Callable[[Tensor], Tensor]
    begins: tuple[Tensor, ...] = ()

    def over_units(self, values: Tensor) -> Tensor:
        """Return one value a unit in a shape that can be added to the output."""
        shape = [1] * self.output.ndim
        shape[self.unit_axis] = -1
        return values.reshape(shape)

    def unit_means(self) -> Tensor:
        """Return each unit's average over samples and positions."""
        return self.output.detach().movedim(self.unit_axis, 0).flatten(1).mean(1)

    @property
    def seen(self) -> int:
        """Values of one unit: samples, times positions."""
        return self.output.numel() // max(1, int(self.output.shape[self.unit_axis]))


@dataclass(frozen=True, slots=True)
class Fit:
    """What to do with a layer that the batch has come to.

    Attributes:
        factor: Of its weight.
        bias: Its new bias; None to leave it.
        bias_name: Name of a bias that the layer was given since the anatomy was read.
    """

    factor: float = 1.0
    bias: Tensor | None = None
    bias_name: str = ""


def owner_of(model: nn.Module, name: str) -> tuple[nn.Module, str]:
    """Return the module and the attribute that hold a parameter or a parametrised weight."""
    path, _, leaf = name.rpartition(".")
    if ".parametrizations." in f".{name}":
        path, _, rest = name.rpartition("parametrizations.")
        path, leaf = path.rstrip("."), rest.split(".")[0]
    return (model.get_submodule(path) if path else model), leaf


class Tap(TorchFunctionMode):
    """Meets the functions that multiply with a layer's weight.

    Args:
        model: The network that runs inside of the block.
        layers: The layers to meet; each is met once.
        fit: Told of each, says what to do with it.
        give: Gives a parameter of that name other values.
        cut: Whether each layer's output is the beginning of a graph of its own.
    """

    def __init__(
        self,
        model: nn.Module,
        layers: tuple[Layer, ...],
        fit: Callable[[Reached], Fit | None],
        give: Callable[[str, Tensor], None],
        *,
        cut: bool,
    ) -> None:
        super().__init__()
        self._model, self._fit, self._give, self._cut = model, fit, give, cut
        self._by_memory: dict[int, Layer] = {}
        self._computed: dict[int, tuple[Tensor, Layer]] = {}
        self._met: set[str] = set()
        self._begun: dict[int, Tensor] = {}
        self._layers = layers

    def __enter__(self) -> Tap:
        for layer in self._layers:
            module, leaf = owner_of(self._model, layer.weight)
            weight: Tensor = getattr(module, leaf)
            if ".parametrizations." in f".{layer.weight}":
                self._computed[id(weight)] = (weight, layer)
            elif weight.layout is torch.strided:
                self._by_memory[weight.untyped_storage().data_ptr()] = layer
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        options = dict(kwargs or {})
        function = clean(getattr(func, "__name__", ""))
        met = self._layer_in(args, options) if function in LINEAR else None
        if met is None or met[0].weight in self._met:
            return func(*args, **options)
        layer, weight = met
        self._met.add(layer.weight)
        bias = self._bias_in(function, args, options)
        args, options = _without(bias, function, args, options)
        signal = next(x for x in _tensors(args, options) if x is not weight)
        output = func(*args, **options)
        begins = self._begins(output) if self._cut else ()
        if self._cut and not begins:
            own = signal.detach().requires_grad_()
            output = func(*(own if one is signal else one for one in args), **options)
            begins = (own,)
        reached = Reached(
            layer=layer,
            signal=signal,
            output=output,
            bias=self._own_bias(layer) if bias is None else bias,
            unit_axis=_unit_axis(function, output, weight, args),
            again=lambda other: func(*(other if x is signal else x for x in args), **options),
            begins=begins,
        )
        fit = self._fit(reached) or Fit()
        with torch.no_grad():
            if fit.factor != 1.0:
                held, leaf = owner_of(self._model, layer.weight)
                self._give(layer.weight, getattr(held, leaf).detach() * fit.factor)
            if fit.bias is not None:
                self._give(fit.bias_name or layer.bias, fit.bias)
            output = output.detach() * fit.factor
            if bias is not None:
                now = fit.bias if fit.bias is not None else bias
                output = output + reached.over_units(now.detach())
        if not self._cut:
            return output
        begin = output.requires_grad_()
        self._begun[id(begin)] = begin
        return begin.clone()  # for a function behind it that works in place

    def _begins(self, output: Tensor) -> tuple[Tensor, ...]:
        """Return the beginnings of graphs that an output is computed from."""
        found: dict[int, Tensor] = {}
        seen: set[Any] = set()
        waiting = [output.grad_fn]
        while waiting:
            node = waiting.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            variable = getattr(node, "variable", None)
            if id(variable) in self._begun:
                found[id(variable)] = self._begun[id(variable)]
            waiting.extend(after for after, _ in node.next_functions)
        return tuple(found.values())

    def _layer_in(self, args: Any, options: Any) -> tuple[Layer, Tensor] | None:
        for tensor in _tensors(args, options):
            if id(tensor) in self._computed:
                return self._computed[id(tensor)][1], tensor
            if tensor.layout is torch.strided:
                layer = self._by_memory.get(tensor.untyped_storage().data_ptr())
                if layer is not None:
                    return layer, tensor
        return None

    @staticmethod
    def _bias_in(function: str, args: Any, options: Any) -> Tensor | None:
        """Return the bias that a function was given."""
        if function in ("matmul", "mm"):
            return None
        given = options.get("bias", args[2] if len(args) > 2 else None)
        if function == "addmm":
            given = options.get("input", args[0] if args else None)
        return given if isinstance(given, Tensor) else None

    def _own_bias(self, layer: Layer) -> Tensor | None:
        """Return the bias that is added in a step of its own."""
        if not layer.bias:
            return None
        module, leaf = owner_of(self._model, layer.bias)
        bias: Tensor = getattr(module, leaf)
        return bias


def _unit_axis(function: str, output: Tensor, weight: Tensor, args: tuple[Any, ...]) -> int:
    """Return the axis of an output that counts units."""
    if function.startswith("conv"):
        return 1 if output.ndim == weight.ndim else 0
    if function in ("matmul", "mm") and args and args[0] is weight and output.ndim > 1:
        return output.ndim - 2  # W @ x, samples in columns
    return output.ndim - 1


def _without(
    bias: Tensor | None, function: str, args: tuple[Any, ...], options: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a call without the bias."""
    if bias is None:
        return args, options
    nothing = torch.zeros_like(bias) if function == "addmm" else None
    return (
        tuple(nothing if one is bias else one for one in args),
        {key: nothing if one is bias else one for key, one in options.items()},
    )


def _tensors(args: tuple[Any, ...], options: Mapping[str, Any]) -> Iterator[Tensor]:
    return (one for one in (*args, *options.values()) if isinstance(one, Tensor))
