"""Jacobian tuning: scale each layer so that the Jacobian from the layer before it has norm one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import torch

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.layerwise import (
    DRAWING,
    EXCHANGES,
    MEASURING,
    SHAPING,
    chosen,
    rehearsal,
    scalable,
)
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.surgery import CannotTreatError
from unvanish.treat.tapping import Fit, Reached

_BOUNDED_ABOVE_ZERO = frozenset({"sigmoid", "hardsigmoid"})


@final
@dataclass(frozen=True, kw_only=True)
class JacobianTuning:
    """Scale each layer so that a random gradient comes through it with its length kept.

    ## When to use
    The gradient shrinks or grows from layer to layer behind tanh, softsign, ELU, SELU, GELU or
    SiLU. What is set is the gradient's own gain at the batch's own pre-activations, so it holds
    for any mixture of functions, widths and pooling.

    ## What it changes
    Each weight is multiplied so that the averaged partial Jacobian norm of its layer, the
    squared Frobenius norm of d z_l / d z_(l-1) over the number of outputs and samples, is
    `norm`. The directions of the weights, and biases, stay. Layers fed by several others, those
    that run several times in a pass, parts of recurrent and attention layers, gates, embeddings,
    layers that start at zero, those with a normalisation directly behind them, and those that end
    a branch, whose output is added to other signal, are left as they are.

    ## What it costs
    What was learnt in the scales. One forward pass over one batch, and `probes` gradients a
    layer from each layer to the one before it.

    ## Settings
    `norm`: 1. `probes`: random vectors a layer, 4; each holds a number for every output of every
    sample, so that few are enough.

    ## Where we differ
    The paper moves all scales together by gradient descent on the squared logarithms of the
    norms. A partial Jacobian is proportional to its weight where the layer before is settled, so
    one factor is exact, front to back. Sigmoid is refused: its slope is at most 1/4, the weights
    that make up for it saturate it, and they have to grow on.

    ## Composes with
    An initialisation or an exchange of the activation, which are made first.

    ## Evidence
    Digits, 30 plain layers of 64 units, Adam, 300 steps, the better of two learning rates for
    every arm, one seed, share of the test images (`python -m benchmarks.starts`; a guess is
    0.1): tanh 0.953 (untouched 0.194), GELU 0.936 (0.078), SiLU 0.928 (0.078), ReLU 0.881
    (0.078), softplus 0.694 (0.094).

    ## Source
    He, Doshi and Gromov (2022).
    """

    name: ClassVar[str] = "jacobian-tuning"
    treats: ClassVar[frozenset[str]] = frozenset({"UV101", "UV102", "UV105"})
    change: ClassVar[Change] = Change.INITIALISATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.ARCHITECTURE, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["he2022"],)
    after: ClassVar[frozenset[str]] = EXCHANGES | DRAWING
    excludes: ClassVar[frozenset[str]] = (MEASURING | SHAPING) - {"jacobian-tuning"}

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit a network with two layers or more in a row and no sigmoid between them."""
        layers, alone = scalable(case)
        behind = {layer.activation for layer in layers if not layer.is_output}
        if behind & _BOUNDED_ABOVE_ZERO:
            return NotApplicable(
                "weights that make up for the slope of a sigmoid saturate it, and have to grow "
                "on from layer to layer; centre-and-unit-variance is for sigmoids"
            )
        if len(layers) < 2:
            return NotApplicable(f"there are no two layers to tune: {'; '.join(alone) or 'none'}")
        return Prescription(
            remedy=self.name,
            why=f"{len(layers)} layers can pass a gradient on with its length kept",
            change=self.change,
            keeps=self.keeps,
            settings={"norm": 1.0, "probes": 4, "left alone": "; ".join(alone)},
            places=tuple(layer.weight for layer in layers),
            cost="what the scales have learnt; one forward pass and a few gradients a layer",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Scale each layer as the batch reaches it."""
        wanted = float(prescription.settings["norm"])
        probes = max(1, int(prescription.settings["probes"]))
        mixed: list[str] = []

        def fit(reached: Reached) -> Fit | None:
            if len(reached.begins) != 1:
                mixed.append(reached.layer.path or reached.layer.weight)
                return None
            norm = _partial_jacobian_norm(reached, probes)
            if not (math.isfinite(norm) and norm > 0.0):
                raise CannotTreatError(
                    f"no gradient comes through it on this batch: its Jacobian norm is {norm:g}",
                    where=reached.layer.path or reached.layer.weight,
                )
            return Fit(factor=math.sqrt(wanted / norm))

        with rehearsal(patient) as stage:
            stage.run(chosen(patient, prescription.places), fit, slopes=True)
        stage.perform()
        if mixed:
            patient.notes.append(
                f"{', '.join(mixed[:3])}{', ...' if len(mixed) > 3 else ''}: left as it is, for "
                "several layers feed it."
            )
        patient.notes.extend(filter(None, str(prescription.settings["left alone"]).split("; ")))


def _partial_jacobian_norm(reached: Reached, probes: int) -> float:
    """Return |d output / d begin|_F^2 / (outputs x samples), estimated with random signs."""
    (begin,) = reached.begins
    total = 0.0
    for probe in range(probes):
        signs = torch.randint_like(reached.output, 2) * 2 - 1
        (back,) = torch.autograd.grad(reached.output, begin, signs, retain_graph=probe + 1 < probes)
        total += float(back.double().square().sum()) / reached.output.numel()
    return total / probes
