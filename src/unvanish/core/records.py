"""What one look at a network leaves behind: sites, edges, profiles, parameters.

Everything here is plain numbers and text, without torch, so that a recording opens
anywhere at once and a rule can be tested on five numbers written by hand. Gradients are
kept as base-10 logarithms: a gradient of 1e-850 is an ordinary value here, while a
float would call it zero. An exact zero is ``-inf``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from unvanish.core.conditions import (
    DataTensor,
    GradientNoise,
    LossTerm,
    ProbeStep,
    RateTrial,
    RunContext,
    ShortTraining,
    TermTrial,
)
from unvanish.core.counterfactuals import Counterfactual
from unvanish.core.glossary import Quantity
from unvanish.core.incidents import Crossing, Cut, Gap, Lookup, Stray, Truncation
from unvanish.core.places import SourceLine
from unvanish.core.running_statistics import RunningStatistics

SCHEMA = 1


class Role(StrEnum):
    """Which part of the computation a site belongs to."""

    SIGNAL = "signal"
    """On the way from the inputs to the network's outputs."""

    WEIGHT = "weight"
    """Computed from parameters alone: transposes, weight norm, masks of weights."""

    LOSS = "loss"
    """Between the network's outputs and the loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One differentiable step of the computation, met in the forward pass.

    Attributes:
        index: Position in `Recording.sites`; sites stand in forward order. -1 in a finding
            about a call that left no differentiable step behind.
        path: Path of the innermost module, such as ``"layers.3"``; ``""`` is the root.
        op: The operation as the user would name it: ``"linear"``, ``"sigmoid"``, ``"add"``.
        call: How many times this path and operation ran before, from 0. For a recurrent
            layer it counts the time steps.
        depth: Weight-bearing operations on the longest path from the inputs to here.
        role: Signal, weight or loss.
        size: Number of elements of the output.
        shape: Shape of the output.
        module: Class name of the innermost module, such as ``"Linear"``.
        function: What the user called, where it is made of several operations
            (``"multi_head_attention_forward"``); otherwise equal to ``op``.
        source: The user's line that runs this step.
        built: The user's line that built the module, where it was seen.
        weights: Names of the parameters this step multiplies its input with.
        is_output: Whether only elementwise steps lie between here and the network's
            output, so that this step shapes the output rather than a hidden layer.
        gates: Whether the output is used as a multiplicative gate.
        can_saturate: Whether the operation is an activation whose slope can fall to zero
            on part of its domain.
        slope_cap: Largest possible slope of the activation, ``nan`` where it has none.
        opaque: Whether PyTorch runs several steps here as one that cannot be looked into.
    """

    index: int
    path: str
    op: str
    call: int = 0
    depth: int = 0
    role: Role = Role.SIGNAL
    size: int = 1
    shape: tuple[int, ...] = ()
    module: str = ""
    function: str = ""
    source: SourceLine | None = None
    built: SourceLine | None = None
    weights: tuple[str, ...] = ()
    is_output: bool = False
    gates: bool = False
    can_saturate: bool = False
    slope_cap: float = math.nan
    opaque: bool = False

    @property
    def name(self) -> str:
        """The site as a person would point at it, such as ``layers.3 sigmoid``."""
        place = self.path or "(root)"
        nth = f" #{self.call}" if self.call else ""
        return f"{place} {self.op}{nth}"


@dataclass(frozen=True, slots=True)
class Edge:
    """One use of a producer's output by a consumer; the gradient flows backwards along it.

    Attributes:
        producer: Index of the site whose output is used.
        consumer: Index of the site that uses it.
        log10_gain: log10(|contribution to the producer| / |gradient at the consumer|),
            Euclidean norms.
        share: Signed share of this edge in the gradient that arrives at the producer,
            <contribution, total> / |total|^2. Shares of one producer sum to 1.
        log10_scale: The gain that a gradient without preferred direction would have here,
            log10(|J|_F / sqrt(n)) for the n entries at the consumer; ``nan`` where it was
            not measured.
    """

    producer: int
    consumer: int
    log10_gain: float
    share: float = 1.0
    log10_scale: float = math.nan


@dataclass(frozen=True, slots=True)
class Profile:
    """One quantity over the sites it was measured at.

    Attributes:
        quantity: What was measured; defined in the glossary.
        values: Site index to value.
    """

    quantity: Quantity
    values: Mapping[int, float]

    def __getitem__(self, site: Site | int) -> float:
        return self.values[site if isinstance(site, int) else site.index]

    def get(self, site: Site | int, default: float = math.nan) -> float:
        """Return the value at a site, or a default where it was not measured."""
        return self.values.get(site if isinstance(site, int) else site.index, default)

    def __contains__(self, site: Site | int) -> bool:
        return (site if isinstance(site, int) else site.index) in self.values

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a parameter and the gradient that comes back from it."""

    site: int
    log10_grad_rms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """What one look showed about one parameter tensor.

    Attributes:
        name: Name in ``named_parameters()``; the first one where it is tied.
        aliases: The other names of a tied parameter.
        shape: Shape of the tensor.
        requires_grad: False for a frozen parameter.
        in_optimizer: Whether the user's optimiser holds it; None where none was given.
        used: Whether the forward pass touched it.
        feeds_loss: Whether its value reaches the loss, with or without gradient.
        has_grad: Whether a gradient path from the loss reaches it.
        rms: Root mean square of the values.
        log10_grad_rms: log10 of the root mean square of dL/dw; ``-inf`` for exact zero,
            ``nan`` where there is none.
        zero_fraction: Share of gradient entries that are exactly zero, over the rows
            that the batch touched (embeddings).
        non_finite_fraction: Share of gradient entries that are NaN or infinite.
        underflow_fraction: For ``float32``, ``bfloat16`` and ``float16``, the share of
            non-zero gradient entries too small for that type.
        carried_in: Type of 16 bits that the gradient of a wider parameter passes on every way
            from the loss, since the forward pass casts to it; empty where there is none.
        lost_fraction: Share of the non-zero gradient entries that are zero in the types of the
            run; measured where `carried_in` is a type, ``nan`` elsewhere.
        log10_hook_gain: Decades by which hooks on its gradient change that; 0 without any.
        uses: Contribution of every use, in forward order.
        update_ratio: |w after one optimiser step - w| / |w|, measured on a copy; ``nan``
            where it was not measured.
        turn_ratio: The same for the part of the step at right angles to w, which weight
            decay has no share in; ``nan`` for a single number.
        moved_fraction: Share of the entries with a gradient that the first optimiser step
            changed; measured for types of 16 bits, ``nan`` for others.
        kept_fraction: |w in the next forward pass - w in the one before| / |what the first
            optimiser step changed|, where the forward pass writes into it, over the entries
            that it does not set to zero; ``nan`` where it does not write.
        learning_rate: Learning rate of its group in the optimiser that stepped the copy;
            ``nan`` where no step was taken or no group holds it.
        distinct_fraction: Share of the units (rows along the first axis) that hold anything
            but zeros and differ from every earlier one in more than rounding; 1 for an
            ordinary start, ``nan`` where fewer than two units hold anything.
        distinct_column_fraction: The same for the columns of a matrix, which are the units of
            ``x @ W`` and the features of an embedding.
        fingerprint: A fixed random projection of the entries over their norm, for trained
            matrices; equal for two that hold the same numbers, ``nan`` where not measured.
        left_out_by: Installed package that keeps the gradient from a parameter of its own by
            its own design: every way to the loss leads through a cut in one of its lines.
            Empty for every other parameter.
    """

    name: str
    aliases: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    requires_grad: bool = True
    in_optimizer: bool | None = None
    used: bool = True
    feeds_loss: bool = True
    has_grad: bool = True
    rms: float = math.nan
    log10_grad_rms: float = math.nan
    zero_fraction: float = math.nan
    non_finite_fraction: float = 0.0
    underflow_fraction: Mapping[str, float] = field(default_factory=dict)
    carried_in: str = ""
    lost_fraction: float = math.nan
    log10_hook_gain: float = 0.0
    uses: tuple[Use, ...] = ()
    update_ratio: float = math.nan
    turn_ratio: float = math.nan
    moved_fraction: float = math.nan
    kept_fraction: float = math.nan
    learning_rate: float = math.nan
    distinct_fraction: float = math.nan
    distinct_column_fraction: float = math.nan
    fingerprint: float = math.nan
    left_out_by: str = ""

    @property
    def size(self) -> int:
        """Number of entries."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One look at a network, as plain numbers.

    Attributes:
        sites: Every differentiable step, in forward order.
        edges: Every use of one step's output by another.
        profiles: Each quantity over the sites it was measured at.
        parameters: Every parameter tensor.
        context: The conditions of the look.
        cuts: Calls at which gradient is cut on the way between parameters and loss.
        gaps: What could not be seen, and why.
        data: The tensors of the first probe batch, inputs before targets.
        steps: What each probe step did to the loss.
        noise: How far the gradients of different samples agree, where it was measured.
        trial: What a tenth of the learning rate gains, where the probe steps made it look
            too large.
        training: What a copy learns from the probe batches, where little gradient reaches the
            early layers.
        terms: The terms that the loss adds up, where there are several.
        term_trial: What becomes of one that others drown, and of it where it weighs more.
        strays: Trainable tensors between inputs and outputs that are no parameters.
        truncations: Loops over time whose state passes on without its gradient.
        lookups: Rows of a table that were chosen by an index, and hand no gradient back.
        crossing: Whether answers depend on other samples; None where that was not asked.
        running_statistics: What normalisations keep of the batches for evaluation mode.
        counterfactuals: What happened to the gradient when one thing was swapped, where a
            finding asked for it.
        later: The same network after a few probe steps on a copy, where they were taken:
            it tells a gate that starts at zero from one that is dead.
        schema: Version of this layout.
    """

    sites: tuple[Site, ...] = ()
    edges: tuple[Edge, ...] = ()
    profiles: Mapping[Quantity, Profile] = field(default_factory=dict)
    parameters: tuple[Parameter, ...] = ()
    context: RunContext = field(default_factory=RunContext)
    cuts: tuple[Cut, ...] = ()
    gaps: tuple[Gap, ...] = ()
    data: tuple[DataTensor, ...] = ()
    steps: tuple[ProbeStep, ...] = ()
    noise: GradientNoise | None = None
    trial: RateTrial | None = None
    training: ShortTraining | None = None
    terms: tuple[LossTerm, ...] = ()
    term_trial: TermTrial | None = None
    strays: tuple[Stray, ...] = ()
    truncations: tuple[Truncation, ...] = ()
    lookups: tuple[Lookup, ...] = ()
    crossing: Crossing | None = None
    running_statistics: tuple[RunningStatistics, ...] = ()
    counterfactuals: tuple[Counterfactual, ...] = ()
    later: Recording | None = None
    schema: int = SCHEMA

    def __getitem__(self, quantity: Quantity) -> Profile:
        """Return a profile; an empty one where nothing was measured."""
        return self.profiles.get(quantity, Profile(quantity, {}))

    def save(self, path: str | Path) -> None:
        """Write the recording to a JSON file that `load` and `unvanish show` open."""
        from unvanish.core.codec import save

        save(self, path)

    @classmethod
    def load(cls, path: str | Path) -> Recording:
        """Open a saved recording; needs no torch.

        Raises:
            UnvanishError: If the file is missing, damaged, or of a newer layout.
        """
        from unvanish.core.codec import load

        return load(path)

    def signal_sites(self) -> Iterator[Site]:
        """Yield the sites between the inputs and the network's outputs, in forward order."""
        return (site for site in self.sites if site.role is Role.SIGNAL)

    def measured(self) -> frozenset[Quantity]:
        """Return the quantities that were measured at least at one site."""
        return frozenset(q for q, profile in self.profiles.items() if len(profile))
