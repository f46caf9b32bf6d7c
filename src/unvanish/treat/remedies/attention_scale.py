"""Attention scale: the scores of a query lie about one apart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, final

from torch import nn

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.records import Recording
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.core.wiring import Wiring
from unvanish.diagnose.rules.attention import AttentionCollapse
from unvanish.observe.copies import copied
from unvanish.observe.tracing import trace
from unvanish.treat.anatomy import Anatomy
from unvanish.treat.attention import FUSED, Attention, Factor, weighings_of
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.surgery import Surgery

_BOTH: Final = 2
"""Queries and keys."""
_NARROW: Final = 0.25
"""Spread below which a factor was too small."""
_OF_COSINES: Final = 10.0
"""Factor of cosines: the best of a hundred keys may then have all of the weight."""
_ROUNDS: Final = 3
"""How often factors are corrected by what came of them."""
_WIDE: Final = 2.0
"""Spread of scores from which on they are scaled; a sound start has one of about 1 or less."""


@final
@dataclass(frozen=True, kw_only=True)
class AttentionScale:
    r"""Bring the scores of attention back to where its softmax has a slope: about one apart.

    ## When to use
    Attention whose softmax has chosen for good because its scores were not divided by sqrt(d),
    or because the weights that make queries and keys are too large. Any other softmax that weighs
    values, by sums of products, by distances or by what a layer gives out, and has chosen likewise.
    Attention whose scores are cosines, so that no key can get half of the weight.

    ## What it changes
    Where nothing scales the scores they are divided by sqrt(d), and by their spread where that is
    not enough. Where they are scaled and still too far apart, the weights and biases that make
    queries and keys are multiplied with 1 / sqrt(spread) each; where one matrix makes values too,
    and cannot be told apart by its rows, the scores are divided by the spread. So they are where no
    matrix product makes them. Cosines are multiplied by 10. Where a factor is added, the
    prescription calls it a change of the activation: it is the temperature of a softmax.

    ## What it costs
    A trained network computes something else. A division a layer, where one is added.

    ## Settings
    For each place, a weight or the path of a module, the factor it is multiplied with.

    ## Where we differ
    The paper knows the division by sqrt(d). The scale of weights is measured on the batch, on
    copies, since a softmax that has chosen hides how far apart its scores are.

    ## Composes with
    Any remedy for the layers around attention. Not with query-key-norm, which makes it needless.

    ## Evidence
    Two blocks of width 32 whose queries and keys are 60 times too large: 98 % of the softmax's rows
    are frozen before and none after, with a spread of 1.0. `unvanish cure` on
    benchmarks/outside_cures/gamma/key_value_recall.py, whose scores are summed products some 500
    apart: an accuracy of 1.00 in the place of 0.35, means of five seeds.

    ## Source
    Vaswani and others (2017), section 3.2.1.
    """

    name: ClassVar[str] = "attention-scale"
    treats: ClassVar[frozenset[str]] = frozenset({"UV302"})
    change: ClassVar[Change] = Change.INITIALISATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset(
        {Keeps.STATE_NAMES, Keeps.ARCHITECTURE, Keeps.WEIGHTS}
    )
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["vaswani2017"],)
    after: ClassVar[frozenset[str]] = frozenset({"pre-norm", "xavier", "orthogonal", "lecun", "he"})
    excludes: ClassVar[frozenset[str]] = frozenset({"query-key-norm"})

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit attention whose scores lie too far apart."""
        found = weighings_of(case.recording)
        if not found:
            return NotApplicable("no attention was seen: no softmax weighs values")
        wide = [one for one in found if one.spread > _WIDE]
        if not wide and (narrow := _bounded(case.recording, found)):
            return self._wider(narrow)
        if not wide:
            most = max((one.spread for one in found if one.spread >= 0.0), default=math.nan)
            if math.isnan(most):
                where = found[0].softmax.name
                return NotApplicable(f"how far apart the scores of {where} lie was not measured")
            return NotApplicable(f"the scores of a query lie at most {most:.2g} apart")
        factors = _measured(case, wide)
        unscaled = sum(not one.scaled for one in wide)
        parameters = {name for name, _ in case.model.named_parameters(remove_duplicate=False)}
        start, added = parameters.issuperset(factors), parameters.isdisjoint(factors)
        return Prescription(
            remedy=self.name,
            why=f"the scores of a query lie up to {max(one.spread for one in wide):.3g} apart in "
            f"{len(wide)} of {len(found)} attention layers"
            + (f"; {unscaled} do not divide them by sqrt(d)" if unscaled else ""),
            change=self.change if start else Change.ACTIVATION,
            keeps=self.keeps
            - (frozenset() if start else {Keeps.ARCHITECTURE})
            - (frozenset() if added else {Keeps.WEIGHTS}),
            settings=factors,
            places=tuple(factors),
            cost="what the scores were",
        )

    def _wider(self, narrow: list[Attention]) -> Prescription:
        """Multiply cosines, which the softmax cannot choose by as they are."""
        places = {_called_in(one): _OF_COSINES for one in narrow}
        return Prescription(
            remedy=self.name,
            why="the scores are cosines, and give no key half of the weight",
            change=Change.ACTIVATION,
            keeps=self.keeps - {Keeps.ARCHITECTURE},
            settings=places,
            places=tuple(places),
            cost="what the scores were",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Scale weights, or what is multiplied or taken the softmax of."""
        factors = {place: float(prescription.settings[place]) for place in prescription.places}
        _scale(patient.surgery, patient.anatomy, factors)


def _bounded(recording: Recording, found: Sequence[Attention]) -> list[Attention]:
    """Return the attention whose scores are cosines that UV302 finds too near to each other."""
    wiring, rule = Wiring(recording), AttentionCollapse()
    return [one for one in found if rule.is_bounded(wiring, one.softmax)]


def _measured(case: Case, wide: list[Attention]) -> dict[str, float]:
    """Return the factors with which scores lie about 1 apart, tried on copies.

    A softmax that has chosen hides how far apart its scores are, and each layer changes what the
    next one gets.
    """
    places = {_place(one): _factors(one, case.model) for one in wide}
    factors: dict[str, float] = {}
    for step in places.values():
        for place, factor in step.items():
            factors[place] = min(factor, factors.get(place, 1.0))
    for _ in range(_ROUNDS):
        twin = copied(case.model)
        _scale(Surgery(twin), case.anatomy, factors)
        seen = weighings_of(trace(twin, case.batch, case.loss, batches=1, probe_steps=0))
        widest: dict[tuple[str, str], Attention] = {}
        for one in sorted(seen, key=lambda one: one.spread):
            if _place(one) in places and one.spread > 0.0:
                widest[_place(one)] = one
        off = [one for one in widest.values() if not _NARROW <= one.spread <= _WIDE]
        if not off:
            break
        for one in off:
            own = places[_place(one)]
            both = len(own) == _BOTH or any(name.endswith("in_proj_weight") for name in own)
            for place in own:
                factors[place] *= one.spread ** (-0.5 if both else -1.0)
    return factors


def _place(one: Attention) -> tuple[str, str]:
    return one.path, one.softmax.path


def _scale(surgery: Surgery, anatomy: Anatomy, factors: Mapping[str, float]) -> None:
    """Multiply weights, or scores where a place is the path of a module."""
    parameters = dict(surgery.model.named_parameters())
    attentions = weighings_of(anatomy.recording)
    for place, factor in factors.items():
        if place in parameters:
            _scale_weight(surgery, anatomy, place, factor)
            continue
        called = isinstance(surgery.model.get_submodule(place), nn.Softmax)
        here = [one for one in attentions if place == _called_in(one)]
        wide = [one for one in here if one.spread > _WIDE] or here
        for one in wide[:1] if called else wide:
            _scale_scores(surgery, one, factor, called=called)


def _scale_scores(surgery: Surgery, one: Attention, factor: float, *, called: bool) -> None:
    """Multiply what a softmax is given, wherever its forward takes it for this attention."""
    every = called or one.softmax_calls is None
    for number, call in enumerate((None,) if every else one.softmax_calls or ()):
        surgery.insert(
            _called_in(one),
            Factor(factor),
            "before",
            function="" if called else FUSED if one.function == FUSED else one.softmax.op,
            call=call,
            before="" if number else "scores",
            after="" if number else f"scores times {factor:.3g}",
            source=one.softmax.source,
        )


def _called_in(one: Attention) -> str:
    """Return the path of the module whose forward takes the softmax, or calls all of it."""
    return one.path if one.function == FUSED else one.softmax.path


def _scale_weight(surgery: Surgery, anatomy: Anatomy, name: str, factor: float) -> None:
    """Scale what makes queries and keys, the bias with the weight."""
    path, _, leaf = name.rpartition(".")
    module = surgery.model.get_submodule(path)
    if not isinstance(module, nn.MultiheadAttention):
        surgery.set_values(name, surgery.weight_of(name) * factor)
        layer = anatomy.layer_of(name)
        if layer is not None and layer.bias:
            surgery.set_values(layer.bias, surgery.weight_of(layer.bias) * factor)
        return
    stem = f"{path}." if path else ""
    width = module.embed_dim
    rows = {"in_proj_weight": slice(0, 2 * width), "q_proj_weight": slice(0, width)}
    own = rows.get(leaf, slice(width, 2 * width))
    stacked = surgery.weight_of(name).clone()
    stacked[own if leaf == "in_proj_weight" else slice(None)] *= factor
    surgery.set_values(name, stacked)
    if getattr(module, "in_proj_bias", None) is not None:
        bias = surgery.weight_of(f"{stem}in_proj_bias").clone()
        bias[own] *= factor
        surgery.set_values(f"{stem}in_proj_bias", bias)


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
        return dict.fromkeys(one.apart, root if len(one.apart) == _BOTH else root * root)
    usual = math.sqrt(one.width)
    enough = one.width > 0 and not one.scaled and one.spread / usual <= _WIDE
    return {_called_in(one): 1.0 / (usual if enough else float(f"{one.spread:.3g}"))}
