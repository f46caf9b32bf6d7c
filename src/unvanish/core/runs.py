"""What watching a training run leaves behind: layers, series over steps, events.

Plain numbers and text, without torch, as in `unvanish.core.records`; but where a `Recording` is one
look at everything, a `RunRecording` is many looks at what may change. Sizes are base-10 logarithms:
an exact zero is ``-inf``, and ``nan`` says that something was not measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from unvanish.core.conditions import Optimizer
from unvanish.core.glossary import LayerQuantity, StepQuantity
from unvanish.core.places import SourceLine

RUN_SCHEMA = 1
"""Version of the layout; a reader takes this one and all older ones."""

DEAD_WINDOW = 8
"""Over how many sampled batches a unit has to be silent to count as dead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedLayer:
    """One module, or one function called by a module, that a run was watched at.

    Attributes:
        index: Position in `RunRecording.layers`; layers stand in the order of the first forward
            pass, and one that was never called stands at the end.
        path: Path of the module, such as ``"layers.3"``; with the name of its model in front,
            ``"generator/layers.3"``, where several are watched.
        module: Class name of the module, such as ``"Linear"``.
        function: Name of the function, such as ``"relu"``, where it is a call and no module.
        parameters: Names of the module's own parameters, such as ``("weight", "bias")``; a
            parameter that is shared stands at the first layer that has it.
        size: Number of elements of these parameters, over all ranks.
        units: Channels or features that can be dead; 0 where that has no meaning.
        optimizer: Index of the optimiser that moves it; -1 for none.
        built: The user's line that built the module, where it was seen.
    """

    index: int
    path: str
    module: str = ""
    function: str = ""
    parameters: tuple[str, ...] = ()
    size: int = 0
    units: int = 0
    optimizer: int = -1
    built: SourceLine | None = None

    @property
    def name(self) -> str:
        """The layer as a person would point at it, such as ``layers.3`` or ``layers.3 relu``."""
        return " ".join(part for part in (self.path or "(root)", self.function) if part)


@dataclass(frozen=True, slots=True)
class LayerSeries:
    """One quantity over layers and sampled steps.

    Attributes:
        quantity: What was measured; defined in the glossary.
        steps: The sampled steps, ascending.
        rows: One row a step, one value a layer; ``nan`` where it was not measured. A row may be
            shorter than the list of layers: what came later was not there yet.
    """

    quantity: LayerQuantity
    steps: tuple[int, ...]
    rows: tuple[Sequence[float], ...]

    def of(self, layer: WatchedLayer | int) -> Iterator[tuple[int, float]]:
        """Yield step and value of one layer wherever it was measured."""
        index = layer if isinstance(layer, int) else layer.index
        for step, row in zip(self.steps, self.rows, strict=True):
            if index < len(row) and not math.isnan(row[index]):
                yield step, row[index]


@dataclass(frozen=True, slots=True)
class StepSeries:
    """One quantity of the whole run over steps.

    Attributes:
        quantity: What was measured; defined in the glossary.
        steps: Where it was measured, ascending. The loss is known at every step, other quantities
            at the sampled ones.
        values: One value a step.
    """

    quantity: StepQuantity
    steps: tuple[int, ...]
    values: Sequence[float]


class EventKind(StrEnum):
    """Something that happened at one step."""

    NON_FINITE = "non-finite"
    """A loss or a gradient that is inf or nan."""

    SKIPPED = "skipped"
    """The scaler of a mixed-precision run left a step out."""

    RATE = "rate"
    """The learning rate was changed by more than a schedule's usual step; the text ends with
    ``from BEFORE to AFTER``."""

    JUMPED = "jumped"
    """The loss jumped: from here on, dead units are counted anew."""

    LAYERS = "layers"
    """Layers appeared that had not been called before, or whose parameters were exchanged."""

    NOT_MEASURED = "not-measured"
    """Something could not be looked at from here on, and why."""

    STOPPED = "stopped"
    """An exception, a signal or an exit ended the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEvent:
    """One event of a run.

    Attributes:
        step: When.
        kind: What kind of thing.
        text: What happened, in a sentence.
        layer: Index of the layer it is about; -1 for none.
    """

    step: int
    kind: EventKind
    text: str
    layer: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConditions:
    """Under which conditions a run was watched.

    Attributes:
        target: What was run, as the user wrote it: a script with its arguments, or empty.
        every: Every how many steps a sample is taken, after the first few.
        optimizers: The optimisers, with their settings when they were first seen.
        device: Type of the device, such as ``"cpu"``.
        dtype: Of the parameters, such as ``"float32"``.
        autocast: Dtype under autocast; empty without.
        batch: Samples of the first batch, as far as they can be told; 0 where not.
        world_size: Number of processes.
        strategy: How the processes share the model: ``"DDP"``, ``"FSDP2"``, ...; empty for one.
        versions: Package to version.
        unwatched: What cannot be measured in this run, and why, one sentence each.
    """

    target: str = ""
    every: int = 50
    optimizers: tuple[Optimizer, ...] = ()
    device: str = "cpu"
    dtype: str = "float32"
    autocast: str = ""
    batch: int = 0
    world_size: int = 1
    strategy: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    unwatched: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RankSums:
    """What one process of several added up at one step, before it is put together with the others.

    Attributes:
        step: The step.
        contents: What stands in `data`, and which part of what it is, as JSON.
        data: The sums, packed.
    """

    step: int
    contents: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecording:
    """A training run as it was watched, whole or as far as it is.

    Attributes:
        conditions: Under which it was watched.
        layers: What was watched, in forward order.
        by_layer: Quantity to its series over layers and steps.
        by_step: Quantity to its series over steps.
        events: What happened, in order.
        last_step: The last step that was begun; -1 where there was none.
        is_ended: Whether the run was closed; False while it goes on, or where it was killed.
        started: Unix time in seconds at which the recording was begun; 0 where not known.
        sums: What this process of several added up, which is no series yet; empty for one
            process, and once the processes' recordings have been put together.
    """

    conditions: RunConditions = field(default_factory=RunConditions)
    layers: tuple[WatchedLayer, ...] = ()
    by_layer: Mapping[LayerQuantity, LayerSeries] = field(default_factory=dict)
    by_step: Mapping[StepQuantity, StepSeries] = field(default_factory=dict)
    events: tuple[RunEvent, ...] = ()
    last_step: int = -1
    is_ended: bool = False
    started: float = 0.0
    sums: tuple[RankSums, ...] = ()

    def series(self, quantity: LayerQuantity, layer: WatchedLayer | int) -> list[tuple[int, float]]:
        """Return step and value of one quantity at one layer; empty where not measured."""
        known = self.by_layer.get(quantity)
        return list(known.of(layer)) if known is not None else []

    def over(self, quantity: StepQuantity) -> list[tuple[int, float]]:
        """Return step and value of one quantity of the whole run; empty where not measured."""
        known = self.by_step.get(quantity)
        return list(zip(known.steps, known.values, strict=True)) if known is not None else []
