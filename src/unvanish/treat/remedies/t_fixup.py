"""T-Fixup: a start for transformers without normalisation and without warm-up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final, final

import torch
from torch import nn

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.records import Recording, Site
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.core.wiring import Wiring
from unvanish.diagnose.routers import scores
from unvanish.treat.attention import Attention, attentions_of
from unvanish.treat.drawing import drawable, each, zero_bias
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.streams import Branch, branches_of, reaches
from unvanish.treat.ways import NORMS, weight_of

_ENCODER: Final = 0.67
_BRANCHES: Final = {"encoder": 2, "decoder": 3}
"""Residual branches of a layer: attention and feed-forward; with attention to the encoder."""


class _Role(StrEnum):
    PLAIN = "plain"
    ENCODER = "encoder"
    DECODER = "decoder"
    EMBEDDING = "embedding"


@final
@dataclass(frozen=True, kw_only=True)
class TFixup:
    r"""Draw a transformer without normalisation so that its first steps are small at any depth.

    ## When to use
    A transformer that has no LayerNorm, or whose LayerNorm was taken out. It then trains without
    a warm-up of the learning rate.

    ## What it changes
    Every matrix is drawn by Xavier's rule, each of queries, keys and values by itself; tables of
    embeddings from N(0, 1 / d). Then values, the output of attention, and both matrices of the
    feed-forward part are multiplied with 0.67 N^(-1/4) in an encoder of N layers and with
    (9 N)^(-1/4) in a decoder, embeddings with (9 N)^(-1/4). Biases become zero.

    ## What it costs
    What was learnt in these weights.

    ## Settings
    `encoder`, `decoder` and `embedding`: these factors, where the network has such a part.

    ## Where we differ
    A stack that attends to nothing but itself counts as an encoder, be it causal or not; the
    paper has encoder and decoder together. LayerNorm is not taken out: a network that normalises
    is refused. The Adam of the paper is the user's to choose.

    ## Composes with
    Nothing that draws the same weights.

    ## Evidence
    16 blocks of width 32 without norms: the gradient at the first residual sum over that at the
    last is 10^4.4 before and 10^0.1 after. 24 such blocks, Adam at 1e-3 without warm-up, 200
    steps, the first of 12 tokens asked for: learned, and at chance without.

    ## Source
    Huang, Perez, Ba and Volkovs (2020), section 3.2.
    """

    name: ClassVar[str] = "t-fixup"
    treats: ClassVar[frozenset[str]] = frozenset({"UV101", "UV102", "UV103", "UV105", "UV302"})
    change: ClassVar[Change] = Change.INITIALISATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.ARCHITECTURE, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["huang2020"],)
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = frozenset({"depth-scaled-init", "pre-norm"})

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit transformers without normalisation."""
        attentions = attentions_of(case.recording)
        branches = branches_of(case.recording)
        if not attentions or not branches:
            return NotApplicable("it is no transformer: no attention in residual branches was seen")
        norm = next((s for s in case.recording.signal_sites() if s.op in NORMS), None)
        if norm is not None:
            return NotApplicable(
                f"it normalises, at {norm.path or norm.name}; T-Fixup goes without"
            )
        if any(branch.begins_normalised for branch in branches):
            return NotApplicable("its branches begin with a normalisation; T-Fixup goes without")
        fused = next((a for a in attentions if _is_fused(a, case.model)), None)
        if fused is not None:
            return NotApplicable(
                f"{fused.query} makes queries, keys and values, whose rows cannot be told apart"
            )
        layers = _layers(case.recording, branches, attentions)
        if not layers:
            return NotApplicable("no attention was seen in its residual branches")
        deepest = max(layers.values())
        settings = {"embedding": (9.0 * deepest) ** -0.25}
        for kind, number in layers.items():
            factor = _ENCODER * number**-0.25 if kind == "encoder" else (9.0 * number) ** -0.25
            settings[kind] = factor
        roles = _roles(case.recording, branches, attentions)
        places = [
            layer.weight
            for layer in drawable(case)
            if not layer.is_recurrent and len(_shape(case.recording, layer.weight)) == 2
        ]
        tables = [name for name, role in roles.items() if role is _Role.EMBEDDING]
        return Prescription(
            remedy=self.name,
            why=" and ".join(f"{n:.0f} {kind} layers" for kind, n in layers.items())
            + " without normalisation",
            change=self.change,
            keeps=self.keeps,
            settings=settings,
            places=(*places, *tables),
            cost="what these weights have learnt",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Draw and scale."""
        recording = patient.anatomy.recording
        attentions = attentions_of(recording)
        roles = _roles(recording, branches_of(recording), attentions)
        settings = prescription.settings
        surgery = patient.surgery
        for layer, weight, layout in each(patient, prescription.places):
            role = roles.get(layer.weight, _Role.PLAIN)
            factor = float(settings.get(role.value, 1.0))
            if role is _Role.EMBEDDING:
                new = torch.empty_like(weight).normal_(0.0, weight.shape[1] ** -0.5) * factor
                surgery.set_values(layer.weight, new)
                continue
            bound = math.sqrt(6.0 / (layout.fan_in + layout.fan_out))
            new = torch.empty_like(weight).uniform_(-bound, bound)
            if layer.weight.endswith("in_proj_weight"):
                new[2 * (new.shape[0] // 3) :] *= factor
            else:
                new *= factor
            surgery.set_values(layer.weight, new)
            zero_bias(patient, layer)


def _shape(recording: Recording, name: str) -> tuple[int, ...]:
    return next((p.shape for p in recording.parameters if p.name == name), ())


def _is_fused(one: Attention, model: nn.Module) -> bool:
    stacked = isinstance(model.get_submodule(one.path), nn.MultiheadAttention)
    return not stacked and one.value in (one.query, one.key)


def _kinds(
    recording: Recording, branches: tuple[Branch, ...], attentions: tuple[Attention, ...]
) -> Mapping[int, str]:
    """Return the streams with attention: an encoder attends to itself, a decoder to another too."""
    wiring = Wiring(recording)
    shapes = {p.name: p.shape for p in recording.parameters}
    kinds: dict[int, str] = {}
    for one in attentions:
        for branch in branches:
            if one.query not in {weight_of(site, shapes) for site in branch.inside}:
                continue
            kinds.setdefault(branch.stream, "encoder")
            made = _key_layer(wiring, one, shapes)
            start = branch.start
            if made is not None and start is not None and not reaches(wiring, made, start):
                kinds[branch.stream] = "decoder"
    return kinds


def _key_layer(
    wiring: Wiring, one: Attention, shapes: Mapping[str, tuple[int, ...]]
) -> Site | None:
    product = scores(wiring, one.softmax)
    if product is None:
        return None
    operand = wiring.producers(product)[-1]
    return next(
        (site for site in (operand, *wiring.behind(operand)) if weight_of(site, shapes)), None
    )


def _layers(
    recording: Recording, branches: tuple[Branch, ...], attentions: tuple[Attention, ...]
) -> dict[str, float]:
    """Return the number of layers of encoder and decoder; of the deepest where there are more."""
    found: dict[str, float] = {}
    for stream, kind in _kinds(recording, branches, attentions).items():
        number = sum(branch.stream == stream for branch in branches) / _BRANCHES[kind]
        found[kind] = max(found.get(kind, 0.0), number)
    return found


def _roles(
    recording: Recording, branches: tuple[Branch, ...], attentions: tuple[Attention, ...]
) -> dict[str, _Role]:
    """Return what every weight is drawn as; the others are drawn plainly."""
    shapes = {p.name: p.shape for p in recording.parameters}
    trained = {p.name for p in recording.parameters if p.requires_grad}
    kinds = _kinds(recording, branches, attentions)
    asking = {name for one in attentions for name in (one.query, one.key)}
    values = {one.value for one in attentions}
    roles: dict[str, _Role] = {}
    for branch in branches:
        kind = kinds.get(branch.stream, "")
        for site in branch.inside if kind else ():
            name = weight_of(site, shapes)
            if name not in asking or name in values:
                roles[name] = _Role(kind)
    for site in recording.signal_sites():
        for name in site.weights if site.function == "embedding" else ():
            if name in trained:
                roles[name] = _Role.EMBEDDING
    return roles
