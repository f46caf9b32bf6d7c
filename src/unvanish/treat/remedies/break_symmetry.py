"""Break the symmetry: weights that start zero or equal are drawn anew, all others stay."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Final, final

import torch
from torch import Tensor

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.records import Parameter
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.core.wiring import Wiring
from unvanish.diagnose.zero_factors import shut_factors
from unvanish.treat.anatomy import Layer
from unvanish.treat.drawing import drawable, set_weight, why_not
from unvanish.treat.gains import STARTS
from unvanish.treat.parting import draw_of
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.recurrent import cells_of

_FEW: Final = 0.5
"""Share of distinct units below which a layer counts as equal, as in UV104."""
_NOISE: Final = 0.1


@final
@dataclass(frozen=True, kw_only=True)
class BreakSymmetry:
    r"""Draw weights anew whose units start equal, or that are zero like what they multiply.

    ## When to use
    A finding of UV104: units, experts or components that start equal and never part, or two
    factors that both start at zero.

    ## What it changes
    Weights of layers that are equal or zero are drawn from N(0, g^2 / fan-in) with the g of the
    function behind: the mean square of the data is kept. Of several zeros on one way those that
    end a branch stay, so that LoRA and zero-initialised branches begin as they were meant to.
    Recurrent layers whose units are equal within every gate are drawn gate by gate: Xavier beside
    the input, orthogonal between the steps. Of two tables of embeddings, or two parameters of
    other kinds, that are both zero and meet in a product, one is drawn from N(0, 1 / dimension);
    a vector becomes ones. Rows of other parameters, such as the centres of a mixture, are parted
    by noise of a tenth of their size.
    Everything else stays as it is, biases too.

    ## What it costs
    Nothing: what is drawn held one unit's worth of learning.

    ## Settings
    ``noise``: relative size of the noise on parameters that belong to no layer.

    ## Where we differ
    The usual advice is a new start for the whole network; only what stands in the way is drawn.

    ## Composes with
    Any other initialisation draws these weights as well and makes this one needless.

    ## Evidence
    2 hidden layers of 32 equal tanh units on 500 digits, 150 steps of Adam 1e-2 on all of them (3
    draws): loss below 0.003, untreated 1.50.

    ## Source
    Saxe, McClelland and Ganguli (2014) for the saddle at zero; Hu and others (2022) for LoRA.
    """

    name: ClassVar[str] = "break-symmetry"
    treats: ClassVar[frozenset[str]] = frozenset({"UV104"})
    change: ClassVar[Change] = Change.INITIALISATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.ARCHITECTURE, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["saxe2014"], SOURCES["hu2022"])
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = STARTS

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit networks with equal units, or with zeros that were reported."""
        asked = {n for f in case.diagnosis.findings if f.code == "UV104" for n in f.parameters}
        known = {p.name: p for p in case.recording.parameters}
        # Of several zeros on one way the last may stay: it gets the gradient of those before it.
        last = {n for shut in shut_factors(case.recording) if shut.partners for n in shut.zeros}
        layers = [x for x in drawable(case) if _may_be_drawn(x, case) and x.weight not in last]
        equal = [
            x
            for x in layers
            if _is_equal(known[x.weight], x) and (x.weight in asked or not x.is_output)
        ]
        copied = [
            x for x in layers if x.weight in asked and _is_copy(known[x.weight], asked, known)
        ]
        zero = [
            x
            for x in layers
            if known[x.weight].rms == 0.0
            and (x.weight in asked or not (asked or x.joins or x.is_output))
        ]
        inner = [x for x in zero if not x.joins and not _follows(x, zero, case)]
        chosen = {x.weight for x in (*equal, *copied, *(inner or zero))}
        of_layers = {name for x in case.anatomy.layers for name in (x.weight, x.bias)}
        parts = [
            name
            for name in sorted(asked - of_layers)
            if name in known
            and known[name].requires_grad
            and known[name].rms > 0.0
            and len(known[name].shape) > 1
        ]
        drawn = (
            *(x.weight for x in layers if x.weight in chosen),
            *parts,
            *_equal_cells(case, asked),
        )
        places = (*drawn, *_zero_factors(case, {*drawn}))
        if not places:
            return NotApplicable("no trained layer starts with equal units or closed by zeros")
        return Prescription(
            remedy=self.name,
            why=f"{places[0]}{_more(places)} start equal or at zero and would stay so",
            change=self.change,
            keeps=self.keeps,
            settings={"noise": _NOISE},
            places=places,
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Draw the layers, and part the rows of the rest."""
        noise = float(prescription.settings.get("noise", _NOISE))
        for name in prescription.places:
            draw = draw_of(name, patient.model, patient.anatomy, noise)
            values = draw.of(patient.surgery.weight_of(name))
            layer = patient.anatomy.layer_of(name)
            if layer is not None and not layer.is_recurrent:
                set_weight(patient, layer, values)
            else:
                patient.surgery.set_values(name, values)


def _equal_cells(case: Case, asked: set[str]) -> tuple[str, ...]:
    """Return the weights of recurrences whose units are equal in every gate."""
    trained = {p.name for p in case.recording.parameters if p.requires_grad}
    values = dict(case.model.named_parameters())
    found: list[str] = []
    for cell in cells_of(case):
        pair = (cell.weight.replace("weight_hh", "weight_ih"), cell.weight)
        if not trained.issuperset(pair) or values[cell.weight].shape[0] < 2 * cell.gates:
            continue
        biases = [name for name in (cell.bias_ih, cell.bias_hh) if name]
        told = not asked.isdisjoint(pair)
        if all(_is_alike(values[n], cell.gates) for n in (*pair, *(() if told else biases))):
            found += pair
    return tuple(found)


def _is_alike(stacked: Tensor, gates: int) -> bool:
    """Tell whether the rows of every gate are copies of its first."""
    return all(torch.allclose(gate, gate[:1], rtol=2e-6, atol=0.0) for gate in stacked.chunk(gates))


def _zero_factors(case: Case, chosen: set[str]) -> tuple[str, ...]:
    """Return the zeros that have to go for a gradient to pass, beside those that are drawn anyway.

    Of several on one way the last stays, and gets the gradient of what is drawn before it.
    """
    found: list[str] = []
    for shut in shut_factors(case.recording):
        opened = {*chosen, *found}
        if shut.partners:
            found += [name for name in shut.partners if name not in opened]
        elif not shut.frozen and opened.isdisjoint((*shut.zeros, *shut.starved)):
            found += shut.zeros[:-1] or shut.zeros
    return tuple(found)


def _may_be_drawn(layer: Layer, case: Case) -> bool:
    """Tell whether nothing but its zeros keeps a layer from being drawn."""
    return not why_not(layer, case).startswith(("frozen", "computed", "recurrent", "a table"))


def _follows(layer: Layer, zero: list[Layer], case: Case) -> bool:
    """Tell whether a zero layer reads another without a function between, as B of LoRA does."""
    source = Wiring(case.recording).source(layer.site)
    return source is not None and any(x.weight in source.weights and not x.activation for x in zero)


def _is_equal(parameter: Parameter, layer: Layer) -> bool:
    """Tell whether most units of a layer are copies of others."""
    if parameter.shape[0] < 2 or (len(parameter.shape) > 2 and parameter.shape[1] == 1):
        return False
    rows, columns = parameter.distinct_fraction, parameter.distinct_column_fraction
    turned = layer.site.op == "matmul" and len(parameter.shape) == 2
    return columns < _FEW if turned and not math.isnan(columns) else rows < _FEW


def _is_copy(parameter: Parameter, asked: set[str], known: dict[str, Parameter]) -> bool:
    """Tell whether a reported weight holds the same numbers as another reported one."""
    return any(
        name != parameter.name
        and known[name].shape == parameter.shape
        and known[name].fingerprint == parameter.fingerprint
        for name in asked & known.keys()
    )


def _more(places: tuple[str, ...]) -> str:
    return f" and {len(places) - 1} more" if len(places) > 1 else ""
