"""Looks-linear initialisation: mirrored units, so that a ReLU network starts as a linear one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final, final

import torch
from torch import Tensor, nn

from unvanish.core.operations import VIEW_OPS
from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.records import Site
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.core.wiring import Wiring
from unvanish.treat.anatomy import Layer, theory_of
from unvanish.treat.drawing import Layout, layout_of, left_alone, orthogonal, redraw
from unvanish.treat.gains import EXCHANGES, STARTS
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.ways import NORMS, activation_name

_RECTIFIERS: Final = frozenset({"relu", "leaky_relu", "prelu", "rrelu"})
_TURNING: Final = frozenset("transpose permute movedim swapaxes roll flip repeat cat stack".split())
_LINEAR: Final = (
    (VIEW_OPS - _TURNING)
    | NORMS
    | frozenset(
        "dropout feature_dropout mean avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d "
        "adaptive_avg_pool2d adaptive_avg_pool3d pad constant_pad_nd upsample_nearest2d".split()
    )
)
"""Steps that treat a unit and its mirror image alike."""


@final
@dataclass(frozen=True, kw_only=True)
class LooksLinear:
    r"""Give every unit a mirror image, so that a ReLU network computes a linear map at first.

    ## When to use
    Deep plain chains of ReLU layers, whose gradients become noise with depth ("shattered"): the
    gradient of a sample says nothing about that of its neighbour.

    ## What it changes
    With B orthogonal, a hidden weight becomes [[B, -B], [-B, B]], the first one [A, -A] along
    its outputs and the last one [C, -C] along its inputs; biases become zero. As
    relu(v) - relu(-v) = v, the network starts as the product of its orthogonal matrices, and
    the gradient keeps its length and its direction through every layer.

    ## What it costs
    What was learnt in these weights is lost, and at the start half of the width is a copy of
    the other half. Training parts the two.

    ## Settings
    None. A LeakyReLU with slope a gives (1 + a) v, which the matrices make up for.

    ## Where we differ
    The paper concatenates relu(v) and relu(-v); here the units are halved instead, which it
    names as the equivalent start of a network whose architecture stays.

    ## Composes with
    An exchange of the activation for ReLU or LeakyReLU, which is made first. Normalisations
    between the layers treat a unit and its mirror image alike.

    ## Evidence
    30 ReLU layers of width 32 on 500 digits, 60 steps of Adam 1e-3 on all of them (3 draws): the
    loss comes down to below 2e-4, from PyTorch's default it stays at 2.30. At the start the
    network is linear to rounding.

    ## Source
    Balduzzi, Frean, Leary, Lewis, Ma and McWilliams (2017), section 4.
    """

    name: ClassVar[str] = "looks-linear"
    treats: ClassVar[frozenset[str]] = frozenset({"UV101", "UV102", "UV103", "UV105", "UV106"})
    change: ClassVar[Change] = Change.INITIALISATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.ARCHITECTURE, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["balduzzi2017"],)
    after: ClassVar[frozenset[str]] = EXCHANGES
    excludes: ClassVar[frozenset[str]] = STARTS - {"looks-linear"}

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit plain chains of layers with ReLU or LeakyReLU between them and even widths."""
        layers = case.anatomy.layers
        if len(layers) < 2 or not any(x.activation in _RECTIFIERS for x in layers):
            return NotApplicable("it is no chain of layers with a ReLU between them")
        alone = left_alone(case)
        if alone:
            return NotApplicable(f"every layer of the chain has to be drawn, but not {alone}")
        reason = _broken(layers, case)
        if reason:
            return NotApplicable(reason)
        return Prescription(
            remedy=self.name,
            why=f"a chain of {len(layers)} layers can start as a linear map",
            change=self.change,
            keeps=self.keeps,
            places=tuple(layer.weight for layer in layers),
            cost="what these weights have learnt",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Draw half of each matrix and mirror it."""
        chain = prescription.places
        slopes = {}
        for name in chain:
            layer = patient.anatomy.layer_of(name)
            phi = theory_of(layer, patient.model) if layer is not None else None
            if phi is not None:
                ends = phi.value(torch.tensor([1.0, -1.0], dtype=torch.float64).numpy())
                slopes[name] = float(ends[0] - ends[1])

        def draw(layer: Layer, weight: Tensor, layout: Layout) -> Tensor:
            position = chain.index(layer.weight)
            outputs, inputs = layout.outputs, 1 - layout.outputs
            half, share, gain = weight, 1, 1.0
            if position + 1 < len(chain):
                half = half.narrow(outputs, 0, half.shape[outputs] // 2)
            if position > 0:
                half = half.narrow(inputs, 0, half.shape[inputs] // 2)
                share, gain = 2, 1.0 / slopes[chain[position - 1]]
            one = replace(layout, fan_in=layout.fan_in / share)
            drawn = orthogonal(half.contiguous(), one, gain)
            if position > 0:
                drawn = torch.cat([drawn, -drawn], inputs)
            if position + 1 < len(chain):
                drawn = torch.cat([drawn, -drawn], outputs)
            return drawn

        redraw(patient, chain, draw)


def _broken(layers: Sequence[Layer], case: Case) -> str:
    """Say where a network is no chain of mirrored layers; empty where it is one."""
    wiring = Wiring(case.recording)
    shapes = {p.name: p.shape for p in case.recording.parameters}
    for before, layer in zip((None, *layers), layers, strict=False):
        if layer.calls > 1:
            return f"{layer.weight} is used {layer.calls} times in one pass"
        layout = _layout(layer, case.model)
        if layout is None:
            return f"{layer.weight} is no linear layer and no convolution"
        if layout.groups > 1:
            return f"{layer.weight} works in groups, which part the mirrored units"
        if before is None:
            continue
        reason = _way(wiring, before, layer)
        if reason:
            return reason
        width = shapes[before.weight][_layout(before, case.model).outputs]  # type: ignore[union-attr]
        if width % 2:
            return f"{before.weight} has {width} units, an odd number"
    return ""


def _layout(layer: Layer, model: nn.Module) -> Layout | None:
    path, _, leaf = layer.weight.rpartition(".")
    weight = model.get_submodule(path)._parameters.get(leaf)
    if weight is None or layer.site.function == "bilinear":
        return None
    layout = layout_of(layer, weight, model)
    return layout if layout.outputs < 2 and not layout.stacked else None


def _way(wiring: Wiring, before: Layer, layer: Layer) -> str:
    """Say what breaks the way between two layers of the chain; empty where nothing does."""
    if before.activation not in _RECTIFIERS:
        return f"no ReLU stands behind {before.weight}"
    site: Site = layer.site
    while site.index != before.site.index:
        producers = wiring.producers(site)
        if len(producers) != 1 or len(wiring.consumers(producers[0])) != 1:
            return f"{layer.weight} is not fed by {before.weight} alone: it is no plain chain"
        site = producers[0]
        passed = site.op in _LINEAR or activation_name(site) in _RECTIFIERS
        own = site.index == before.site.index or before.weight in site.weights
        if not passed and not own and before.bias not in site.weights:
            return f"{site.name} stands between {before.weight} and {layer.weight}"
    return ""
