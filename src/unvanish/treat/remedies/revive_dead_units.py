"""Units that are silent on the whole batch get a bias that makes half of it heard."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Final, final

import torch
from torch import Tensor

from unvanish.core.glossary import Quantity
from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.anatomy import Layer
from unvanish.treat.drawing import drawable, normal
from unvanish.treat.layouts import layout_of
from unvanish.treat.probing import before_function, passing
from unvanish.treat.protocol import Case, Patient

_SHUTTING: Final = frozenset({"relu", "relu6", "threshold"})
_FEWEST_SAMPLES: Final = 8
_MOST_DRAWS: Final = 16


@final
@dataclass(frozen=True, kw_only=True)
class ReviveDeadUnits:
    r"""Give units that are silent on the whole batch a bias that makes half of it heard.

    ## When to use
    ReLU units that are zero on every sample: no gradient reaches their weights, so that nothing
    brings them back. After a step that was too large, with biases far below zero, or with weights
    that all point away from the data.

    ## What it changes
    The bias of each dead unit is raised by the median of what it computes on the batch, so that it
    is heard on half of it. Where a normalisation stands between, its shift is. A unit without a
    bias, or one that computes the same for every sample (the spread below a tenth of the median
    unit's of its layer), gets incoming weights anew, from N(0, 2 / fan-in), without a bias again
    and again until it is heard on a quarter to three quarters of the batch. Layers are treated in
    forward order, each on what the layers before it now pass on. Units that are heard on any sample
    keep every bit.

    ## What it costs
    What dead units had learnt: nothing that the network used. Its outputs change, since the units
    that were silent now speak.

    ## Settings
    ``heard``, 0.5: the share of the batch on which a unit is to be heard. ``least_spread``, 0.1:
    below this share of the median unit's spread, incoming weights are drawn anew.

    ## Where we differ
    Dead is what is zero on one batch: a unit for rare samples can be silent on it, so that fewer
    than 8 samples are refused, where a sound unit is silent on one batch in 2^8 by chance. Layers
    that run several times in a pass, in loops over time or with shared weights, are left alone.

    ## Composes with
    A smaller learning rate, without which units die again; leaky-relu, made first, which leaves it
    nothing to do.

    ## Evidence
    Two layers of 32 ReLUs, 20 of each dead by biases of -30: afterwards each of the 20 is heard on
    .50 of the batch, and the bits of the other 12 are unchanged. Without biases, dead by weights
    that all point away: heard on .38 to .68.

    ## Source
    Lu, Shin, Su and Karniadakis (2020) on what makes units die.
    """

    name: ClassVar[str] = "revive-dead-units"
    treats: ClassVar[frozenset[str]] = frozenset({"UV202", "UV101", "UV103"})
    change: ClassVar[Change] = Change.INITIALISATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.ARCHITECTURE, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["lu2020"],)
    after: ClassVar[frozenset[str]] = frozenset(
        {"relu", "leaky-relu", "prelu", "elu", "selu", "gelu", "silu", "he", "orthogonal"}
    )
    excludes: ClassVar[frozenset[str]] = frozenset()

    heard: float = 0.5
    least_spread: float = 0.1

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit networks with units of the ReLU family that are silent on the batch."""
        layers = [layer for layer in drawable(case) if _fits(layer)]
        if not layers:
            return NotApplicable("no layer feeds a ReLU")
        if case.batch.size < _FEWEST_SAMPLES:
            return NotApplicable(
                f"the batch has {case.batch.size} samples: a sound unit is silent on so few by "
                f"chance; take {_FEWEST_SAMPLES} or more"
            )
        dead = case.recording[Quantity.DEAD_FRACTION]
        silent = [
            layer
            for layer in layers
            if layer.activation_site is not None and dead.get(layer.activation_site, 1.0) > 0.0
        ]
        if not silent:
            return NotApplicable("every unit is heard on some sample of the batch")
        return Prescription(
            remedy=self.name,
            why=f"units of {len(silent)} layers are silent on the whole batch",
            change=self.change,
            keeps=self.keeps,
            settings={"heard": self.heard, "least_spread": self.least_spread},
            places=tuple(layer.weight for layer in layers),
            cost="the outputs change, since silent units speak",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Revive the dead units of one layer after the other."""
        heard = float(prescription.settings["heard"])
        least = float(prescription.settings["least_spread"])
        for name in prescription.places:
            layer = patient.anatomy.layer_of(name)
            if layer is not None:
                _revive(patient, layer, heard, least)


def _fits(layer: Layer) -> bool:
    plain = not (layer.is_recurrent or layer.is_output) and layer.calls == 1
    return plain and layer.activation in _SHUTTING


def _revive(patient: Patient, layer: Layer, heard: float, least: float) -> None:
    shift = _shift_of(patient, layer)
    signal = _sums(patient, layer)
    if signal is None or (layer.norm_site is not None and not shift):
        return
    dead = (signal <= 0.0).all(dim=1)
    if not bool(dead.any()):
        return
    spread = signal.std(dim=1)
    usual = float(spread.median() if bool(dead.all()) else spread[~dead].median())
    flat = dead & ((spread <= least * usual) | (spread == 0.0))
    if layer.norm_site is None:
        signal = _draw(patient, layer, flat if shift else dead, signal, heard, once=bool(shift))
    if shift:
        values = patient.surgery.weight_of(shift).clone()
        values[dead] -= _level(signal[dead], heard).to(values)
        patient.surgery.set_values(shift, values, source=layer.site.source)


def _level(signal: Tensor, heard: float) -> Tensor:
    """Return the level above which a share of each row lies, halfway between two entries."""
    entries = signal.double().sort(dim=1).values
    last = entries.shape[1] - 1
    below = min(max(round((1.0 - heard) * entries.shape[1]), 1), last)
    return (entries[:, below - 1] + entries[:, below]) / 2.0


def _draw(
    patient: Patient, layer: Layer, units: Tensor, signal: Tensor, heard: float, *, once: bool
) -> Tensor:
    """Draw the incoming weights of some units anew, and return what they compute then.

    Without a bias to be set afterwards, those that come out silent or never silent are drawn
    again.
    """
    weight = patient.surgery.weight_of(layer.weight)
    layout = layout_of(layer, weight, patient.model)
    if layout.groups > 1 and layout.outputs == 1:
        return signal
    shape = [1] * weight.ndim
    shape[layout.outputs] = -1
    deviation = math.sqrt(2.0 / layout.fan_in)
    for _ in range(1 if once else _MOST_DRAWS):
        if not bool(units.any()):
            break
        weight = patient.surgery.weight_of(layer.weight)
        drawn = torch.where(units.view(shape), normal(weight, deviation), weight)
        patient.surgery.set_values(layer.weight, drawn, source=layer.site.source)
        signal = _or(_sums(patient, layer), signal)
        share = (signal > 0.0).double().mean(dim=1)
        units = units & ((share - heard).abs() > heard / 2.0)
    return signal


def _or(new: Tensor | None, old: Tensor) -> Tensor:
    return old if new is None else new


def _sums(patient: Patient, layer: Layer) -> Tensor | None:
    """Return what enters the function, a row a unit; None where it cannot be told."""
    if layer.activation_site is None:
        return None
    spot = before_function(patient.anatomy.recording, patient.model, layer.activation_site)
    seen = passing(patient.model, patient.batch, [spot])[0]
    if len(seen) != 1:
        return None
    axis = 1 if layer.site.function.startswith("conv") else -1
    signal = seen[0].movedim(axis, 0).flatten(1)
    weight = patient.surgery.weight_of(layer.weight)
    layout = layout_of(layer, weight, patient.model)
    if layout.outputs == 0 and signal.shape[0] != weight.shape[0]:
        return None
    return signal if bool(signal.isfinite().all()) else None


def _shift_of(patient: Patient, layer: Layer) -> str:
    """Return the parameter that is added to each unit before its function; empty without one."""
    if layer.norm_site is None:
        return layer.bias
    shapes = {p.name: p.shape for p in patient.anatomy.recording.parameters}
    own = [name for name in layer.norm_site.weights if len(shapes.get(name, ())) == 1]
    return own[1] if len(own) > 1 else ""
