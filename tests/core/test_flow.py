"""Cuts through hand-written networks: skips count, single rescaled layers do not."""

from __future__ import annotations

import math

import pytest

from unvanish.core.flow import gradient_flow
from unvanish.core.glossary import Quantity
from unvanish.core.records import Edge, Profile, Recording, Site

GRAD = Quantity.LOG10_PROBE_GRAD_RMS
RMS = Quantity.ACTIVATION_RMS


def network(
    grads: list[float], *, depths: list[int], edges: list[tuple[int, int]], rms: list[float]
) -> Recording:
    """Write down a network of sites of size one, all with weights unless depth repeats."""
    seen: set[int] = set()
    sites = []
    for i, depth in enumerate(depths):
        weights = () if depth in seen else (f"w{i}",)
        seen.add(depth)
        sites.append(Site(index=i, path=f"l{i}", op="linear", depth=depth, weights=weights))
    return Recording(
        sites=tuple(sites),
        edges=tuple(Edge(p, c, 0.0) for p, c in edges),
        profiles={
            GRAD: Profile(GRAD, dict(enumerate(grads))),
            RMS: Profile(RMS, dict(enumerate(rms))),
        },
    )


def chain(grads: list[float], rms: list[float] | None = None) -> Recording:
    n = len(grads)
    edges = [(i, i + 1) for i in range(n - 1)]
    return network(grads, depths=list(range(1, n + 1)), edges=edges, rms=rms or [1.0] * n)


def test_a_chain_loses_what_its_ends_differ_by() -> None:
    flow = gradient_flow(chain([-6.0, -4.0, -2.0, 0.0]), GRAD)
    assert flow is not None
    assert [flow.lost(level) for level in flow.levels] == [6.0, 4.0, 2.0, 0.0]
    assert flow.compounded(sign=1) == [6.0, 4.0, 0.0, 0.0]
    assert [level.layer.path for level in flow.levels] == ["l0", "l1", "l2", "l3"]


def test_a_skip_connection_carries_the_gradient_across() -> None:
    # 0 -> 1 -> 2 (add, depth 2) -> 3, with 0 -> 2 around the starved layer 1
    recording = network(
        [0.0, -9.0, 0.0, 0.0],
        depths=[1, 2, 2, 3],
        edges=[(0, 1), (1, 2), (0, 2), (2, 3)],
        rms=[1.0] * 4,
    )
    flow = gradient_flow(recording, GRAD)
    assert flow is not None
    assert [flow.lost(level) for level in flow.levels] == [0.0, 0.0, 0.0]


def test_one_rescaled_layer_compounds_nothing_and_keeps_its_sensitivity() -> None:
    flow = gradient_flow(chain([0.0, -3.0, 0.0, 0.0], rms=[1.0, 1e3, 1.0, 1.0]), GRAD)
    assert flow is not None
    assert flow.lost(flow.levels[1]) == 3.0
    assert flow.compounded(sign=1)[1] <= 1.5  # of 3: half, and only with two steps to compare
    assert flow.sensitivity_lost(flow.levels[1]) == pytest.approx(0.0)


def test_a_loss_at_one_step_among_many_compounds_to_the_others() -> None:
    flow = gradient_flow(chain([-4.0, -4.0, -3.9, 0.0, 0.0]), GRAD)
    assert flow is not None
    assert flow.compounded(sign=1)[0] == pytest.approx(0.15, abs=0.01)


def test_what_an_activation_kills_is_seen_behind_the_layer_that_feeds_it() -> None:
    # layer 0 (depth 1) -> dead activation 1 (depth 1) -> layer 2 (depth 2)
    recording = network(
        [-math.inf, -0.5, 0.0],
        depths=[1, 1, 2],
        edges=[(0, 1), (1, 2)],
        rms=[1.0, 0.0, 1.0],
    )
    flow = gradient_flow(recording, GRAD)
    assert flow is not None
    assert flow.lost(flow.levels[0]) == math.inf


def test_a_mask_before_a_softmax_is_no_sensitivity() -> None:
    sites = (
        Site(index=0, path="q", op="linear", depth=1, weights=("w",)),
        Site(index=1, path="", op="add", depth=1),
        Site(index=2, path="", op="softmax", depth=1),
        Site(index=3, path="o", op="linear", depth=2, weights=("v",)),
    )
    recording = Recording(
        sites=sites,
        edges=tuple(Edge(i, i + 1, 0.0) for i in range(3)),
        profiles={
            GRAD: Profile(GRAD, dict.fromkeys(range(4), 0.0)),
            RMS: Profile(RMS, {0: 1.0, 1: 1e38, 2: 0.1, 3: 1.0}),
        },
    )
    flow = gradient_flow(recording, GRAD)
    assert flow is not None
    assert max(abs(level.log10_sensitivity) for level in flow.levels if level.depth > 1) < 1


def test_growth_is_read_with_the_other_sign() -> None:
    flow = gradient_flow(chain([6.0, 4.0, 2.0, 0.0]), GRAD)
    assert flow is not None
    assert flow.compounded(sign=-1) == [6.0, 4.0, 0.0, 0.0]


def test_an_exact_zero_is_an_infinite_loss() -> None:
    flow = gradient_flow(chain([-math.inf, -math.inf, 0.0]), GRAD)
    assert flow is not None
    assert flow.lost(flow.levels[0]) == math.inf
    assert flow.lost_between(0, 1) == 0.0
    assert math.isnan(flow.compounded(sign=1)[0])


@pytest.mark.parametrize("grads", [[], [0.0], [math.nan, math.nan]])
def test_nothing_to_compare_gives_no_flow(grads: list[float]) -> None:
    assert gradient_flow(chain(grads), GRAD) is None


def test_ten_thousand_layers_are_cut_in_linear_time() -> None:
    flow = gradient_flow(chain([-0.85 * i for i in range(10_000, 0, -1)]), GRAD)
    assert flow is not None
    assert flow.lost(flow.levels[0]) == pytest.approx(0.85 * 9_999)
