"""Every map against random networks of large width; seeds are fixed."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from unvanish.theory.activations import Activation, activation, from_function
from unvanish.theory.attention import softmax_energy, token_correlation
from unvanish.theory.convolution import mode_factors, sigma_w2
from unvanish.theory.criticality import critical_point
from unvanish.theory.mean_field import (
    chi_1,
    chi_q,
    correlation_map,
    correlation_slope,
    gradient_profile,
    length_map,
    mean_field,
)
from unvanish.theory.normalisation import chi_batch_norm, chi_layer_norm
from unvanish.theory.quadrature import expectation, joint_expectation
from unvanish.theory.residual import (
    attention_branch,
    plain_block,
    post_norm_block,
    pre_norm_blocks,
)
from unvanish.theory.spectrum import jacobian_spectrum

Array = npt.NDArray[np.float64]
WIDTH = 1500

NAMES = [
    "sigmoid",
    "tanh",
    "erf",
    "hardtanh",
    "softsign",
    "softplus",
    "relu",
    "leaky_relu(0.2)",
    "elu",
    "selu",
    "gelu",
    "silu",
    "mish",
    "prelu",
]


def weights(rng: np.random.Generator, n_out: int, n_in: int, variance: float) -> Array:
    return rng.standard_normal((n_out, n_in)) * math.sqrt(variance / n_in)


@pytest.mark.parametrize("q", [0.01, 0.7, 30.0])
@pytest.mark.parametrize("name", NAMES)
def test_expectations(name: str, q: float) -> None:
    phi = activation(name)
    rng = np.random.default_rng(0)
    u, v = rng.standard_normal((2, 400_000))
    c = 0.6
    z_1, z_2 = math.sqrt(q) * u, math.sqrt(q) * (c * u + math.sqrt(1 - c * c) * v)
    for f, kinks in ((phi.value, phi.kinks), (phi.slope, phi.kinks)):
        one, two = f(z_1), f(z_1) * f(z_2)
        error = 5 * np.std(one) / math.sqrt(one.size) + 1e-12
        assert expectation(f, q, kinks) == pytest.approx(np.mean(one), abs=error)
        error = 5 * np.std(two) / math.sqrt(two.size) + 1e-12
        assert joint_expectation(f, f, q, c, kinks) == pytest.approx(np.mean(two), abs=error)


@pytest.mark.parametrize("name", NAMES)
def test_the_slope_is_the_derivative_of_the_value(name: str) -> None:
    phi = activation(name)
    z = np.linspace(-6.05, 6.05, 300)
    z = z[np.all([np.abs(z - kink) > 1e-3 for kink in (*phi.kinks, 100.0)], axis=0)]
    by_difference = (phi.value(z + 1e-6) - phi.value(z - 1e-6)) / 2e-6
    assert phi.slope(z) == pytest.approx(by_difference, abs=1e-8)
    assert np.max(np.abs(phi.slope(np.linspace(-30, 30, 60_001)))) <= phi.slope_cap + 1e-7
    if math.isfinite(phi.slope_cap_at):
        assert abs(float(phi.slope(np.array([phi.slope_cap_at]))[0])) == pytest.approx(
            phi.slope_cap, abs=1e-6
        )


@pytest.mark.parametrize(
    ("name", "w2", "b2"),
    [
        ("tanh", 1.5, 0.05),
        ("tanh", 4.0, 0.05),
        ("relu", 2.0, 0.0),
        ("sigmoid", 1.0, 0.1),
        ("gelu", 1.9, 0.2),
        ("hardtanh", 1.2, 0.02),
    ],
)
def test_one_layer(name: str, w2: float, b2: float) -> None:
    """Length, correlation and gradient behind a layer of random weights."""
    phi, rng, q, c = activation(name), np.random.default_rng(1), 1.3, 0.5
    u, v = rng.standard_normal((2, WIDTH))
    z = math.sqrt(q) * np.stack([u, c * u + math.sqrt(1 - c * c) * v])
    w = weights(rng, WIDTH, WIDTH, w2)
    after = phi.value(z) @ w.T + rng.standard_normal(WIDTH) * math.sqrt(b2)
    assert np.mean(after**2) == pytest.approx(length_map(phi, q, w2, b2), rel=0.08)
    normed = np.mean(after[0] * after[1]) / np.mean(after**2)
    assert normed == pytest.approx(correlation_map(phi, c, q, w2, b2), abs=0.06)
    back = phi.slope(z[0]) * (w.T @ rng.standard_normal(WIDTH))
    assert np.mean(back**2) == pytest.approx(chi_1(phi, q, w2), rel=0.12)


@pytest.mark.parametrize("name", ["tanh", "relu", "gelu", "sigmoid"])
def test_slopes_of_the_maps_are_their_derivatives(name: str) -> None:
    phi, w2, b2, h = activation(name), 1.7, 0.1, 1e-4
    m = mean_field(phi, w2, b2)
    up, down = length_map(phi, m.q + h, w2, b2), length_map(phi, m.q - h, w2, b2)
    assert chi_q(phi, m.q, w2) == pytest.approx((up - down) / (2 * h), rel=1e-5)
    up, down = (correlation_map(phi, 0.4 + s * h, m.q, w2, b2) for s in (1, -1))
    assert correlation_slope(phi, 0.4, m.q, w2) == pytest.approx((up - down) / (2 * h), rel=1e-5)


@pytest.mark.parametrize(
    ("name", "w2"), [("relu", 1 / 3), ("tanh", 1.0), ("sigmoid", 1.0), ("gelu", 0.6)]
)
def test_the_gradient_over_a_deep_network(name: str, w2: float) -> None:
    phi, rng, depth, width = activation(name), np.random.default_rng(2), 12, 400
    samples = 4
    z = rng.standard_normal((samples, width))
    kept, matrices = [], []
    for _ in range(depth):
        kept.append(z)
        matrices.append(weights(rng, width, width, w2))
        z = phi.value(z) @ matrices[-1].T
    g = rng.standard_normal(z.shape)
    top = np.linalg.norm(g)
    for z, w in zip(reversed(kept), reversed(matrices), strict=True):
        g = (g @ w) * phi.slope(z)
    predicted = gradient_profile(phi, w2, depth)[0]
    assert math.log10(np.linalg.norm(g) / top) == pytest.approx(predicted, abs=0.012 * depth)


def normed(z: Array, axis: int) -> tuple[Array, Array]:
    centred = z - z.mean(axis, keepdims=True)
    deviation = np.sqrt(np.mean(centred**2, axis, keepdims=True))
    return centred / deviation, deviation


def norm_back(g: Array, y: Array, deviation: Array, axis: int) -> Array:
    inner = g - g.mean(axis, keepdims=True) - y * np.mean(g * y, axis, keepdims=True)
    return inner / deviation


@pytest.mark.parametrize("name", ["relu", "tanh", "sigmoid"])
@pytest.mark.parametrize("axis", [0, 1], ids=["batch norm", "layer norm"])
def test_normalised_layers(name: str, axis: int) -> None:
    """Mean factor over the last layers of a stack of W phi(norm(z))."""
    phi, rng, depth, width, batch = activation(name), np.random.default_rng(3), 12, 256, 256
    z, kept = rng.standard_normal((batch, width)), []
    for _ in range(depth):
        y, deviation = normed(z, axis)
        w = weights(rng, width, width, 1.0)
        kept.append((y, deviation, w))
        z = phi.value(y) @ w.T
    g = rng.standard_normal(z.shape)
    logs = []
    for y, deviation, w in reversed(kept):
        before = np.linalg.norm(g)
        g = norm_back((g @ w) * phi.slope(y), y, deviation, axis)
        logs.append(math.log(np.linalg.norm(g) / before))
    chi = chi_batch_norm(phi) if axis == 0 else chi_layer_norm(phi)
    assert math.exp(np.mean(logs[1:-2])) == pytest.approx(math.sqrt(chi), rel=0.035)


def test_residual_stack() -> None:
    phi, rng, width = activation("relu"), np.random.default_rng(4), 400
    x, kept = rng.standard_normal((8, width)), []
    for _ in range(20):
        w = weights(rng, width, width, 2.0)
        kept.append((x, w))
        x = x + phi.value(x) @ w.T
    g = rng.standard_normal(x.shape)
    top = np.linalg.norm(g)
    for x, w in reversed(kept):
        g = g + (g @ w) * phi.slope(x)
    assert np.linalg.norm(g) / top == pytest.approx(plain_block(1.0) ** 20, rel=0.35)


def test_pre_norm_stack() -> None:
    phi, rng, width, blocks = activation("relu"), np.random.default_rng(5), 400, 8
    x, kept = rng.standard_normal((16, width)), []
    for _ in range(blocks):
        y, deviation = normed(x, 1)
        w = weights(rng, width, width, 2.0)
        kept.append((y, deviation, w))
        x = x + phi.value(y) @ w.T
    g = rng.standard_normal(x.shape)
    predicted = pre_norm_blocks(phi, 2.0, blocks)
    for (y, deviation, w), factor in zip(reversed(kept), reversed(predicted), strict=True):
        before = np.linalg.norm(g)
        g = g + norm_back((g @ w) * phi.slope(y), y, deviation, 1)
        assert np.linalg.norm(g) / before == pytest.approx(factor, rel=0.06)


def test_a_softmax_row() -> None:
    rng = np.random.default_rng(6)
    for spread in (0.1, 1.0, 4.0):
        p = np.exp(spread * rng.standard_normal(16))
        p /= p.sum()
        g = rng.standard_normal((200_000, 16))
        back = g * p - p * (g @ p)[:, None]
        measured = np.mean(np.sum(back**2, 1)) / 16
        assert softmax_energy(list(p)) == pytest.approx(measured, rel=0.03)
    with pytest.raises(ValueError, match="must sum to 1"):
        softmax_energy([0.5, 0.2])


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_even_attention_with_a_skip(correlation: float) -> None:
    rng, tokens, width = np.random.default_rng(7), 16, 2000
    shared = rng.standard_normal(width)
    own = rng.standard_normal((tokens, width))
    x = math.sqrt(correlation) * shared + math.sqrt(1 - correlation) * own
    w = weights(rng, width, width, 1.0)
    branch = np.ones((tokens, 1)) * (x @ w.T).mean(0)
    gradient, variance = attention_branch(tokens, correlation)
    assert np.mean(branch**2) == pytest.approx(variance, rel=0.12)
    y = x + branch
    gram = y @ y.T / width
    off = (gram.sum() - np.trace(gram)) / (tokens * (tokens - 1))
    after = off / np.mean(np.diag(gram))
    assert after == pytest.approx(token_correlation(correlation, tokens), abs=0.03)
    g = rng.standard_normal((tokens, width))
    back = np.ones((tokens, 1)) * (g.mean(0) @ w)
    assert np.mean(back**2) / np.mean(g**2) == pytest.approx(gradient, rel=0.15)
    post = post_norm_block(gradient, variance)
    assert post <= 1.0 if correlation else post == pytest.approx(1.0)


def test_modes_of_a_circular_convolution() -> None:
    """What one position holds is spread over its neighbours: the waves of its energy fade."""
    rng, positions, channels, taps = np.random.default_rng(8), 8, 500, 3
    variance = 1.0 / (channels * taps)
    assert sigma_w2(math.sqrt(variance), channels, taps) == pytest.approx(1.0)
    kernel = rng.standard_normal((taps, channels, channels)) * math.sqrt(variance)
    x = np.zeros((positions, channels))
    x[3] = rng.standard_normal(channels)
    y = sum(np.roll(x, 1 - tap, axis=0) @ kernel[tap] for tap in range(taps))
    before, after = (np.fft.rfft(np.roll(np.mean(z**2, 1), -3)).real for z in (x, np.asarray(y)))
    assert after / before == pytest.approx(mode_factors([1, 1, 1], positions), abs=0.09)


@pytest.mark.parametrize("orthogonal", [False, True])
def test_the_spread_of_singular_values(orthogonal: bool) -> None:
    phi, rng, width, layers = activation("tanh"), np.random.default_rng(9), 400, 6
    point = critical_point(phi, 0.05)
    assert point is not None
    z, jacobian = math.sqrt(point.q) * rng.standard_normal(width), np.eye(width)
    for _ in range(layers):
        w = rng.standard_normal((width, width))
        if orthogonal:
            w, triangle = np.linalg.qr(w)
            w = w * np.sign(np.diag(triangle))
        else:
            w /= math.sqrt(width)
        w *= point.gain
        jacobian = (w * phi.slope(z)) @ jacobian
        z = w @ phi.value(z) + math.sqrt(point.sigma_b2) * rng.standard_normal(width)
    squared = np.linalg.svd(jacobian, compute_uv=False) ** 2
    predicted = jacobian_spectrum(phi, point.q, point.sigma_w2, layers, orthogonal=orthogonal)
    assert np.mean(squared) == pytest.approx(predicted.mean, rel=0.2)
    assert np.var(squared) / np.mean(squared) ** 2 == pytest.approx(predicted.spread, rel=0.25)


def test_a_users_own_function() -> None:
    def cut(z: Array) -> Array:
        return np.clip(z, -0.5, 2.0)

    phi: Activation = from_function(cut, kinks=(-0.5, 2.0))
    assert phi.name == "cut"
    exact = math.erf(2.0 / math.sqrt(2)) / 2 + math.erf(0.5 / math.sqrt(2)) / 2
    assert chi_1(phi, 1.0, 1.0) == pytest.approx(exact, abs=1e-4)
    with pytest.raises(ValueError, match="must map an array to a finite array"):
        from_function(np.log)


def test_a_name_that_is_nearly_right() -> None:
    with pytest.raises(ValueError, match="did you mean 'sigmoid'"):
        activation("sigmiod")
    assert activation("Leaky ReLU").name == "leaky_relu(0.01)"
    assert activation("prelu").slope(np.array([-1.0]))[0] == 0.25
