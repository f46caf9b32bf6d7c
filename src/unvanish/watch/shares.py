"""What one process of several writes down: its sums, and what they are sums of.

No process waits for another, and none is spoken to: what several processes have is put together
by whoever reads their recordings (`unvanish.watch.merging`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from unvanish.core.runfile import RunWriter
from unvanish.watch.layers import Layers
from unvanish.watch.parameters import LeftOver, ParameterGroup
from unvanish.watch.parts import Contents, ParameterPart, TapPart, in_bytes, packed
from unvanish.watch.pieces import is_unfinished, piece_of
from unvanish.watch.readings import Row
from unvanish.watch.sharing import Sharing
from unvanish.watch.sums import PARAMETER_SUMS, TAP_SUMS, TURN_SUMS
from unvanish.watch.taps import Tap


class Share:
    """Writes the sums of this process into its recording.

    Args:
        writer: The recording.
        layers: The layers of this process.
        sharing: How it and others share the models.
    """

    def __init__(self, writer: RunWriter, layers: Layers, sharing: Sharing) -> None:
        self.sharing = sharing
        self._writer = writer
        self._layers = layers
        self._groups: Sequence[ParameterGroup] = ()
        self._factors = np.ones(0)
        self._has_addends = False
        self._taps: Sequence[Tap] = ()
        self._pieces: dict[str, npt.NDArray[Any]] = {}
        self._known: tuple[Any, str] | None = None

    def parameters(self, groups: Sequence[ParameterGroup], sums: Row) -> None:
        """Take the sums of parameters.

        Args:
            groups: The parameters.
            sums: One row for each of `PARAMETER_SUMS`, one column a parameter.
        """
        self._groups = list(groups)
        parameters = [parameter for group in groups for parameter in group.parameters]
        self._factors = np.array([_factor(parameter) for parameter in parameters])
        self._has_addends = bool(np.isnan(self._factors).any())
        gradients = [name.startswith(("grad", "clipped")) for name in PARAMETER_SUMS]
        whole = sums.copy()
        whole[gradients] *= self._factors
        self._pieces["parameters"] = whole

    def activations(self, taps: Sequence[Tap], sums: Row, on: Row | None, scale: float) -> None:
        """Take the sums of taps.

        Args:
            taps: The taps.
            sums: One row for each of `TAP_SUMS`, one column a tap.
            on: 1 for every unit that was on, of all taps that have units to tell of; None
                where none has.
            scale: What the loss was multiplied with.
        """
        self._taps = list(taps)
        sums = sums.copy()
        cut = [tap.is_cut for tap in taps]
        for name in ("cosine", "pairs"):  # of pieces of samples the cosine is another one
            sums[TAP_SUMS.index(name), cut] = 0.0
        self._pieces["taps"] = sums
        self._pieces["scale"] = np.asarray(scale)
        if on is not None:
            units = [0 if tap.on is None else len(tap.on) for tap in taps]
            for tap, count in zip(taps, units, strict=True):
                tap.layer.units = count or tap.layer.units
            self._pieces["on"] = in_bytes(on)
            self._pieces["units"] = np.asarray(units, dtype=np.float64)

    def turns(self, turns: Sequence[tuple[int, ParameterGroup]], found: Mapping[str, Row]) -> None:
        """Write how gradients turned from one step to the next.

        Args:
            turns: Step and parameters of ``"turn 0"``, ``"turn 1"``, ...
            found: These pieces.
        """
        starts = dict(self._starts())
        width = sum(len(group) for group in self._groups)
        for step in sorted({step for step, _ in turns}):
            whole = np.full((len(TURN_SUMS), width), math.nan)
            for number, (at_step, group) in enumerate(turns):
                start = starts.get(id(group))
                if at_step == step and start is not None:
                    whole[:, start : start + len(group)] = found[f"turn {number}"]
            whole *= self._factors
            self._writer.sums(step, self._contents(), packed({"turn": whole}))

    def write(self, step: int) -> None:
        """Write what was taken, as that of one step."""
        pieces, self._pieces = self._pieces, {}
        if pieces:
            self._writer.sums(step, self._contents(), packed(pieces))

    def _starts(self) -> Iterator[tuple[int, int]]:
        start = 0
        for group in self._groups:
            yield id(group), start
            start += len(group)

    def _contents(self) -> str:
        """Return what the sums are sums of; the same text as long as nothing changes."""
        key = (
            tuple(id(group) for group in self._groups),
            tuple((tap.layer.position, tap.cuts) for tap in self._taps),
            len(self._layers.settled),
            self.sharing,
            self._has_addends,
        )
        if self._known is None or self._known[0] != key:
            self._known = key, self._described().text()
        return self._known[1]

    def _described(self) -> Contents:
        sharing = self.sharing
        return Contents(
            rank=sharing.rank,
            world=sharing.world,
            launch=sharing.launch,
            strategy=sharing.strategy,
            batches=sharing.batches,
            divisor=sharing.divisor,
            passes=max(1, sharing.passes),
            has_addends=self._has_addends,
            parameters=tuple(self._parameters()),
            taps=tuple(
                TapPart(
                    layer=tap.layer.position,
                    is_bounded=tap.function is not None and not math.isnan(tap.function.flat_below),
                    cuts=tap.cuts,
                )
                for tap in self._taps
            ),
        )

    def _parameters(self) -> Iterator[ParameterPart]:
        for group in self._groups:
            for parameter in group.parameters:
                layer = self._layers.holder(parameter)
                own = {} if layer is None else layer.parameters
                name = next((name for name, each in own.items() if each is parameter), "")
                cuts, mesh = self.sharing.piece(parameter)
                yield ParameterPart(
                    layer=-1 if layer is None else layer.position,
                    name=name,
                    cuts=cuts,
                    mesh=mesh,
                    is_moved=not isinstance(group, LeftOver),
                )


def _factor(parameter: nn.Parameter) -> float:
    """Return what makes sums over a gradient those of the piece that is here of the parameter.

    A gradient may be cut in another way than its parameter. Where it is an addend, which nobody
    has summed up yet, there is no such number: ``nan``.
    """
    gradient = parameter.grad
    if gradient is None or type(gradient) is Tensor:
        return 1.0
    if is_unfinished(gradient):
        return math.nan
    own, held = (math.prod(n for n, _ in piece_of(each)[0]) for each in (gradient, parameter))
    return own / held
