"""Looking upstream of a site."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from unvanish.core.glossary import Quantity
from unvanish.core.records import Edge, Role
from unvanish.diagnose.upstream import Upstream
from unvanish.testing import recording_of


def test_the_walk_finds_the_weights_behind_elementwise_steps():
    recording = recording_of("linear", "mul", "add", "tanh")
    assert Upstream(recording).weighted(recording.sites[3]) == recording.sites[0]
    assert Upstream(recording).weighted(recording.sites[0]) is None


def test_the_strongest_producer_comes_first_and_weights_are_no_signal():
    recording = recording_of(
        "linear", "linear", "t", "add", profiles={Quantity.ACTIVATION_RMS: [1.0, 3.0, 9.0, 3.0]}
    )
    sites = list(recording.sites)
    sites[2] = replace(sites[2], role=Role.WEIGHT)
    edges = tuple(Edge(producer, 3, 0.0) for producer in range(3))
    recording = replace(recording, sites=tuple(sites), edges=edges)
    assert [s.index for s in Upstream(recording).producers(recording.sites[3])] == [1, 0]


def test_a_graph_with_a_loop_ends_the_walk():
    recording = recording_of("add", "tanh")
    recording = replace(recording, edges=(*recording.edges, Edge(1, 0, 0.0), Edge(1, 1, 0.0)))
    assert Upstream(recording).weighted(recording.sites[1]) is None


def test_the_input_is_read_off_the_first_weights():
    recording = recording_of(
        "linear", "relu", "linear", "tanh", profiles={Quantity.ACTIVATION_RMS: [5.0, 3.0, 3.0, 1.0]}
    )
    # The weights written by hand have gain 1, so the input is as large as the first output.
    assert Upstream(recording).input_rms(recording.sites[3]) == pytest.approx(5.0)


def test_a_bounded_activation_forgets_the_input():
    recording = recording_of(
        "linear",
        "tanh",
        "linear",
        "tanh",
        profiles={Quantity.ACTIVATION_RMS: [50.0, 1.0, 1.0, 1.0]},
    )
    assert math.isnan(Upstream(recording).input_rms(recording.sites[3]))
