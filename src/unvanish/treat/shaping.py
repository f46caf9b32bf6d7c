"""Giving a plain network the weights that shaped functions ask for, and folding constants in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from unvanish.core.prescriptions import Prescription
from unvanish.theory.activations import Activation
from unvanish.theory.shaping import Shape, deep_kernel_shape
from unvanish.treat.anatomy import theory_of
from unvanish.treat.chains import Chain, Link, inner_tap, read_chain
from unvanish.treat.drawing import orthogonal
from unvanish.treat.layerwise import Rehearsal, deviation, free_biases, rehearsal
from unvanish.treat.layouts import Layout, layout_of
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.surgery import CannotTreatError
from unvanish.treat.tapping import Fit, Reached

PLAIN: Final = Shape(1.0, 0.0, 0.0, 1.0)
"""A function as it is."""

_NAMES: Final = ("input scale", "input shift", "output shift", "output scale")
_FEWEST: Final = 8
"""Values of a unit that its mean is taken over, at the least."""
_FARTHEST: Final = 4.0
"""Factor by which the signal of one layer may be off the size it is meant to have."""


def shapes_for(chain: Chain, case: Case, zeta: float) -> dict[str, Shape] | str:
    """Solve for the constants of every function of a chain, or say why there are none.

    Args:
        chain: The network.
        case: What is known about it.
        zeta: Slope of the whole chain's correlation map at 1.
    """
    found: dict[str, Shape] = {}
    for name in chain.functions:
        links = _differing([link for link in chain.links if link.function == name], case.model)
        phi = theory_of(links[0].layer, case.model)
        if name in ("relu", "relu6", "threshold"):
            return (
                f"{name} has no such constants: one of its two straight pieces is flat, and no "
                "shift brings it close to a line; tailored-activation is for it"
            )
        if phi is None or name == "rrelu":
            return f"theory does not know {name}"
        if any(not _same(phi, theory_of(link.layer, case.model)) for link in links[1:]):
            return f"{name} is used with different options"
        try:
            found[name] = deep_kernel_shape(phi, chain.depth, zeta)
        except ValueError as error:
            return str(error)
    return found


def written(shapes: Mapping[str, Shape]) -> dict[str, float | str | bool]:
    """Return constants as the settings of a prescription."""
    return {
        f"{function} {name}": value
        for function, shape in shapes.items()
        for name, value in zip(
            _NAMES,
            (shape.input_scale, shape.input_shift, shape.output_shift, shape.output_scale),
            strict=True,
        )
    }


def read(prescription: Prescription, functions: tuple[str, ...]) -> dict[str, Shape]:
    """Return the constants that the settings of a prescription hold."""
    return {
        function: Shape(*(float(prescription.settings[f"{function} {name}"]) for name in _NAMES))
        for function in functions
    }


def chain_in(patient: Patient) -> Chain:
    """Return a patient as a chain.

    Raises:
        CannotTreatError: If it is none any more.
    """
    chain = read_chain(patient.anatomy, patient.model)
    if isinstance(chain, str):
        raise CannotTreatError(chain)
    return chain


def draw(
    patient: Patient,
    chain: Chain,
    folded: Mapping[str, Shape],
    *,
    centred: bool = True,
    settled: bool = True,
) -> None:
    """Draw every weight orthogonal, with the constants of its functions in it.

    A layer that reads the data is drawn with all taps of its kernel and scaled on the batch; any
    other convolution has one tap, which meets no padding, so that a shift is the same everywhere.

    Args:
        patient: The network.
        chain: Its layers.
        folded: Constants of each function that the weights and biases take over.
        centred: Whether layers that read the data take its mean off.
        settled: Whether every other layer is multiplied so that its signal has, on the batch,
            the mean square that it has in the mean over networks; narrow ones stray from it.

    Raises:
        CannotTreatError: If the signal does not keep its size: something stands between two
            layers that the chain does not show.
    """
    free = free_biases(patient)
    by_weight = {link.layer.weight: link for link in chain.links}
    layers = tuple(link.layer for link in chain.links)
    uncentred: list[str] = []

    def calibrate(reached: Reached) -> Fit | None:
        """Scale a layer that reads the data, and take their mean off."""
        ahead = folded.get(by_weight[reached.layer.weight].function, PLAIN)
        mean = reached.unit_means()
        own = reached.layer.bias in free
        if not (centred and own and reached.seen >= _FEWEST):
            uncentred.append(reached.layer.path or reached.layer.weight)
            mean = torch.zeros_like(mean)
        spread = deviation(reached.output - reached.over_units(mean), reached.layer)
        factor = ahead.input_scale / spread
        bias = ahead.input_shift - mean * factor if own else None
        return Fit(factor=factor, bias=bias)

    def settle(reached: Reached) -> Fit | None:
        """Give a layer behind others the size that it has in the mean over many networks."""
        link = by_weight[reached.layer.weight]
        ahead = folded.get(link.function, PLAIN)
        if folded.get(link.fed_by, PLAIN).output_shift:
            _check_border(reached)
        taken_over = None
        output = reached.output / ahead.input_scale
        if reached.bias is not None:
            taken_over = reached.bias.detach() - ahead.input_shift
            output = output + reached.over_units(taken_over / ahead.input_scale)
        size = deviation(output, reached.layer)
        if not (link.pooled or 1.0 / _FARTHEST < size < _FARTHEST):
            raise CannotTreatError(
                f"its signal would have the size {size:.3g} where 1 is meant: something before "
                "it changes the signal in a way that the chain of layers does not show",
                where=reached.layer.path or reached.layer.weight,
            )
        if not settled:
            return None
        bias = None if taken_over is None else ahead.input_shift + taken_over / size
        return Fit(factor=1.0 / size, bias=bias)

    def fit(reached: Reached) -> Fit | None:
        reads_data = by_weight[reached.layer.weight].reads_data
        return calibrate(reached) if reads_data else settle(reached)

    with rehearsal(patient) as stage:
        for link in chain.links:
            _draw_one(stage, patient, link, folded, free)
        stage.run(layers, fit)
    stage.perform()
    if uncentred and centred:
        patient.notes.append(
            f"{', '.join(uncentred[:3])}: the mean of the data is not taken off, for want of a "
            f"bias or of {_FEWEST} values a unit."
        )


def _draw_one(
    stage: Rehearsal,
    patient: Patient,
    link: Link,
    folded: Mapping[str, Shape],
    free: frozenset[str],
) -> None:
    layer = link.layer
    weight = patient.surgery.weight_of(layer.weight)
    layout = layout_of(layer, weight, patient.model)
    tap = None if link.reads_data else _tap(link, weight, patient.model)
    drawn = orthogonal(weight, layout, 1.0) if tap is None else one_tap(weight, layout, tap)
    behind, ahead = folded.get(link.fed_by, PLAIN), folded.get(link.function, PLAIN)
    drawn = drawn * (ahead.input_scale * behind.output_scale)
    stage.set(layer.weight, drawn)
    if layer.bias in free:
        stage.set(
            layer.bias, ahead.input_shift + behind.output_shift * summed_inputs(drawn, layout)
        )
    elif layer.bias:
        raise CannotTreatError("the bias is frozen, or that of several layers", where=layer.bias)
    elif ahead.input_shift or behind.output_shift:
        raise CannotTreatError(
            "there is no bias that could take over a constant", where=layer.path or layer.weight
        )


def one_tap(weight: Tensor, layout: Layout, tap: tuple[int, ...]) -> Tensor:
    """Draw a convolution that is orthogonal on one tap and zero on all others.

    Args:
        weight: The weight, for its shape and type.
        layout: How it connects.
        tap: Where its kernel is not zero.
    """
    drawn = torch.zeros_like(weight)
    alone = replace(layout, fan_in=layout.fan_in / math.prod(weight.shape[2:]))
    here: tuple[slice | int, ...] = (slice(None), slice(None), *tap)
    drawn[here] = orthogonal(weight[here], alone, 1.0)
    return drawn


def summed_inputs(weight: Tensor, layout: Layout) -> Tensor:
    """Return the sum of the weights that feed each output."""
    if layout.outputs == 0:
        return weight.flatten(1).sum(1)
    return torch.cat(
        [
            part.sum(0).flatten(1).sum(1) if part.ndim > 2 else part.sum(0)
            for part in weight.chunk(layout.groups, dim=0)
        ]
    )


def _check_border(reached: Reached) -> None:
    """Refuse a convolution whose one tap meets zeros at the border of its input.

    Raises:
        CannotTreatError: If a constant input does not come out constant.
    """
    if not reached.layer.site.function.startswith("conv"):
        return
    with torch.no_grad():
        units = reached.again(torch.ones_like(reached.signal[:1])).movedim(reached.unit_axis, 0)
    spread = units.flatten(1).amax(1) - units.flatten(1).amin(1)
    if bool((spread > 1e-3 * units.abs().max()).any()):
        raise CannotTreatError(
            "zeros at the border of its input would stand for a value of the function, and no "
            "shift of the bias makes up for that",
            where=reached.layer.path or reached.layer.weight,
        )


def _tap(link: Link, weight: Tensor, model: nn.Module) -> tuple[int, ...] | None:
    if weight.ndim < 3 or not link.layer.site.function.startswith("conv"):
        return None
    module = model.get_submodule(link.layer.path) if link.layer.path else None
    tap = inner_tap(module, tuple(weight.shape[2:]))
    return tap if tap is not None else tuple((k - 1) // 2 for k in weight.shape[2:])


def _differing(links: list[Link], model: nn.Module) -> list[Link]:
    """Return one layer for each way in which the modules behind layers are built."""
    modules = dict(model.named_modules())
    found: dict[str, Link] = {}
    for link in links:
        site = link.layer.activation_site
        module = modules.get(site.path) if site is not None else None
        built = repr(module) if module is not None and not module._modules else ""
        found.setdefault(built, link)
    return list(found.values())


def _same(one: Activation, other: Activation | None) -> bool:
    at = np.array([-3.0, -0.7, 0.4, 2.0])
    return other is not None and bool(np.allclose(one.value(at), other.value(at)))
