"""Run a batch through a network and set its layers one after another, as the batch reaches them.

The run is a rehearsal: values may be set at will while it lasts, later layers see what earlier
ones were given, and at its end network, buffers, hooks and random numbers are as they were. What
came of it is then given to the network through its surgery, one change a parameter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.overrides import TorchFunctionMode

from unvanish.core.errors import UnvanishError
from unvanish.core.operations import clean
from unvanish.observe.batch import call_model, map_tensors
from unvanish.observe.guard import untouched
from unvanish.treat.anatomy import Layer
from unvanish.treat.drawing import drawable, why_not
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.surgery import CannotTreatError, Surgery

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
        begins: Where slopes are asked for: the outputs of the layers before, of which the output
            is computed here; the signal itself where there is none.
    """

    layer: Layer
    signal: Tensor
    output: Tensor
    bias: Tensor | None
    unit_axis: int
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


@dataclass
class Rehearsal:
    """A network whose values can be tried out.

    Attributes:
        patient: Whose network.
        changed: Name to the value that was tried last.
    """

    patient: Patient
    changed: dict[str, Tensor] = field(default_factory=dict)

    def set(self, name: str, values: Tensor) -> None:
        """Give a parameter, or a parametrised weight, other values until the rehearsal ends."""
        module, leaf = _owner(self.patient.model, name)
        with torch.no_grad():
            if ".parametrizations." in f".{name}":
                setattr(module, leaf, values)
            else:
                getattr(module, leaf).copy_(values)
        self.changed[name] = values.detach().clone()

    def run(
        self,
        layers: tuple[Layer, ...],
        fit: Callable[[Reached], Fit | None],
        *,
        slopes: bool = False,
    ) -> None:
        """Run the batch once, and let it set each layer as it comes to it.

        Args:
            layers: The layers to stop at; each is met once.
            fit: Told of each, says what to do with it.
            slopes: Whether the steps between two layers can be differentiated: each layer's
                output is then the beginning of a graph of its own.

        Raises:
            CannotTreatError: If the network does not run.
        """
        inputs = self.patient.batch.inputs
        if isinstance(inputs, (Tensor, tuple, list, dict)):
            inputs = map_tensors(inputs, lambda tensor: tensor.clone())
        try:
            with (
                parametrize.cached(),
                torch.set_grad_enabled(slopes),
                _Tap(self, layers, fit, cut=slopes),
            ):
                call_model(self.patient.model, inputs)
        except UnvanishError:
            raise
        except Exception as error:
            raise CannotTreatError(
                f"the network does not run on its batch: {type(error).__name__}: {error}"
            ) from error

    def perform(self) -> None:
        """Give the network what was tried last. For use after the rehearsal."""
        for name, values in self.changed.items():
            self.patient.surgery.set_values(name, values)


@contextmanager
def rehearsal(patient: Patient) -> Iterator[Rehearsal]:
    """Let values be tried out on a network; it comes out of the block as it went in.

    Args:
        patient: Whose network.

    Yields:
        What sets values and runs the batch.
    """
    seed = int(torch.randint(2**31, ()))
    with untouched(patient.model, seed=seed):
        yield Rehearsal(patient)


def scalable(case: Case, *, drawn: bool = False) -> tuple[tuple[Layer, ...], tuple[str, ...]]:
    """Return the layers whose output a factor on their weight scales, and what is left alone.

    Args:
        case: Whose layers.
        drawn: Whether the weights are drawn anew before, so that zeros can be scaled too.

    Returns:
        The layers in forward order, and a sentence for each kind of layer that is left alone.
    """
    surgery = Surgery(case.model)
    fitting: list[Layer] = []
    others: dict[str, list[str]] = {}
    for layer in drawable(case):
        reason = why_not(layer, case) or _cannot_scale(layer, case.model)
        if not (reason or drawn or bool(surgery.weight_of(layer.weight).any())):
            reason = "it starts at zero"
        if reason:
            others.setdefault(reason, []).append(layer.path or layer.weight)
        else:
            fitting.append(layer)
    said = tuple(
        f"{len(places)} {'layer is' if len(places) == 1 else 'layers are'} left as drawn "
        f"({', '.join(places[:3])}{', ...' if len(places) > 3 else ''}): {reason}"
        for reason, places in others.items()
    )
    return tuple(fitting), said


def chosen(patient: Patient, names: tuple[str, ...]) -> tuple[Layer, ...]:
    """Return the layers of some weights, in forward order."""
    wanted = set(names)
    return tuple(layer for layer in patient.anatomy.layers if layer.weight in wanted)


def free_biases(patient: Patient) -> frozenset[str]:
    """Return the names of the biases that are trained and belong to one layer alone."""
    trained = {p.name for p in patient.anatomy.recording.parameters if p.requires_grad}
    held = [layer.bias for layer in patient.anatomy.layers if layer.bias]
    return frozenset(name for name in held if name in trained and held.count(name) == 1)


def deviation(centred: Tensor, layer: Layer) -> float:
    """Return the root of the mean square of a layer's centred output.

    Raises:
        CannotTreatError: If it is zero or not a number: no factor makes it one.
    """
    found = float(centred.detach().double().square().mean().sqrt())
    if not (math.isfinite(found) and found > 0.0):
        raise CannotTreatError(
            f"its output on this batch cannot be scaled: its standard deviation is {found:g}",
            where=layer.path or layer.weight,
            help="a batch of several different, finite samples is needed",
        )
    return found


def few_values(layers: tuple[Layer, ...], least: int, *, pooled: bool) -> str:
    """Say that a batch is too small to take averages over; empty where it is not.

    Args:
        layers: What is to be measured.
        least: Values that an average is taken over, at least.
        pooled: Whether the units of a layer are averaged over too.
    """
    for layer in layers:
        shape, size = layer.site.shape, layer.site.size
        is_convolution = layer.site.function.startswith("conv")
        units = 1 if pooled or not shape else shape[1 if is_convolution else -1]
        if size // max(1, units) < least:
            return (
                f"{layer.path or layer.weight} has {size // max(1, units)} values of a unit on "
                f"this batch; at least {least} are needed for an average"
            )
    return ""


def _cannot_scale(layer: Layer, model: nn.Module) -> str:
    """Say why a layer's output cannot be set by a factor on its weight; empty where it can."""
    if layer.site.function not in LINEAR:
        return f"a part of {layer.site.function}"
    if layer.calls > 1:
        return "the same weight is used several times in one pass"
    if layer.norm_site is not None:
        return "a normalisation behind it undoes any scale"
    ranks = {name: parameter.ndim for name, parameter in model.named_parameters()}
    several = sum(ranks.get(name, 0) > 1 for name in layer.site.weights) > 1
    if several and ".parametrizations." not in f".{layer.weight}":
        return "its weight is computed from several parameters"
    return ""


def _owner(model: nn.Module, name: str) -> tuple[nn.Module, str]:
    """Return the module and the attribute that hold a parameter or a parametrised weight."""
    path, _, leaf = name.rpartition(".")
    if ".parametrizations." in f".{name}":
        path, _, rest = name.rpartition("parametrizations.")
        path, leaf = path.rstrip("."), rest.split(".")[0]
    return (model.get_submodule(path) if path else model), leaf


class _Tap(TorchFunctionMode):
    """Meets the functions that multiply with a layer's weight."""

    def __init__(
        self,
        stage: Rehearsal,
        layers: tuple[Layer, ...],
        fit: Callable[[Reached], Fit | None],
        *,
        cut: bool,
    ) -> None:
        super().__init__()
        self._stage, self._fit, self._cut = stage, fit, cut
        self._by_memory: dict[int, Layer] = {}
        self._computed: dict[int, tuple[Tensor, Layer]] = {}
        self._met: set[str] = set()
        self._begun: dict[int, Tensor] = {}
        self._layers = layers

    def __enter__(self) -> _Tap:
        model = self._stage.patient.model
        for layer in self._layers:
            module, leaf = _owner(model, layer.weight)
            weight: Tensor = getattr(module, leaf)
            if ".parametrizations." in f".{layer.weight}":
                self._computed[id(weight)] = (weight, layer)
            else:
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
            begins=begins,
        )
        fit = self._fit(reached) or Fit()
        with torch.no_grad():
            if fit.factor != 1.0:
                held, leaf = _owner(self._stage.patient.model, layer.weight)
                self._stage.set(layer.weight, getattr(held, leaf).detach() * fit.factor)
            if fit.bias is not None:
                self._stage.set(fit.bias_name or layer.bias, fit.bias)
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
        module, leaf = _owner(self._stage.patient.model, layer.bias)
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
