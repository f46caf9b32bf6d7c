"""What a number format takes: norms whose squares overflow, and where a zero came from."""

from __future__ import annotations

import math
from dataclasses import replace

from unvanish.core.glossary import Quantity
from unvanish.core.records import Edge, Recording, Role, Site
from unvanish.diagnose.neighbours import Neighbours
from unvanish.diagnose.number_format import erasure_of, is_learned, is_of_a_saturated_output
from unvanish.testing import recording_of

LAYER = Site(index=0, path="fc", op="linear", weights=("fc.weight",))


def plain(*ops: str) -> list[Site]:
    return [Site(index=0, path="", op=op) for op in ops]


def joined(steps: list[Site], *further: tuple[int, int], infinite: tuple[int, ...] = ()):
    recording = recording_of(
        *steps,
        profiles={
            Quantity.NON_FINITE_FRACTION: [0.6 * (i in infinite) for i in range(len(steps))],
            Quantity.ACTIVATION_RMS: [
                math.inf if i in infinite else 1.0 for i in range(len(steps))
            ],
        },
    )
    edges = (*recording.edges, *(Edge(a, b, 0.0) for a, b in further))
    recording = replace(recording, edges=edges)
    return recording, Neighbours(recording)


def erased(recording: Recording, neighbours: Neighbours, *infinite: int):
    return erasure_of(neighbours, [recording.sites[i] for i in infinite])


def test_a_mean_taken_off_belongs_to_what_is_divided():
    steps = [LAYER, *plain("sub", "var", "add", "sqrt", "div")]
    recording, neighbours = joined(steps, (0, 2), (1, 5), infinite=(2, 3, 4))
    recording = replace(
        recording, edges=tuple(e for e in recording.edges if (e.producer, e.consumer) != (1, 2))
    )
    found = erased(recording, Neighbours(recording), 2, 3, 4)
    assert found is not None
    assert (found.origin.op, found.quotient.op) == ("var", "div")
    assert [site.op for site in found.steps] == ["var", "add", "sqrt", "div"]
    assert found.share == 0.6
    assert erased(recording, neighbours) is None


def test_a_root_of_what_is_finite_again_is_no_norm():
    """x sqrt(1 / (1 + x^2)) has a root, but behind the zero that is right to rounding."""
    steps = [LAYER, *plain("pow", "reciprocal", "sqrt", "mul")]
    recording, neighbours = joined(steps, (0, 4), infinite=(1,))
    assert erased(recording, neighbours, 1) is None


def test_masks_and_strangers_are_not_erased():
    steps = [LAYER, *plain("add", "sqrt", "div")]
    recording, neighbours = joined(steps, (0, 3), infinite=(1, 2))
    assert erased(recording, neighbours, 1, 2) is None
    other = [LAYER, *plain("pow", "sqrt"), LAYER, *plain("div")]
    recording, neighbours = joined(other, (2, 4), infinite=(1, 2))
    assert erased(recording, neighbours, 1, 2) is None


def test_where_a_zero_came_from():
    _, saturated = joined([LAYER, *plain("sigmoid", "mul", "log")])
    assert is_of_a_saturated_output(saturated, saturated.recording.sites[3])
    _, sums = joined([LAYER, *plain("exp", "sum", "log")])
    assert not is_of_a_saturated_output(sums, sums.recording.sites[3])


def test_what_a_parameter_has_a_part_in():
    _, neighbours = joined([*plain("sub", "div"), LAYER, *plain("relu")])
    assert [is_learned(neighbours, site) for site in neighbours.recording.sites] == [
        False,
        False,
        True,
        True,
    ]
    scale = Site(index=0, path="", op="exp", role=Role.WEIGHT)
    _, neighbours = joined([scale, *plain("mul")])
    assert is_learned(neighbours, neighbours.recording.sites[1])
