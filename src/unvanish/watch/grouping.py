"""Which processes of a run hold the same model, and which have layers of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from unvanish.core.runs import RankSums, RunRecording
from unvanish.watch.parts import Contents, Cuts, contents_of, unpacked
from unvanish.watch.readings import Row
from unvanish.watch.sums import PARAMETER_SUMS

_LOOKS: Final = 3
"""Sampled steps that are compared."""

_SAME_WEIGHT: Final = 1e-5
_SAME_GRADIENT: Final = 1e-2
"""Copies agree to the last bit on one kind of device; two kinds round in two ways."""

_NOISE: Final = 1e-8
"""Of the largest square: what should be zero, and is rounding."""

_COMPARED: Final = [PARAMETER_SUMS.index(name) for name in ("grad_square", "param_square")]

Own = tuple[str, str, str, Cuts]
"""Path and function of a layer, name of a parameter and which piece of it."""

Figures = dict[Own, tuple[str, Row]]
"""What tells copies apart: squares of gradient and weight, with the mesh that shares them out."""


class Rank:
    """The recording of one process.

    Args:
        recording: With its sums.
    """

    def __init__(self, recording: RunRecording) -> None:
        self.recording = recording
        self._by_step: dict[int, list[RankSums]] = {}
        for each in recording.sums:
            self._by_step.setdefault(each.step, []).append(each)
        self._contents: dict[str, Contents] = {}
        self.contents = self._read(recording.sums[-1].contents)
        self.number = self.contents.rank

    @property
    def steps(self) -> dict[int, list[RankSums]]:
        """The steps of which there are sums."""
        return self._by_step

    def sums_at(self, step: int) -> Iterator[tuple[Contents, dict[str, Row]]]:
        """Yield the sums of one step, and what they are sums of.

        Args:
            step: Any step.
        """
        for row in self._by_step.get(step, ()):
            yield self._read(row.contents), unpacked(row.data)

    def figures(self, step: int) -> Figures:
        """Return what tells copies of parameters apart, with the mesh that shares them out.

        Args:
            step: One of `steps`.
        """
        layers = self.recording.layers
        return {
            (layers[p.layer].path, layers[p.layer].function, p.name, p.cuts): (p.mesh, row)
            for contents, found in self.sums_at(step)
            if "parameters" in found
            for p, row in zip(contents.parameters, found["parameters"][_COMPARED].T, strict=True)
            if 0 <= p.layer < len(layers)
        }

    def _read(self, text: str) -> Contents:
        known = self._contents.get(text)
        if known is None:
            known = self._contents[text] = contents_of(text)
        return known


@dataclass(frozen=True, slots=True)
class Grouping:
    """Which processes hold the same model.

    Attributes:
        groups: For each process the position of the first one that holds the same.
        apart: Path and function of layers that are others on each process all the same, such as
            the experts of a mixture.
    """

    groups: tuple[int, ...]
    apart: frozenset[tuple[str, str]] = frozenset()


def grouping_of(ranks: Sequence[Rank]) -> Grouping:
    """Tell copies and pieces of one model from namesakes.

    Args:
        ranks: The processes.
    """
    common = set[int].intersection(*(set(rank.steps) for rank in ranks))
    steps = sorted(common)[:_LOOKS]
    figures = [[rank.figures(step) for step in steps] for rank in ranks]
    members: dict[int, list[int]] = {}
    groups: list[int] = []
    apart: set[tuple[str, str]] = set()
    for number, own in enumerate(figures):
        first = number
        for group, others in members.items():
            differing = [_differing(own, figures[other]) for other in others]
            if None not in differing:
                apart.update(*(found for found in differing if found is not None))
                first = group
                break
        members.setdefault(first, []).append(number)
        groups.append(first)
    return Grouping(tuple(groups), frozenset(apart))


def _differing(ones: Sequence[Figures], others: Sequence[Figures]) -> set[tuple[str, str]] | None:
    """Return the layers of which two processes hold neither copies nor pieces.

    Returns:
        None where that is most of them: they hold two models.
    """
    found: set[tuple[str, str]] = set()
    for one, other in zip(ones, others, strict=True):
        both = [
            own
            for own in one.keys() & other.keys()
            if not (one[own][0] and one[own][0] == other[own][0])  # one mesh, one parameter
        ]
        if not both:
            continue
        a, b = (np.array([each[own][1] for own in both]) for each in (one, other))
        same = _is_same(a[:, 0], b[:, 0], a[:, 1], b[:, 1])
        if np.count_nonzero(~same) > len(same) / 2:
            return None
        found.update(
            (own[0], own[1]) for own, is_same in zip(both, same, strict=True) if not is_same
        )
    return found


def _is_same(grad: Row, other_grad: Row, weight: Row, other_weight: Row) -> npt.NDArray[np.bool_]:
    """Tell which parameters are copies; of gradients that are noise alone, nothing follows."""
    with np.errstate(invalid="ignore"):
        largest = np.nanmax(np.concatenate([grad, other_grad, [0.0]]))
        is_noise = (grad <= _NOISE * largest) & (other_grad <= _NOISE * largest)
    grads = np.isclose(grad, other_grad, rtol=_SAME_GRADIENT, atol=0.0, equal_nan=True) | is_noise
    weights = np.isclose(weight, other_weight, rtol=_SAME_WEIGHT, atol=0.0, equal_nan=True)
    same: npt.NDArray[np.bool_] = grads & weights
    return same
