"""Centre and unit variance: each unit's mean zero, each layer's variance one, on a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from torch import nn

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.anatomy import Layer
from unvanish.treat.layerwise import (
    DRAWING,
    EXCHANGES,
    MEASURING,
    SHAPING,
    chosen,
    deviation,
    few_values,
    free_biases,
    rehearsal,
    scalable,
)
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.tapping import Fit, Reached

_FEWEST = 8
"""Values of a unit that its mean is taken over, at the least."""


@final
@dataclass(frozen=True, kw_only=True)
class CentreAndUnitVariance:
    """Set every bias and the scale of every weight so that a batch arrives standardised.

    ## When to use
    Deep networks of sigmoid, softplus or another function with a mean far from zero, where a
    scale alone cures nothing: with the mean of each unit taken off, what is scaled up is what
    tells inputs apart. It trains 30 layers of sigmoid with the architecture untouched.

    ## What it changes
    Each bias becomes minus the mean of its unit over samples and positions, and each weight is
    multiplied so that the layer's centred output has the variance `variance`, over samples,
    positions and units: batch normalisation at the start, without the layer. Weights keep their
    directions. A linear or convolution module without a bias is given one, if `add_biases`; this
    is a change of the architecture. Layers that run several times in a pass, parts of recurrent
    and attention layers, gates, embeddings, layers that start at zero, those with a
    normalisation directly behind them, and those that end a branch, whose output is added to
    other signal, are left as they are.

    ## What it costs
    What was learnt in the scales. One forward pass over one batch. It is as good as the batch is
    typical: at least 8 values of each unit are asked for, 64 or more are better.

    ## Settings
    `variance`: 1. `add_biases`: true where a layer has none.

    ## Where we differ
    The paper scales each unit by itself; here a layer has one factor, so that the proportions of
    its units stay. The paper balances the rates of change of the layers afterwards; we do not.

    ## Composes with
    An initialisation, which is made first: its directions stay. Residual connections.

    ## Evidence
    Digits, 30 plain layers of 64 units, Adam, 300 steps, the better of two learning rates for
    every arm, one seed, share of the test images (`python -m benchmarks.starts`; a guess is
    0.1): sigmoid 0.958 (untouched 0.094, LSUV 0.094), SiLU 0.919 (0.078), softplus 0.903
    (0.094), GELU 0.856 (0.078); tanh 0.653 and ReLU 0.469, for which others are better. The
    gradient of 30 sigmoid layers changes by 0.3 decades on its way, where it lost 25; that of
    1,000 grows by 6, which is too deep for it.

    ## Source
    Krähenbühl, Doersch, Donahue and Darrell (2016), section 3.1.
    """

    name: ClassVar[str] = "centre-and-unit-variance"
    treats: ClassVar[frozenset[str]] = frozenset({"UV101", "UV102", "UV103", "UV105", "UV201"})
    change: ClassVar[Change] = Change.INITIALISATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.ARCHITECTURE, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["krahenbuhl2016"],)
    after: ClassVar[frozenset[str]] = EXCHANGES | DRAWING
    excludes: ClassVar[frozenset[str]] = (MEASURING | SHAPING) - {"centre-and-unit-variance"}

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit a network whose layers have a bias, or can be given one, on a batch of some size."""
        layers, alone = scalable(case)
        if all(layer.is_output for layer in layers):
            return NotApplicable(f"no hidden layer can be scaled: {'; '.join(alone) or 'none'}")
        few = few_values(layers, _FEWEST, pooled=False)
        if few:
            return NotApplicable(few)
        lacking = [layer for layer in layers if _can_be_given_a_bias(layer, case.model)]
        if not lacking and not any(layer.bias for layer in layers):
            return NotApplicable("no layer has a bias to centre its units with; lsuv needs none")
        return Prescription(
            remedy=self.name,
            why=f"{len(layers)} layers can be standardised on the batch",
            change=self.change,
            keeps=self.keeps - {Keeps.ARCHITECTURE} if lacking else self.keeps,
            settings={
                "variance": 1.0,
                "add_biases": bool(lacking),
                "left alone": "; ".join(alone),
            },
            places=tuple(layer.weight for layer in layers),
            cost="what the scales and biases have learnt; one forward pass"
            + (f"; {len(lacking)} more biases" if lacking else ""),
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Centre and scale each layer as the batch reaches it."""
        wanted = float(prescription.settings["variance"]) ** 0.5
        layers = chosen(patient, prescription.places)
        free = free_biases(patient)
        given: dict[str, str] = {}
        if prescription.settings["add_biases"]:
            for layer in layers:
                if _can_be_given_a_bias(layer, patient.model):
                    patient.surgery.add_bias(layer.path)
                    given[layer.weight] = f"{layer.path}.bias".lstrip(".")
        uncentred: list[str] = []

        def fit(reached: Reached) -> Fit:
            layer, output = reached.layer, reached.output
            name = given.get(layer.weight) or (layer.bias if layer.bias in free else "")
            if not name:
                uncentred.append(layer.path or layer.weight)
                return Fit(factor=wanted / deviation(output - output.mean(), layer))
            means = reached.unit_means()
            factor = wanted / deviation(output - reached.over_units(means), layer)
            return Fit(factor=factor, bias=-means * factor, bias_name=name)

        with rehearsal(patient) as stage:
            stage.run(layers, fit)
        stage.perform()
        if uncentred:
            patient.notes.append(
                f"{', '.join(uncentred[:3])}{', ...' if len(uncentred) > 3 else ''}: scaled, but "
                "not centred, for want of a bias of its own that is trained."
            )
        patient.notes.extend(filter(None, str(prescription.settings["left alone"]).split("; ")))


def _can_be_given_a_bias(layer: Layer, model: nn.Module) -> bool:
    """Tell whether a layer is a module of torch that lacks its bias."""
    if layer.bias or ".parametrizations." in f".{layer.weight}":
        return False
    module = model.get_submodule(layer.path) if layer.path else model
    kinds = (nn.Linear, nn.modules.conv._ConvNd)
    return (
        isinstance(module, kinds)
        and module.bias is None
        and layer.weight == f"{layer.path}.weight".lstrip(".")
    )
