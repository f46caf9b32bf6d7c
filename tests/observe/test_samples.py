"""Numbers over the samples of a batch and over the rows of a weight, against slow twins."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from unvanish.observe.statistics.samples import compare, directions
from unvanish.observe.statistics.symmetry import distinct_fraction, fingerprint


def samples(offset: float = 0.0, n: int = 12, features: int = 40) -> Tensor:
    return torch.randn(n, features, generator=torch.Generator().manual_seed(0)) + offset


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize("offset", [0.0, 3.0])
def test_comparison_against_its_definition(offset: float, scale: float) -> None:
    x = scale * samples(offset)
    wide = x.double() / scale  # torch.nn.functional.cosine_similarity has a floor
    reading = compare(x)
    pairs = [cosine_similarity(wide[i], wide[j], dim=0) for i in range(12) for j in range(i)]
    centred = wide - wide.mean(0)
    s = torch.linalg.svdvals(centred)
    spread = centred.square().sum() / wide.square().sum() * 12 / 11
    assert float(reading.cosine) == pytest.approx(float(torch.stack(pairs).mean()), abs=1e-12)
    assert float(reading.spread) == pytest.approx(float(spread), rel=1e-6)
    assert float(reading.rank) == pytest.approx(float(s.square().sum() ** 2 / s.pow(4).sum()))


@pytest.mark.parametrize("difference", [1e-2, 1e-4, 1e-6])
def test_small_differences_beside_a_large_common_part(difference: float) -> None:
    common = torch.ones(1, 40, dtype=torch.float64)
    reading = compare(common + difference * samples().double())
    assert float(reading.spread) == pytest.approx(difference**2, rel=0.15)
    assert float(reading.rank) > 5.0


def test_samples_of_one_direction_and_different_length() -> None:
    reading = compare(torch.arange(1.0, 9.0)[:, None] * torch.ones(8, 5))
    assert float(reading.cosine) == pytest.approx(1.0)
    assert float(reading.rank) == pytest.approx(1.0)
    assert float(reading.spread) == pytest.approx(42 / 204 * 8 / 7)


def test_equal_samples_and_zeros() -> None:
    equal = compare(torch.full((8, 5), 0.3))
    assert (float(equal.spread), float(equal.rank)) == (0.0, 0.0)
    assert float(equal.cosine) == pytest.approx(1.0)
    zeros = compare(torch.zeros(8, 5))
    assert (float(zeros.cosine), float(zeros.spread), float(zeros.rank)) == (0.0, 0.0, 0.0)


def test_directions_of_random_signs_are_their_number() -> None:
    signs = torch.randint(0, 2, (400, 10), generator=torch.Generator().manual_seed(0)) * 2.0 - 1.0
    assert float(directions(signs)) == pytest.approx(10.0, rel=0.03)
    lengths = torch.logspace(-20, 5, 400)[:, None]
    assert float(directions(signs * lengths)) == pytest.approx(float(directions(signs)))
    assert float(directions(torch.ones(4, 3))) == pytest.approx(1.0)
    assert float(directions(torch.cat([signs, torch.zeros(50, 10)]))) == pytest.approx(10, rel=0.03)
    assert math.isnan(float(directions(torch.zeros(4, 3))))


def test_distinct_rows() -> None:
    rows = samples(n=8, features=5)
    assert distinct_fraction(rows) == 1.0
    assert distinct_fraction(rows.repeat(4, 1)) == 0.25
    assert distinct_fraction(torch.ones(8, 5)) == 1 / 8
    assert distinct_fraction(rows.repeat(4, 1).reshape(32, 5, 1, 1)) == 0.25
    assert distinct_fraction(torch.ones(8)) == 1 / 8
    assert distinct_fraction(samples(n=1024, features=1)[:, 0]) == 1.0


def test_rows_of_zeros_are_left_out() -> None:
    rows = samples(n=8, features=5)
    rows[3:] = 0.0
    assert distinct_fraction(rows) == 1.0
    rows[1:] = 0.0
    assert math.isnan(distinct_fraction(rows))
    assert math.isnan(distinct_fraction(torch.zeros(8, 5)))


def test_rounding_makes_no_difference_and_anything_more_does() -> None:
    rows = torch.ones(8, 5) + 1e-6 * torch.arange(8.0)[:, None]
    assert distinct_fraction(rows) < 1.0
    rows = torch.ones(8, 5) + 1e-5 * torch.arange(8.0)[:, None]
    assert distinct_fraction(rows) == 1.0


@pytest.mark.parametrize(
    "weight",
    [
        torch.tensor(1.0),
        torch.zeros(0, 5),
        torch.ones(1, 5),
        torch.ones(4, 4, dtype=torch.int64),
        torch.tensor([[1.0, math.inf], [1.0, 2.0]]),
        torch.tensor([[1.0, math.nan], [1.0, 2.0]]),
        torch.eye(4).to_sparse(),
    ],
)
def test_what_has_no_rows_to_compare(weight: Tensor) -> None:
    assert math.isnan(distinct_fraction(weight))


def test_large_weights_are_thinned_the_same_way_every_time() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    weight = samples(n=5000, features=700)
    assert distinct_fraction(weight) == distinct_fraction(weight) == 1.0
    assert distinct_fraction(weight[:2].repeat(2500, 1)) < 0.01
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_types(dtype: torch.dtype) -> None:
    rows = samples(n=8, features=5).to(dtype)
    assert distinct_fraction(rows) == 1.0
    assert distinct_fraction(rows.repeat(2, 1)) == 0.5


@pytest.mark.parametrize("shape", [(1, 1), (64, 32), (8, 4, 3, 3), (2000, 600)])
def test_equal_weights_have_equal_fingerprints(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    weight = torch.randn(shape)
    state = torch.get_rng_state()
    assert fingerprint(weight) == fingerprint(weight.clone())
    assert torch.equal(state, torch.get_rng_state())
    if weight.numel() > 1:
        assert abs(fingerprint(weight) - fingerprint(torch.randn(shape))) > 1e-3
        assert abs(fingerprint(weight * (1 + 1e-7)) - fingerprint(weight)) < 1e-6


def test_zeros_and_numbers_that_are_none_have_no_fingerprint() -> None:
    assert math.isnan(fingerprint(torch.zeros(4, 4)))
    assert math.isnan(fingerprint(torch.full((4, 4), math.inf)))
    assert math.isnan(fingerprint(torch.ones(0, 4)))
    assert math.isnan(fingerprint(torch.ones(4, 4).to_sparse()))
