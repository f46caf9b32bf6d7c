"""Attention scale: the scores of a query lie about one apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Final, final

from torch import nn

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.attention import FUSED, Attention, Factor, attentions_of
from unvanish.treat.protocol import Case, Patient

_WIDE: Final = 2.0
"""Spread of scores from which on they are scaled; a sound start has one of about 1 or less."""


@final
@dataclass(frozen=True, kw_only=True)
class AttentionScale:
    r"""Bring the scores of attention back to where its softmax has a slope: about one apart.

    ## When to use
    Attention whose softmax has chosen for good because its scores were not divided by sqrt(d),
    or because the weights that make queries and keys are too large.

    ## What it changes
    Where nothing scales the scores they are divided by sqrt(d), and by their spread where that is
    not enough. Where they are scaled and still too far apart, the weights and biases that make
    queries and keys are multiplied with 1 / sqrt(spread) each; where one matrix makes values too,
    and cannot be told apart by its rows, the scores are divided by the spread.

    ## What it costs
    A trained network computes something else. A division a layer, where one is added.

    ## Settings
    For each place, a weight or the path of a module, the factor it is multiplied with.

    ## Where we differ
    The paper knows the division by sqrt(d). The scale of weights is measured on the batch.

    ## Composes with
    Any remedy for the layers around attention. Not with query-key-norm, which makes it needless.

    ## Evidence
    EVIDENCE

    ## Source
    Vaswani and others (2017), section 3.2.1.
    """

    name: ClassVar[str] = "attention-scale"
    treats: ClassVar[frozenset[str]] = frozenset({"UV302"})
    change: ClassVar[Change] = Change.INITIALISATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["vaswani2017"],)
    after: ClassVar[frozenset[str]] = frozenset({"pre-norm", "xavier", "orthogonal", "lecun", "he"})
    excludes: ClassVar[frozenset[str]] = frozenset({"query-key-norm"})

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit attention whose scores lie too far apart."""
        found = attentions_of(case.recording)
        if not found:
            return NotApplicable("no attention over products of queries and keys was seen")
        wide = [one for one in found if one.spread > _WIDE]
        if not wide:
            most = max(one.spread for one in found)
            return NotApplicable(f"the scores of a query lie at most {most:.2g} apart")
        factors: dict[str, float] = {}
        for one in wide:
            for place, factor in _factors(one, case.model).items():
                factors[place] = min(factor, factors.get(place, 1.0))
        unscaled = sum(not one.scaled for one in wide)
        return Prescription(
            remedy=self.name,
            why=f"the scores of a query lie up to {max(one.spread for one in wide):.3g} apart in "
            f"{len(wide)} of {len(found)} attention layers"
            + (f"; {unscaled} do not divide them by sqrt(d)" if unscaled else ""),
            change=self.change,
            keeps=self.keeps,
            settings=factors,
            places=tuple(factors),
            cost="what the scores were",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Scale weights, or what is multiplied or taken the softmax of."""
        surgery = patient.surgery
        parameters = dict(patient.model.named_parameters())
        at = {one.path: one for one in attentions_of(patient.anatomy.recording)}
        softmaxes = {one.softmax.path: one for one in at.values()}
        for place in prescription.places:
            factor = float(prescription.settings[place])
            if place in parameters:
                self._scale(patient, place, factor)
            elif place in at and at[place].function == FUSED:
                one = at[place]
                surgery.insert(
                    place,
                    Factor(factor),
                    "before",
                    function=FUSED,
                    call=one.call,
                    before="scores",
                    after=f"scores times {factor:.3g}",
                    source=one.softmax.source,
                )
            elif place in softmaxes:
                one = softmaxes[place]
                called = isinstance(patient.model.get_submodule(place), nn.Softmax)
                surgery.insert(
                    place,
                    Factor(factor),
                    "before",
                    function="" if called else "softmax",
                    call=None if called else one.softmax_call,
                    before="scores",
                    after=f"scores times {factor:.3g}",
                    source=one.softmax.source,
                )

    def _scale(self, patient: Patient, name: str, factor: float) -> None:
        """Scale what makes queries and keys, the bias with the weight."""
        surgery = patient.surgery
        path, _, leaf = name.rpartition(".")
        module = patient.model.get_submodule(path)
        if isinstance(module, nn.MultiheadAttention):
            stem = f"{path}." if path else ""
            if leaf == "in_proj_weight":
                rows = surgery.weight_of(name).clone()
                rows[: 2 * module.embed_dim] *= factor
                surgery.set_values(name, rows)
            else:
                surgery.set_values(name, surgery.weight_of(name) * factor)
            has_bias = getattr(module, "in_proj_bias", None) is not None
            if has_bias and leaf in ("in_proj_weight", "q_proj_weight"):
                rows = surgery.weight_of(f"{stem}in_proj_bias").clone()
                rows[: 2 * module.embed_dim] *= factor
                surgery.set_values(f"{stem}in_proj_bias", rows)
            return
        surgery.set_values(name, surgery.weight_of(name) * factor)
        layer = patient.anatomy.layer_of(name)
        if layer is not None and layer.bias:
            surgery.set_values(layer.bias, surgery.weight_of(layer.bias) * factor)


def _factors(one: Attention, model: nn.Module) -> dict[str, float]:
    """Return what is multiplied with what, for the scores of one place to lie 1 apart."""
    root = math.sqrt(1.0 / one.spread)
    module = model.get_submodule(one.path)
    stem = f"{one.path}." if one.path else ""
    if isinstance(module, nn.MultiheadAttention):
        if module._qkv_same_embed_dim:
            return {f"{stem}in_proj_weight": root}
        return {f"{stem}q_proj_weight": root, f"{stem}k_proj_weight": root}
    if one.scaled and one.apart and not one.normalised:
        return dict.fromkeys(one.apart, root if len(one.apart) == 2 else root * root)
    usual = math.sqrt(one.width)
    enough = not one.scaled and one.spread / usual <= _WIDE
    place = one.path if one.function == FUSED else one.softmax.path
    return {place: 1.0 / (usual if enough else one.spread)}
