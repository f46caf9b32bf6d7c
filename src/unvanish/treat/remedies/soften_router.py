"""Soften the router: scores of experts about one apart, and none favoured by a bias."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, final

import torch
from torch import nn

from unvanish.core.glossary import Quantity
from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.records import Recording, Site
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.core.wiring import Wiring
from unvanish.diagnose.routers import routers
from unvanish.observe.copies import copied
from unvanish.observe.tracing import trace
from unvanish.treat.attention import Factor
from unvanish.treat.gates import Scores, scores_of
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.surgery import Surgery

_WIDE: Final = 2.0
"""Spread of scores from which on they are scaled; a sound start has one of about 1 or less."""
_ZERO: Final = "zero"
"""What stands in the settings for a bias that becomes zero."""


@final
@dataclass(frozen=True, kw_only=True)
class SoftenRouter:
    r"""Bring the scores of a router of experts to where its softmax has a slope: one apart.

    ## When to use
    A mixture of experts whose router has chosen for good (UV303): its weights are so large that
    each sample has one expert and no gradient says another would do better, or a bias favours
    some experts so much that the rest get no sample and never learn.

    ## What it changes
    The bias of the router becomes zero where it sets the scores more than 1 apart (standard
    deviation) and further than the weights do. Weights whose scores then still lie more than 2
    apart are divided by that spread, with a bias that is as large. Where weights do not scale
    them, as behind a normalisation, the scores are divided by the spread in front of the softmax.

    ## What it costs
    What the router has learnt: other experts answer.

    ## Settings
    For each weight of a router, or the path of a module that calls the softmax, its factor; for
    each bias its factor, or that it becomes zero.

    ## Where we differ
    Fedus and others divide the variance of all weights by ten; here only what is too large is
    scaled, by what the batch shows. Nothing is added to the loss: a loss that balances the load is
    still worth having.

    ## Composes with
    Any initialisation of weights, which is made first; a loss that balances the load.

    ## Evidence
    `unvanish cure` on two patients of the zoo, means of five seeds, each trained for its own number
    of steps at rates chosen alike: the variance left unexplained is 0.05 with a router a hundred
    times too large (0.62 untreated), and 0.04 with a bias of 30 towards one expert (1.00).

    ## Source
    Shazeer and others (2017), section 4; Fedus, Zoph and Shazeer (2022), section 2.4.
    """

    name: ClassVar[str] = "soften-router"
    treats: ClassVar[frozenset[str]] = frozenset({"UV303"})
    change: ClassVar[Change] = Change.INITIALISATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset(
        {Keeps.ARCHITECTURE, Keeps.STATE_NAMES, Keeps.WEIGHTS}
    )
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["shazeer2017"], SOURCES["fedus2022"])
    after: ClassVar[frozenset[str]] = frozenset({"xavier", "orthogonal", "lecun", "he"})
    excludes: ClassVar[frozenset[str]] = frozenset()

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit a router whose scores lie too far apart."""
        wiring = Wiring(case.recording)
        found = routers(wiring)
        if not found:
            return NotApplicable("no softmax over experts side by side was seen")
        wide = [site for site in found if _is_wide(case.recording, site)]
        if not wide:
            spreads = [case.recording[Quantity.SCORE_SPREAD].get(site) for site in found]
            return NotApplicable(f"the scores of a sample lie at most {max(spreads):.2g} apart")
        settings: dict[str, float | str] = {}
        for site in wide:
            for place, value in _of_router(case, wiring, site):
                settings[place] = value
        if not settings:
            return NotApplicable(f"nothing that is trained makes the scores of {wide[0].name}")
        settings = _corrected(case, wide, settings)
        weights = {name for name, _ in case.model.named_parameters(remove_duplicate=False)}
        start = weights.issuperset(settings)
        spread = max(case.recording[Quantity.SCORE_SPREAD].get(site) for site in wide)
        return Prescription(
            remedy=self.name,
            why=f"the scores of a sample lie up to {spread:.3g} apart in {len(wide)} of "
            f"{len(found)} routers",
            change=self.change if start else Change.ACTIVATION,
            keeps=self.keeps
            - (frozenset() if start else {Keeps.ARCHITECTURE})
            - ({Keeps.WEIGHTS} if weights & settings.keys() else frozenset()),
            settings=settings,
            places=tuple(settings),
            cost="what the router has learnt",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Scale weights or scores, and set biases to zero."""
        settings = {place: prescription.settings[place] for place in prescription.places}
        _soften(patient.surgery, settings, patient.anatomy.recording)


def _is_wide(recording: Recording, site: Site) -> bool:
    spread = recording[Quantity.SCORE_SPREAD].get(site)
    return spread > _WIDE or recording[Quantity.SHUT_FRACTION].get(site) > 0.0


def router_scores(case: Case, wiring: Wiring, site: Site) -> Scores | None:
    """Return what enters the softmax of a router on the batch, and the bias that shifts it.

    Args:
        case: Whose network.
        wiring: The op graph.
        site: The softmax.
    """
    shapes = {p.name: p.shape for p in case.recording.parameters if p.used and p.requires_grad}
    source = wiring.source(site)
    own = source.weights if source is not None else ()
    flat = [n for n, shape in shapes.items() if math.prod(shape) == max(shape, default=1)]
    names = sorted(flat, key=lambda name: name not in own)
    return scores_of(case.model, case.batch, (site,), names=names)


def _of_router(case: Case, wiring: Wiring, site: Site) -> Iterator[tuple[str, float | str]]:
    """Yield what is done about one router."""
    scores = router_scores(case, wiring, site)
    if scores is None:
        return
    apart, bias = math.hypot(scores.within, scores.offsets), _spread_of_bias(case, scores)
    if scores.bias is not None and bias > max(_WIDE / 2, scores.within):
        yield scores.bias.name, _ZERO
        apart, bias = scores.within, 0.0
    if apart > _WIDE:
        factor = float(f"{1.0 / apart:.4g}")
        source = wiring.source(site)
        shapes = {p.name: p.shape for p in case.recording.parameters if p.requires_grad}
        weights = source.weights if source is not None else ()
        yield next((name for name in weights if len(shapes.get(name, ())) > 1), site.path), factor
        if scores.bias is not None and bias > _WIDE / 2:
            yield scores.bias.name, factor


def _spread_of_bias(case: Case, scores: Scores) -> float:
    """Return how far a bias sets the scores apart; 0 without one."""
    if scores.bias is None:
        return 0.0
    held = dict(case.model.named_parameters(remove_duplicate=False))[scores.bias.name]
    own = held.detach().double().flatten()[scores.bias.entries]
    return float(own.std(correction=0)) * abs(scores.bias.factor)


def _corrected(
    case: Case, wide: list[Site], settings: dict[str, float | str]
) -> dict[str, float | str]:
    """Scale the scores themselves where a copy shows that the weights do not scale them."""
    twin = copied(case.model)
    _soften(Surgery(twin), settings, case.recording)
    after = trace(twin, case.batch, case.loss, batches=1, probe_steps=0)
    seen = {(s.path, s.call): after[Quantity.SCORE_SPREAD].get(s) for s in routers(Wiring(after))}
    for site in wide:
        left = seen.get((site.path, site.call), math.nan)
        if left > _WIDE:
            settings = {**settings, site.path: float(f"{1.0 / left:.4g}")}
    return settings


def _soften(
    surgery: Surgery, settings: Mapping[str, float | str | bool], recording: Recording
) -> None:
    names = {name for name, _ in surgery.model.named_parameters(remove_duplicate=False)}
    for place, value in settings.items():
        if value == _ZERO:
            surgery.set_values(place, torch.zeros_like(surgery.weight_of(place)))
        elif place in names:
            surgery.set_values(place, surgery.weight_of(place) * float(value))
        else:
            _scale_scores(surgery, place, float(value), recording)


def _scale_scores(surgery: Surgery, path: str, factor: float, recording: Recording) -> None:
    module = surgery.model.get_submodule(path) if path else surgery.model
    is_softmax = isinstance(module, nn.Softmax)
    for site in (one for one in routers(Wiring(recording)) if one.path == path):
        surgery.insert(
            path,
            Factor(factor),
            "before",
            function="" if is_softmax else "softmax",
            call=None if is_softmax else site.call,
            before="scores",
            after=f"scores times {factor:.3g}",
            source=site.source,
        )
