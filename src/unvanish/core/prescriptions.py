"""What a treatment is made of: what to do, what it changed, what came of it. Without torch.

A `Prescription` is one remedy with its settings for one network. Applied, it leaves a
`Receipt`; measured again, an `Effect`. `Advice` is the ranking a person is shown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from unvanish.core.places import SourceLine


class Change(StrEnum):
    """What a remedy touches, from the least to the most of a design."""

    OPTIMISER = "optimiser"
    """The optimiser, its settings or what it does with a gradient."""

    PRECISION = "precision"
    """Number types and the scale of the loss."""

    INITIALISATION = "initialisation"
    """The values that training starts from; the architecture is untouched."""

    DATA = "data"
    """What goes into the network."""

    LOSS = "loss"
    """What is minimised, or the last step before it."""

    GRAPH = "graph"
    """A line that cuts the gradient off, or a parameter that was left out."""

    ACTIVATION = "activation"
    """The nonlinear functions."""

    NORMALISATION = "normalisation"
    """Layers that standardise are added, moved or exchanged."""

    PATH = "path"
    """Connections are added, or a cell is exchanged."""

    @property
    def rank(self) -> int:
        """0 for the least change."""
        return list(Change).index(self)


class Keeps(StrEnum):
    """What a remedy promises to leave as it is."""

    ARCHITECTURE = "architecture"
    """Same modules, same calls: the network can be described by the same code."""

    FUNCTION = "function"
    """A trained network gives the same outputs, to rounding."""

    WEIGHTS = "weights"
    """Every weight that was there keeps its value."""

    STATE_NAMES = "state names"
    """Every name of the state dict is still there, with its shape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prescription:
    """One remedy for one network.

    Attributes:
        remedy: Name of the remedy.
        why: One sentence: what in this network it answers.
        change: What it touches.
        keeps: What it leaves as it is.
        settings: Name to value of everything the remedy decided, as plain numbers and text.
        places: Paths of modules, or names of parameters, that it acts on; empty for all of it.
        cost: What it costs, in words; empty for nothing.
    """

    remedy: str
    why: str
    change: Change
    keeps: frozenset[Keeps] = frozenset()
    settings: Mapping[str, float | str | bool] = field(default_factory=dict)
    places: tuple[str, ...] = ()
    cost: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One thing that was changed in a network.

    Attributes:
        place: Path of the module or name of the parameter; ``""`` is the network as a whole.
        before: What was there, short: ``"sigmoid"``, ``"rms 0.072"``.
        after: What is there now.
        source: The user's line that it belongs to, where known.
    """

    place: str
    before: str
    after: str
    source: SourceLine | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What applying one prescription changed.

    Attributes:
        remedy: Name of the remedy.
        edits: Everything that was changed; never empty.
        notes: What the user should know, in full sentences.
    """

    remedy: str
    edits: tuple[Edit, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """A network at its start in a few numbers; what two of them are compared by.

    Attributes:
        flow_decades: The worst change of the gradient from the outputs to a layer, in decades;
            negative where it vanishes, positive where it explodes; ``-inf`` where it ends.
        profile: The same at every depth, input side first: name of the layer that carries most of
            the gradient there, to the change in decades, ``nan`` where it is undefined; empty
            where it was not measured.
        sample_cosine: How alike the outputs are for different samples, 0 to 1; ``nan`` where it
            was not measured.
        smallest_update: Smallest relative change of a weight in one step of the optimiser;
            ``nan`` where no step was taken.
        updates: Name of each trained weight to its relative change in one step of the optimiser,
            rms of the change over rms of the weight; empty where no step was taken.
        findings: Code to severity, as ``"error"``, of everything a check says.
        unjudged: Codes of the rules that could not be judged.
        milliseconds: Time of one forward and backward pass.
        saved_bytes: What the forward pass keeps for the backward pass.
        parameters: Number of trainable parameters.
        loss: Loss on the first batch.
    """

    flow_decades: float = math.nan
    sample_cosine: float = math.nan
    smallest_update: float = math.nan
    findings: Mapping[str, str] = field(default_factory=dict)
    unjudged: tuple[str, ...] = ()
    milliseconds: float = math.nan
    saved_bytes: int = 0
    parameters: int = 0
    loss: float = math.nan
    updates: Mapping[str, float] = field(default_factory=dict)
    profile: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One thing that could be done, with what came of it on a copy, before any training.

    Attributes:
        remedies: Their names, in the order in which they are applied.
        prescriptions: What each is to do; empty where treating a copy failed.
        receipts: What each changed.
        outlook: The treated network; None where treating it failed.
        cures: Codes of the findings that are gone.
        brings: Codes of findings that were not there before.
        can_be_written: Whether source code can say it without a call of `unvanish`.
        score: The larger the better; see `unvanish.treat.ranking`.
        failed: Why it could not be applied or measured; empty where it was.
    """

    remedies: tuple[str, ...]
    prescriptions: tuple[Prescription, ...] = ()
    receipts: tuple[Receipt, ...] = ()
    outlook: Outlook | None = None
    cures: tuple[str, ...] = ()
    brings: tuple[str, ...] = ()
    score: float = -math.inf
    can_be_written: bool = False
    failed: str = ""

    @property
    def name(self) -> str:
        """Names of the remedies, joined: ``"he + relu"``."""
        return " + ".join(self.remedies)

    def __str__(self) -> str:
        """Return one line: what was tried, what it cures, what it brings and what it leaves."""
        if self.failed:
            return f"{self.name}: {self.failed}"
        found = self.outlook.findings if self.outlook is not None else {}
        left = [code for code, severity in sorted(found.items()) if severity != "note"]
        said = [f"cures {', '.join(self.cures) or 'nothing'}"]
        said += [f"brings {', '.join(self.brings)}"] if self.brings else []
        said.append(f"leaves {', '.join(left) or 'nothing'}")
        return f"{self.name}: {'; '.join(said)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What could be done about a network, best first.

    Attributes:
        before: The network as it is.
        options: Everything that was tried on a copy, best first.
        refused: Name of a remedy to the reason why it does not fit this network.
        untried: Names of remedies that fit and were not tried, to save time.
        nothing: Why doing nothing is the answer; empty where something should be done.
    """

    before: Outlook
    options: tuple[Option, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    untried: tuple[str, ...] = ()
    nothing: str = ""

    def why_not(self, names: Sequence[str]) -> str:
        """Say why remedies that were asked for are not used.

        Args:
            names: Their names.
        """
        reasons = [f"{name} does not fit this network: {why}" for name, why in self.refused.items()]
        reasons += [
            option.failed
            if option.failed.startswith(f"{option.name} ")
            else f"{option.name}: {option.failed}"
            for option in self.options
            if option.failed
        ]
        return "; ".join(reasons) or f"{', '.join(names)} cannot be used"

    @property
    def best(self) -> Option | None:
        """The first option that cures something and brings nothing worse; None without one."""
        return next((o for o in self.options if o.cures and not o.failed and not o.brings), None)

    def __str__(self) -> str:
        """Return a line for each thing that was tried, best first, or why nothing is to be done."""
        lines = [f"{number}. {option}" for number, option in enumerate(self.options, start=1)]
        return self.nothing or "\n".join(lines) or "no remedy fits what was found"
