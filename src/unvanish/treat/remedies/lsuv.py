"""LSUV: orthogonal weights, scaled layer by layer to unit variance on a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.drawing import each, orthogonal
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


@final
@dataclass(frozen=True, kw_only=True)
class LSUV:
    """Start orthogonal, then scale every layer to unit variance on the batch.

    ## When to use
    The signal shrinks or grows from layer to layer, behind functions that pass a centred signal
    on: tanh, ELU, SELU, ReLU, GELU, SiLU. Not behind sigmoid or softplus: their outputs have a mean
    far from zero, the variance between units is then that of the means, and what tells inputs
    apart dies all the same. `centre-and-unit-variance` is for those.

    ## What it changes
    Every weight of a linear or convolution layer is drawn orthogonal and multiplied so that the
    variance of the layer's output, over samples, positions and units, is `variance`. Biases of
    these layers become zero. Layers that run several times in a pass, parts of recurrent and
    attention layers, gates, embeddings, layers with a normalisation directly behind them,
    and those that end a branch, whose output is added to other signal, are left as they are.

    ## What it costs
    What was learnt in these weights is lost. One forward pass over one batch.

    ## Settings
    `variance`: 1.

    ## Where we differ
    The paper repeats forward passes until a layer's variance is within 0.1 of 1. A layer without
    a bias is proportional to its weight, so the factor is exact at once, and one pass over the
    network serves all layers: each is scaled when the batch reaches it.

    ## Composes with
    An exchange of the activation, which is made first; residual connections; any optimiser.

    ## Evidence
    Digits, 30 plain layers of 64 units, Adam, 300 steps, the better of two learning rates for
    every arm, one seed, share of the test images (`python -m benchmarks.starts`; a guess is
    0.1): SiLU 0.950 (untouched 0.078), GELU 0.947 (0.078), ReLU 0.944 (0.078), tanh 0.886
    (0.194); softplus 0.281 and sigmoid 0.094.

    ## Source
    Mishkin and Matas (2016), algorithm 1.
    """

    name: ClassVar[str] = "lsuv"
    treats: ClassVar[frozenset[str]] = frozenset({"UV101", "UV102", "UV103", "UV104", "UV105"})
    change: ClassVar[Change] = Change.INITIALISATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.ARCHITECTURE, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["mishkin2016"],)
    after: ClassVar[frozenset[str]] = EXCHANGES
    excludes: ClassVar[frozenset[str]] = (DRAWING | MEASURING | SHAPING) - {"lsuv"}

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit any network with a layer whose scale is its weight's."""
        layers, alone = scalable(case, drawn=True)
        if all(layer.is_output for layer in layers):
            return NotApplicable(f"no hidden layer can be scaled: {'; '.join(alone) or 'none'}")
        few = few_values(layers, 2, pooled=True)
        if few:
            return NotApplicable(few)
        return Prescription(
            remedy=self.name,
            why=f"{len(layers)} layers can be given unit variance on the batch",
            change=self.change,
            keeps=self.keeps,
            settings={"variance": 1.0, "left alone": "; ".join(alone)},
            places=tuple(layer.weight for layer in layers),
            cost="what these weights have learnt; one forward pass",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Draw and scale each layer as the batch reaches it."""
        wanted = float(prescription.settings["variance"]) ** 0.5
        layers = chosen(patient, prescription.places)
        free = free_biases(patient)

        def fit(reached: Reached) -> Fit:
            output = reached.output
            found = deviation(output - output.mean(), reached.layer)
            return Fit(factor=wanted / found)

        with rehearsal(patient) as stage:
            for layer, weight, layout in each(patient, prescription.places):
                stage.set(layer.weight, orthogonal(weight, layout, 1.0))
                if layer.bias in free:
                    stage.set(layer.bias, torch.zeros_like(patient.surgery.weight_of(layer.bias)))
            stage.run(layers, fit)
        stage.perform()
        patient.notes.extend(filter(None, str(prescription.settings["left alone"]).split("; ")))
