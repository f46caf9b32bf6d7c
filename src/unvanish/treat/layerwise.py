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
from typing import Final

import torch
from torch import Tensor
from torch.nn.utils import parametrize

from unvanish.core.errors import UnvanishError
from unvanish.observe.batch import call_model, map_tensors
from unvanish.observe.guard import untouched
from unvanish.treat.anatomy import Layer
from unvanish.treat.drawing import drawable, why_not
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.surgery import CannotTreatError, Surgery
from unvanish.treat.tapping import LINEAR, Fit, Reached, Tap, owner_of

EXCHANGES: Final = frozenset("relu leaky-relu prelu elu selu gelu silu".split())
"""Remedies that exchange a function, which a start has to know."""

DRAWING: Final = frozenset(
    "he xavier lecun orthogonal delta-orthogonal critical looks-linear siren break-symmetry "
    "revive-dead-units".split()
)
"""Remedies that draw weights anew."""

MEASURING: Final = frozenset({"lsuv", "centre-and-unit-variance", "jacobian-tuning"})
"""Remedies that set the sizes of weights by what a batch shows."""

SHAPING: Final = frozenset({"folded-kernel-shape", "tailored-activation", "shaped-activation"})
"""Remedies that set functions and weights of a plain network by its depth."""

NOT_PLAIN: Final = frozenset(
    "batch-norm layer-norm rms-norm group-norm weight-standardisation residual scaled-residual "
    "rezero skip-init fixup layer-scale highway".split()
)
"""Remedies after which a network is no plain chain of layers and functions any more."""


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
        module, leaf = owner_of(self.patient.model, name)
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
                Tap(self.patient.model, layers, fit, self.set, cut=slopes),
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
    ranks = {p.name: len(p.shape) for p in case.anatomy.recording.parameters}
    fitting: list[Layer] = []
    others: dict[str, list[str]] = {}
    for layer in drawable(case):
        reason = why_not(layer, case) or _cannot_scale(layer, ranks)
        if not (reason or drawn or bool(surgery.weight_of(layer.weight).any())):
            reason = "zero at the start"
        if reason:
            others.setdefault(reason, []).append(layer.path or layer.weight)
        else:
            fitting.append(layer)
    said = tuple(
        f"left as {'it is' if len(places) == 1 else 'they are'}: {', '.join(places[:3])}"
        f"{f' and {len(places) - 3} more' if len(places) > 3 else ''} ({reason})"
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
    found = float(centred.detach().abs().double().square().mean().sqrt())
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


def _cannot_scale(layer: Layer, ranks: Mapping[str, int]) -> str:
    """Say why a layer's output cannot be set by a factor on its weight; empty where it can."""
    if layer.site.function not in LINEAR:
        return f"a part of {layer.site.function}"
    if layer.calls > 1:
        return "the same weight is used several times in one pass"
    if layer.joins:
        return "the output is added to, or laid beside, other signal"
    if layer.norm_site is not None:
        return "a normalisation behind it undoes any scale"
    several = sum(ranks.get(name, 0) > 1 for name in layer.site.weights) > 1
    if several and ".parametrizations." not in f".{layer.weight}":
        return "computed from several parameters"
    return ""
