"""What the published rules read of a run: plain numbers, no tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Gradient:
    """One parameter's gradient after one backward pass, before any clipping.

    Attributes:
        mean_abs: Mean of the absolute values.
        norm: Euclidean norm.
        zero_share: Share of the entries that are exactly zero.
        spread: 95th less 5th percentile of the entries.
        is_finite: Whether no entry is NaN or infinite.
    """

    mean_abs: float = 1e-3
    norm: float = 1e-1
    zero_share: float = 0.0
    spread: float = 1e-2
    is_finite: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One trainable parameter at one step, as it was before the update.

    Attributes:
        name: Dotted name.
        kind: ``"weight"`` (two dimensions or more), ``"bias"``, ``"embedding"`` or
            ``"vector"`` (such as the scale of a normalisation).
        layer: Class of the module that owns it, such as ``"Linear"``.
        shape: Its shape.
        mean_abs: Mean of the absolute values.
        norm: Euclidean norm.
        variance: Variance of the entries.
        zero_share: Share of the entries that are exactly zero.
        tiny_share: Share of the entries below 1e-5 in size.
        negative_share: Share of the entries below zero.
        is_finite: Whether no entry is NaN or infinite.
        change_mean_abs: Mean absolute value of what the update added.
        change_norm: Norm of what the update added.
        gradient: Its gradient; None where the backward pass did not reach it.
    """

    name: str = "0.weight"
    kind: str = "weight"
    layer: str = "Linear"
    shape: tuple[int, ...] = (64, 64)
    mean_abs: float = 0.1
    norm: float = 8.0
    variance: float = 2 / 64
    zero_share: float = 0.0
    tiny_share: float = 0.0
    negative_share: float = 0.5
    is_finite: bool = True
    change_mean_abs: float = 1e-4
    change_norm: float = 1e-2
    gradient: Gradient | None = Gradient()

    @property
    def module(self) -> str:
        """Dotted name of the module that owns it."""
        return self.name.rpartition(".")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """One call of an activation function in one forward pass.

    A unit is a channel of a tensor of four dimensions or more, else an entry of the last.

    Attributes:
        function: Its name, such as ``"relu"``.
        input_variance: Variance of what goes in.
        output_std: Standard deviation of what comes out.
        rarely_positive_share: Share of the units above zero in less than 1 % of the cases.
        rarely_inside_share: For tanh and sigmoid: share of the units whose input lies
            within the bounds of SageMaker Debugger in less than 1 % of the cases.
        always_tiny_share: Share of the units below 1e-5 in size in 95 % of the cases.
        bounded_share: For tanh and sigmoid: share of the units with a saturation measure
            above 0.85 (see `the_deep_checker.saturated`).
        is_finite: Whether no output is NaN or infinite.
    """

    function: str = "relu"
    input_variance: float = 1.0
    output_std: float = 0.6
    rarely_positive_share: float = 0.0
    rarely_inside_share: float = 0.0
    always_tiny_share: float = 0.0
    bounded_share: float = 0.0
    is_finite: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One optimiser step."""

    loss: float
    parameters: tuple[Parameter, ...] = ()
    activations: tuple[Activation, ...] = ()

    @property
    def gradients(self) -> tuple[Gradient, ...]:
        """The gradients there are."""
        return tuple(p.gradient for p in self.parameters if p.gradient is not None)

    def of_kind(self, *kinds: str) -> tuple[Parameter, ...]:
        """Return the parameters of these kinds, in the order of their registration."""
        return tuple(p for p in self.parameters if p.kind in kinds)


@dataclass(frozen=True, slots=True)
class Record:
    """A run, step by step; it ends early where the loss stops being finite."""

    steps: tuple[Step, ...]

    @property
    def losses(self) -> tuple[float, ...]:
        """The loss of every step."""
        return tuple(step.loss for step in self.steps)

    def histories(self, *kinds: str) -> Iterator[tuple[Parameter, ...]]:
        """Yield each parameter of these kinds through all steps."""
        yield from zip(*(step.of_kind(*kinds) for step in self.steps), strict=True)


Rule = Callable[[Record], bool]


@dataclass(frozen=True, kw_only=True)
class System:
    """The rules of one published system.

    Attributes:
        name: As the page calls it.
        source: Where its rules and their defaults are published.
        left_out: What of it is not here, and why.
        rules: Name to rule; each says what it does and with which defaults.
    """

    name: str
    source: str
    left_out: str
    rules: Mapping[str, Rule]

    def alarms(self, record: Record) -> tuple[str, ...]:
        """Return the names of the rules that fire at least once in a run."""
        return tuple(name for name, rule in self.rules.items() if rule(record))
