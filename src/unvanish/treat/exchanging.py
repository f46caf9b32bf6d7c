"""Exchanging hidden nonlinear functions, whichever way the network calls them.

A module such as ``nn.Sigmoid`` is replaced. A function (`F.relu`, ``x.sigmoid_()``, one that is
kept in a dict or handed over as an argument) is exchanged in the forward of the module that calls
it. Left alone are the functions of the output, of gates, of attention, of loops over time, and
those inside of a recurrent layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import torch
from torch import nn

from unvanish.core.operations import VIEW_OPS
from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.records import Recording, Role, Site
from unvanish.core.verdicts import NotApplicable
from unvanish.core.wiring import Wiring
from unvanish.observe.batch import call_model
from unvanish.observe.guard import untouched
from unvanish.treat.anatomy import Anatomy, activation_name
from unvanish.treat.interception import MARK
from unvanish.treat.loops import in_time_loops
from unvanish.treat.probing import called, calls_of
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.surgery import CannotTreatError
from unvanish.treat.turns import Turns

SQUASHING: Final = frozenset("sigmoid tanh softsign hardtanh hardsigmoid erf softplus".split())
"""Functions whose slope falls to zero on one side or both, or never reaches one."""

RECTIFIED: Final = frozenset({"relu", "relu6", "threshold", "hardshrink"})
"""Functions of straight pieces that can be shut for good."""

EXCHANGES: Final = frozenset({"relu", "leaky-relu", "prelu", "elu", "selu", "gelu", "silu"})
"""Names of the remedies that exchange functions; one network takes one of them."""

_MODULES: Final[dict[type[nn.Module], str]] = {
    nn.Sigmoid: "sigmoid",
    nn.Tanh: "tanh",
    nn.Softsign: "softsign",
    nn.Hardtanh: "hardtanh",
    nn.Hardsigmoid: "hardsigmoid",
    nn.Softplus: "softplus",
    nn.ReLU: "relu",
    nn.ReLU6: "relu6",
    nn.Threshold: "threshold",
    nn.Hardshrink: "hardshrink",
}
"""Modules that do nothing but call one function once."""

_ELEMENTWISE: Final = frozenset("add sub rsub mul div neg dropout pow sqrt abs".split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One function in the forward of one module.

    Attributes:
        path: Path of the module.
        name: The function, such as ``"sigmoid"``.
        site: Its first call that is meant.
        turns: Which of its calls in a forward pass are meant; None for all of them.
        calls: How many there are.
        beside: Names of the weights and biases that feed it.
    """

    path: str
    name: str
    site: Site
    turns: frozenset[int] | None
    calls: int
    beside: tuple[str, ...]


def places_of(anatomy: Anatomy, functions: Iterable[str]) -> tuple[Place, ...]:
    """Return where hidden layers use some functions.

    Args:
        anatomy: The network.
        functions: Names, such as those of `SQUASHING`.
    """
    wanted = frozenset(functions)
    hidden = _Hidden(anatomy.recording)
    places = []
    for sites in _calls(anatomy.recording, wanted):
        meant = frozenset(n for n, site in enumerate(sites) if hidden.holds(site))
        if not meant:
            continue
        first = sites[min(meant)]
        places.append(
            Place(
                path=first.path,
                name=_name(first),
                site=first,
                turns=None if len(meant) == len(sites) else meant,
                calls=len(sites),
                beside=hidden.weights_behind(first),
            )
        )
    return tuple(places)


def prescribed(
    case: Case,
    *,
    remedy: str,
    new: str,
    functions: frozenset[str],
    keeps: frozenset[Keeps],
    settings: dict[str, float | str | bool] | None = None,
    cost: str = "",
) -> Prescription | NotApplicable:
    """Return the exchange of every hidden function that a remedy takes the place of.

    Args:
        case: The network.
        remedy: Name of the remedy.
        new: The new function, for people.
        functions: Names of those it takes the place of.
        keeps: What the remedy leaves as it is.
        settings: The new function's numbers.
        cost: What it costs, in words.
    """
    places = places_of(case.anatomy, functions)
    if not places:
        return NotApplicable(_why_none(case.anatomy, functions, new))
    names = sorted({place.name for place in places})
    count = sum(len(p.turns) if p.turns is not None else p.calls for p in places)
    return Prescription(
        remedy=remedy,
        why=f"{', '.join(names)} behind hidden layers, {count} in one pass",
        change=Change.ACTIVATION,
        keeps=keeps,
        settings={"functions": ", ".join(names), **(settings or {})},
        places=tuple(dict.fromkeys(place.path for place in places)),
        cost=cost,
    )


def exchange(patient: Patient, prescription: Prescription, make: Callable[[], nn.Module]) -> None:
    """Put a new function in the place of those that a prescription names.

    Args:
        patient: The network.
        prescription: Its places are paths, its setting ``functions`` the names.
        make: Makes a new module; called once a place.

    Raises:
        CannotTreatError: If calls that have to be told apart cannot be.
    """
    names = str(prescription.settings["functions"]).split(", ")
    chosen = frozenset(prescription.places)
    told_apart = []
    for place in places_of(patient.anatomy, names):
        if place.path not in chosen:
            continue
        new = make()
        after = " ".join(repr(new).split())
        if place.turns is None and _replace(patient, place, new, after):
            continue
        turns = Turns(place.turns, place.calls) if place.turns is not None else None
        if turns is not None:
            told_apart.append((place, turns))
            patient.surgery.insert("", None, "begin", turns=turns)
        patient.surgery.insert(
            place.path,
            new,
            "instead",
            function=called(patient.model, place.site),
            turns=turns,
            like=place.beside,
            before=place.name,
            after=after,
            source=place.site.source,
        )
    _count(patient, told_apart)


def _replace(patient: Patient, place: Place, new: nn.Module, after: str) -> bool:
    """Exchange the module at a place, where it does nothing but call the function."""
    old = patient.model.get_submodule(place.path) if place.path else None
    if old is None or _MODULES.get(type(old)) != place.name or MARK in old.__dict__:
        return False
    if getattr(old, "inplace", False):
        if not hasattr(new, "inplace"):
            return False
        new.__dict__["inplace"] = True
    patient.surgery.replace(
        place.path, new, what=after, like=place.beside, source=place.site.source
    )
    return True


def _count(patient: Patient, told_apart: list[tuple[Place, Turns]]) -> None:
    """Run the network once to see whether calls come as often as they were seen to."""
    if not told_apart:
        return
    with untouched(patient.model, seed=0), torch.no_grad():
        call_model(patient.model, patient.batch.inputs)
    for place, turns in told_apart:
        if turns.count != turns.expected:
            raise CannotTreatError(
                f"{place.name} shapes the output and hidden layers too, and its {turns.count} "
                f"calls cannot be told apart: {turns.expected} of them carry a gradient",
                where=place.path,
                help="give the output a function of its own",
            )


def _name(site: Site) -> str:
    """Return the function that a call is; empty where a larger function makes it."""
    name = activation_name(site)
    return name if site.function == name else ""


def _calls(recording: Recording, wanted: frozenset[str]) -> list[list[Site]]:
    """Return the calls of each function in each module, in forward order."""
    there = dict.fromkeys((s.path, s.function) for s in recording.sites if _name(s) in wanted)
    return [calls_of(recording, path, function) for path, function in there]


class _Hidden:
    """Tells the functions of hidden layers from all others."""

    def __init__(self, recording: Recording) -> None:
        self._wiring = Wiring(recording)
        self._loops = in_time_loops(
            self._wiring,
            [site for site in recording.signal_sites() if activation_name(site)],
        )
        self._softmaxes = {
            site.index
            for site in recording.signal_sites()
            if site.op in ("softmax", "log_softmax") and self._wiring.weighs(site)
        }

    def holds(self, site: Site) -> bool:
        """Tell whether a function stands between two layers and does nothing but that."""
        return not (
            site.role is not Role.SIGNAL
            or site.is_output
            or site.gates
            or site.index in self._loops
            or not self._wiring.producers(site)
            or self._is_part(site)
            or self._only_scores(site)
        )

    def weights_behind(self, site: Site) -> tuple[str, ...]:
        """Return the parameters of the layer that feeds a function."""
        source = self._wiring.source(site)
        return source.weights if source is not None else ()

    def _is_part(self, site: Site) -> bool:
        """Tell whether a function is a part of another, a gate, or weighs other signal.

        Mish is x tanh(softplus(x)), GELU x (1 + erf(x)) / 2: what is multiplied with signal that
        it is itself computed from, or feeds another function with no layer between, is a part.
        """
        here = site
        while True:
            after = self._wiring.consumers(here)
            if len(after) != 1 or after[0].weights:
                return False
            before, here = here, after[0]
            others = self._wiring.producers(here)
            mixes = self._wiring.is_mixing(here) and not (
                len(others) == 1 and _is_weighed_by_data(before, here)
            )
            if mixes or activation_name(here) or here.gates:
                return True
            if len(others) > 1:
                if here.op != "mul":
                    return False
                behind = {site.index, *(one.index for one in self._wiring.behind(site))}
                return any(one.index in behind for one in others)
            if here.op not in _ELEMENTWISE and here.op not in VIEW_OPS:
                return False

    def _only_scores(self, site: Site) -> bool:
        """Tell whether every way from a function leads into the weights of an attention."""
        if not self._softmaxes:
            return False
        level, seen = [site], {site.index}
        met = False
        while level:
            after = {c.index: c for one in level for c in self._wiring.consumers(one)}
            if any(not self._wiring.consumers(one) for one in level):
                return False
            met = met or not self._softmaxes.isdisjoint(after)
            level = [after[index] for index in after.keys() - seen - self._softmaxes]
            seen |= after.keys()
        return met


def _is_weighed_by_data(before: Site, product: Site) -> bool:
    """Tell whether a product is that of a matrix of the data with signal, and not the reverse.

    The adjacency of a graph, from the left, leaves every row of features its length; signal that
    weighs the rows of the data gives them another. Square signal may be either.

    Args:
        before: The step whose output is multiplied.
        product: A matrix product with one signal.
    """
    if len(before.shape) < 2 or not product.shape or before.shape[-1] == before.shape[-2]:
        return False
    return before.shape[-1] == product.shape[-1]


def _why_none(anatomy: Anatomy, functions: frozenset[str], new: str) -> str:
    """Say why there is nothing to exchange."""
    there = {activation_name(site) for site in anatomy.activations}
    left = sorted(there & functions)
    if left:
        return (
            f"{', '.join(left)} here shapes the output, a gate, attention, a loop over time or a "
            "part of another function: exchanged, it would mean something else"
        )
    if not there:
        return "no gradient passes an activation function"
    return f"its functions are {', '.join(sorted(there))}, which {new} would not improve on"
