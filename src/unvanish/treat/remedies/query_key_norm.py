"""Query-key normalisation: scores depend on directions, not on sizes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

from torch import nn

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.attention import (
    FUSED,
    MODULE,
    PRODUCTS,
    Attention,
    NormalisedAttention,
    UnitSize,
    attentions_of,
)
from unvanish.treat.interception import is_shadowed
from unvanish.treat.protocol import Case, Patient


@final
@dataclass(frozen=True, kw_only=True)
class QueryKeyNorm:
    r"""Normalise queries and keys, head by head, before they are multiplied.

    ## When to use
    Attention whose scores lie so far apart that its softmax has chosen for good, or whose scores
    grow while it trains.

    ## What it changes
    Each query and each key is divided by its root mean square; queries are multiplied with one
    learnt number. Products over sqrt(d) then have a spread of about 1, and none is larger than
    sqrt(d). An `nn.MultiheadAttention` becomes one of ours with the same parameters and names.
    What is cached for generation stays what it was: keys are normalised where they are used.

    ## What it costs
    Two normalisations a layer. A trained network computes something else. PyTorch's transformer
    layers no longer run as one kernel in evaluation.

    ## Settings
    `scale <path>`: what the learnt number starts from, 1, or 1 / sqrt(d) where the network does
    not divide its scores.

    ## Where we differ
    Henry and others have unit length and a learnt number in the place of sqrt(d); Dehghani and
    others LayerNorm with learnt weights. One number for all entries stays valid behind rotary
    positions, which turn the entries into each other.

    ## Composes with
    Any initialisation. Not with attention-scale, which it makes needless.

    ## Evidence
    Two blocks of width 32 whose queries and keys are 60 times too large: 98 % of the softmax's rows
    are frozen before and none after, with a spread of 0.9. Fifty times larger weights then change
    the spread by less than 5 %.

    ## Source
    Henry, Dachapally, Pawar and Chen (2020), section 3; Dehghani and others (2023), section 2.
    """

    name: ClassVar[str] = "query-key-norm"
    treats: ClassVar[frozenset[str]] = frozenset({"UV302"})
    change: ClassVar[Change] = Change.NORMALISATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.WEIGHTS, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["henry2020"], SOURCES["dehghani2023"])
    after: ClassVar[frozenset[str]] = frozenset({"pre-norm"})
    excludes: ClassVar[frozenset[str]] = frozenset({"attention-scale"})

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit attention whose queries and keys can be reached and are not normalised."""
        found = attentions_of(case.recording)
        if not found:
            return NotApplicable("no attention over products of queries and keys was seen")
        refused = {one.path: _refusal(one, case.model) for one in found}
        fitting = [one for one in found if not refused[one.path]]
        if not fitting:
            path, reason = next(iter(refused.items()))
            return NotApplicable(f"{path}: {reason}" if path else reason)
        return Prescription(
            remedy=self.name,
            why=f"the scores of {len(fitting)} attention layers depend on the sizes of queries "
            "and keys",
            change=self.change,
            keeps=self.keeps,
            settings={
                f"scale {one.path}".strip(): 1.0 if one.scaled else 1.0 / math.sqrt(one.width)
                for one in fitting
            },
            places=tuple(dict.fromkeys(one.path for one in fitting)),
            cost="two normalisations a layer",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Put a normalisation before both factors of each product."""
        surgery = patient.surgery
        for one in attentions_of(patient.anatomy.recording):
            if one.path not in prescription.places or _refusal(one, patient.model):
                continue
            scale = float(prescription.settings[f"scale {one.path}".strip()])
            module = patient.model.get_submodule(one.path)
            if isinstance(module, nn.MultiheadAttention):
                new = NormalisedAttention.of(module)
                new.query_scale.data.fill_(scale)
                surgery.replace(one.path, new, source=one.softmax.source)
                continue
            for argument, stem, start in ((0, "query_norm", scale), (1, "key_norm", None)):
                transposed = argument == 1 and one.function in PRODUCTS
                surgery.insert(
                    one.path,
                    UnitSize(one.width, -2 if transposed else -1, start),
                    "before",
                    function=one.function,
                    call=one.call,
                    argument=argument,
                    stem=stem,
                    before="of any size",
                    after="of unit size",
                    source=one.softmax.source,
                )


def _refusal(one: Attention, model: nn.Module) -> str:
    if one.normalised:
        return "its queries and keys are normalised already"
    module = model.get_submodule(one.path)
    if isinstance(module, nn.MultiheadAttention):
        if not one.path:
            return "the network itself is the attention; put it into a module"
        own = type(module).forward is not nn.MultiheadAttention.forward or is_shadowed(module)
        if own or one.function != MODULE:
            return f"{type(module).__name__} has a forward of its own"
        if module.bias_k is not None or module.add_zero_attn:
            return "it adds keys of its own"
        return ""
    if one.function not in PRODUCTS | {FUSED}:
        return f"its scores are made by {one.function}, whose factors cannot be told apart"
    return ""
