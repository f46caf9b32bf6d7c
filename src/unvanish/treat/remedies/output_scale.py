"""Scale the output layer so that the first answers are undecided, or of the targets' size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Final, final

from unvanish.core.conditions import DataRole
from unvanish.core.glossary import Quantity
from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.records import Site
from unvanish.core.scores import Scores, scores_of
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.core.wiring import Wiring
from unvanish.observe.copies import copied
from unvanish.observe.tracing import trace
from unvanish.treat.anatomy import Layer
from unvanish.treat.drawing import each, free, is_trained, set_weight
from unvanish.treat.gains import EXCHANGES, STARTS
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.surgery import Surgery

_UNDECIDED: Final = 0.5
"""Root mean square of an undecided answer: the +-1/2 of UV203."""
_ENOUGH: Final = 2.0
"""An output that is this many times as large as it should be is scaled."""
_ROUNDS: Final = 5
"""How often a factor of several weights is corrected by what came of it."""
_TABLE: Final = 0.02
"""Root mean square of embeddings that are compared with others: that of BERT and GPT-2."""
_TABLES: Final = frozenset({"embedding", "embedding_bag"})


@final
@dataclass(frozen=True, kw_only=True)
class OutputScale:
    r"""Make the answers of the output layer small, so that none is sure before it has learnt.

    ## When to use
    Outputs that start at an end of their sigmoid, tanh or softmax, or that are many times as
    large as the targets: the first steps are then spent on unlearning them.

    ## What it changes
    Weight and bias of every output layer are multiplied by one factor, so that its answers to
    the first batch have a root mean square of 0.5, or that of the targets where a regression
    has no function at its end. Layers that are small enough already are left as they are.

    Where no such layer makes the scores of a cross entropy, since they are products of embeddings
    or of two branches, or the output matrix is the table of embeddings, all weights that meet there
    are multiplied by one factor, and with one table of embeddings all others, which are added to
    it. Embeddings come to 0.02, the start of BERT and GPT-2, or less if the scores are still sure:
    those of unseen pairs are noise that many steps have to unlearn. The rest is found on copies.

    ## What it costs
    The gradient that reaches all earlier layers shrinks by the same factor in the first steps.

    ## Settings
    ``<weight> factor``: what each weight is multiplied by.

    ## Where we differ
    Andrychowicz and others shrink the last layer of a policy by 100, whatever it says; we
    measure what it says and stop at answers that a sigmoid or softmax has its full slope for.

    ## Composes with
    Every other initialisation, which is made first.

    ## Evidence
    3 layers with a sigmoid and a squared error at random labels, the last weights 300 times too
    large, 200 steps of SGD 0.1 (3 draws): the loss ends at 0.19 to 0.20, untreated at 0.41 to
    0.55, where a guess has 0.25.

    ## Source
    LeCun, Bottou, Orr and Müller (1998), section 4.5, on outputs at the ends of a sigmoid;
    Andrychowicz and others (2021), section 3.2, on the last layer of policies.
    """

    name: ClassVar[str] = "output-scale"
    treats: ClassVar[frozenset[str]] = frozenset({"UV203", "UV102", "UV506", "UV507"})
    change: ClassVar[Change] = Change.INITIALISATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.ARCHITECTURE, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["lecun1998"], SOURCES["andrychowicz2021"])
    after: ClassVar[frozenset[str]] = EXCHANGES | STARTS
    excludes: ClassVar[frozenset[str]] = frozenset()

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit networks whose output layer answers louder than it should."""
        outputs = [layer for layer in free(case) if layer.is_output]
        size = case.recording[Quantity.ACTIVATION_RMS]
        factors, quiet = {}, []
        for layer in outputs:
            wanted = _wanted(layer, case)
            loud = size.get(layer.site)
            if not math.isfinite(loud) or not math.isfinite(wanted) or loud == 0.0:
                continue
            if loud > _ENOUGH * wanted:
                factors[layer.weight] = wanted / loud
            else:
                quiet.append(f"{layer.weight} answers {loud:.3g}")
        if factors:
            loudest = min(factors, key=lambda name: factors[name])
            why = f"the answers of {loudest} are {1.0 / factors[loudest]:.3g} times too large"
        elif loud_scores := [s for s in scores_of(case.recording) if _is_loud(s.size)]:
            found = _shrunk(case, max(loud_scores, key=lambda scores: scores.size))
            if isinstance(found, NotApplicable):
                return found
            factors, why = found
        elif not outputs:
            return NotApplicable("it has no trained output layer")
        else:
            said = ", ".join(quiet) or "its answers are not finite or were not measured"
            return NotApplicable(f"no output is too large: {said}")
        return Prescription(
            remedy=self.name,
            why=why,
            change=self.change,
            keeps=self.keeps,
            settings={f"{name} factor": factor for name, factor in factors.items()},
            places=tuple(factors),
            cost="smaller gradients at first in all earlier layers",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Multiply weights and biases."""
        factors = {p: float(prescription.settings[f"{p} factor"]) for p in prescription.places}
        _multiply(patient, factors)


def _multiply(patient: Patient, factors: dict[str, float]) -> None:
    """Multiply weights, and the biases that belong to them."""
    for layer, weight, _ in each(patient, tuple(factors)):
        factor = factors[layer.weight]
        set_weight(patient, layer, weight * factor)
        if layer.bias and is_trained(patient, layer.bias):
            bias = patient.surgery.weight_of(layer.bias)
            patient.surgery.set_values(layer.bias, bias * factor)


def _is_loud(size: float) -> bool:
    return _ENOUGH * _UNDECIDED < size < math.inf


def _shrunk(case: Case, scores: Scores) -> tuple[dict[str, float], str] | NotApplicable:
    """Return one factor for all weights that meet in some scores, and why; tried on copies.

    The size of the scores is a power of the factor between 1, for an output matrix behind a
    normalisation, and 2 or more, for a product: it is read off the last try.
    """
    names, tables = _meeting(case, scores.site)
    if not names:
        return NotApplicable("no trained weights make the scores")
    loudest = max((p.rms for p in case.recording.parameters if p.name in tables), default=0.0)
    tried = [(0.0, scores.size)]
    decades = math.log10(_TABLE / loudest) if loudest > _TABLE else _decades_to_go(tried)
    for _ in range(_ROUNDS):
        factors = dict.fromkeys(names, 10.0**decades)
        size = _size_with(case, factors)
        if not 0.0 < size < math.inf:
            break
        if not _is_loud(size) and (tables or size > _UNDECIDED / _ENOUGH):
            return factors, f"{', '.join(names)} make scores of rms {scores.size:.3g}"
        tried.append((decades, size))
        decades = _decades_to_go(tried)
    return NotApplicable(f"the scores do not become small with {', '.join(names)}")


def _decades_to_go(tried: list[tuple[float, float]]) -> float:
    """Return the factor in decades for undecided scores, from the factors and sizes so far."""
    exponent, (decades, size) = 2.0, tried[-1]
    if len(tried) > 1 and decades != tried[-2][0]:
        grown = math.log10(size / tried[-2][1]) / (decades - tried[-2][0])
        exponent = min(max(grown, 0.5), 4.0)
    return decades + math.log10(_UNDECIDED / size) / exponent


def _size_with(case: Case, factors: dict[str, float]) -> float:
    """Return how large the scores of a copy are where weights are multiplied."""
    twin = Patient(
        surgery=Surgery(copied(case.model)),
        batch=case.batch,
        loss=case.loss,
        anatomy=case.anatomy,
    )
    _multiply(twin, factors)
    seen = trace(twin.model, case.batch, case.loss, batches=1, probe_steps=0)
    return max((scores.size for scores in scores_of(seen)), default=math.nan)


def _meeting(case: Case, scores: Site) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the trained matrices that scores are made of with no other one between.

    With one table of embeddings among them, all others; the tables are named again.
    """
    known = {layer.weight for layer in case.anatomy.layers if is_trained(case, layer.weight)}
    shapes = {p.name: p.shape for p in case.recording.parameters}
    wiring, found, seen = Wiring(case.recording), dict[str, None](), {scores.index}
    waiting = [scores]
    while waiting:
        site = waiting.pop(0)
        own = [name for name in site.weights if len(shapes.get(name, ())) > 1]
        found.update(dict.fromkeys(own))
        before = [] if own else [s for s in wiring.producers(site) if s.index not in seen]
        seen.update(one.index for one in before)
        waiting.extend(before)
    tables = {n for s in case.recording.sites if s.op in _TABLES for n in s.weights if n in known}
    tables = tables if not tables.isdisjoint(found) else set()
    found.update(dict.fromkeys(sorted(tables)))
    return tuple(name for name in found if name in known), frozenset(tables)


def _wanted(layer: Layer, case: Case) -> float:
    """Return the root mean square that the answers of an output layer should have."""
    targets = [d for d in case.recording.data if d.role is DataRole.TARGET]
    sizes = [d.rms for d in targets if math.isfinite(d.rms) and d.rms > 0.0]
    is_regression = "mse" in case.recording.context.loss or any(
        word in case.recording.context.loss for word in ("l1", "huber")
    )
    if layer.activation or not is_regression or not sizes:
        return _UNDECIDED
    return max(sizes)
