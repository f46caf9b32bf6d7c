"""The numbers of the literature, and those that were computed once with other code."""

from __future__ import annotations

import math

import pytest

from unvanish.theory.activations import activation
from unvanish.theory.convolution import mode_factors
from unvanish.theory.criticality import critical_point, edge_of_chaos, half_stable_point
from unvanish.theory.initialisation import initialisation
from unvanish.theory.mean_field import (
    chi_1,
    gradient_profile,
    mean,
    mean_field,
    second_moment,
    slope_moment,
)
from unvanish.theory.normalisation import chi_batch_norm, chi_batch_norm_linear, chi_layer_norm
from unvanish.theory.recurrent import carried, chrono_bias, gate, step_bound, time_constant
from unvanish.theory.residual import plain_block, post_norm_block, pre_norm_blocks
from unvanish.theory.shaping import deep_kernel_shape, tailored_shape, tailored_slope

# activation: slope cap, E phi^2, E phi'^2, E phi, chi under LayerNorm, chi under BatchNorm
MOMENTS = {
    "sigmoid": (0.25, 0.293379, 0.044836, 0.5, 0.15283, 1.03359),
    "tanh": (1, 0.394294, 0.464403, 0, 1.17781, 1.17781),
    "relu": (1, 0.5, 0.5, 0.398942, 1, 1.46694),
    "leaky_relu": (1, 0.50005, 0.50005, 0.394953, 1, 1.45337),
    "prelu": (1, 0.53125, 0.53125, 0.299207, 1, 1.20267),
    "elu": (1, 0.644945, 0.668102, 0.160521, 1.03590, 1.07901),
    "selu": (1.75810, 1, 1.071575, 0, 1.07157, 1.07157),
    "gelu": (1.12890, 0.425221, 0.455851, 0.282095, 1.07203, 1.31884),
    "silu": (1.09984, 0.355776, 0.379482, 0.206621, 1.06663, 1.21208),
    "erf": (1.12838, 0.464559, 0.569410, 0, 1.22570, 1.22570),
    "hardtanh": (1, 0.516059, 0.682689, 0, 1.32289, 1.32289),
    "softplus": (1, 0.921246, 0.293379, 0.806059, 0.31846, 1.08053),
    "softsign": (1, 0.183014, 0.227671, 0, 1.24401, 1.24401),
    "mish": (1.08850, 0.452342, 0.479084, 0.240404, 1.05912, 1.21426),
}


@pytest.mark.parametrize("name", MOMENTS)
def test_moments_at_unit_length(name: str) -> None:
    phi = activation(name)
    measured = (
        phi.slope_cap,
        second_moment(phi, 1.0),
        slope_moment(phi, 1.0),
        mean(phi, 1.0),
        chi_layer_norm(phi),
        chi_batch_norm(phi),
    )
    assert measured == pytest.approx(MOMENTS[name], abs=1.1e-5)


# sigma_b^2: .001, .01, .05, .2, 1
CRITICAL_GAINS = {
    "tanh": (1.09050, 1.19340, 1.32701, 1.51167, 1.85559),
    "erf": (0.96570, 1.05559, 1.17296, 1.33723, 1.64875),
    "hardtanh": (1.00423, 1.02570, 1.07960, 1.18769, 1.43969),
    "softsign": (1.28648, 1.51287, 1.77236, 2.10126, 2.66742),
    "elu": (1.10780, 1.17615, 1.23843, 1.29686, 1.35798),
    "selu": (0.79631, 0.87191, 0.94961, 1.03458, 1.14792),
    "gelu": (1.90365, 1.72708, 1.51741, 1.40381, 1.40594),
    "silu": (1.93876, 1.82005, 1.65185, 1.47875, 1.40251),
    "mish": (1.62112, 1.54097, 1.45079, 1.39632, 1.40078),
}


@pytest.mark.parametrize("name", CRITICAL_GAINS)
def test_critical_gains_with_bias(name: str) -> None:
    points = [critical_point(activation(name), b) for b in (0.001, 0.01, 0.05, 0.2, 1.0)]
    assert [p.gain for p in points if p] == pytest.approx(CRITICAL_GAINS[name], abs=6e-6)


@pytest.mark.parametrize(
    ("name", "gain"),
    [
        ("tanh", 1.0),
        ("softsign", 1.0),
        ("hardtanh", 1.0),
        ("erf", math.sqrt(math.pi) / 2),
        ("relu", math.sqrt(2.0)),
        ("leaky_relu(0.25)", math.sqrt(2.0 / (1.0 + 0.25**2))),
        ("elu", 1.0),
        ("selu", 0.6905),
        ("sigmoid", 10.149),
    ],
)
def test_critical_gains_without_bias(name: str, gain: float) -> None:
    point = critical_point(activation(name))
    assert point is not None
    assert point.gain == pytest.approx(gain, abs=3e-4)


def test_softplus_has_no_critical_point() -> None:
    assert critical_point(activation("softplus")) is None
    with pytest.raises(ValueError, match="no critical initialisation"):
        initialisation("critical", activation("softplus"))


@pytest.mark.parametrize(
    ("name", "sigma_w2", "sigma_b2", "q"),
    [
        ("gelu", 1.98305826, 0.17292239, (3 + math.sqrt(17)) / 2),
        ("silu", 1.98800468, 0.55514317, 14.32017),
        ("mish", 2.01352407, 0.09452179, 1.67017),
    ],
)
def test_half_stable_points(name: str, sigma_w2: float, sigma_b2: float, q: float) -> None:
    point = half_stable_point(activation(name))
    assert point is not None
    assert (point.sigma_w2, point.sigma_b2) == pytest.approx((sigma_w2, sigma_b2), abs=1e-8)
    assert point.q == pytest.approx(q, abs=1e-5)


def test_the_curve_of_tanh_passes_its_known_point() -> None:
    point = edge_of_chaos(activation("tanh"), 0.57005)
    assert (point.sigma_w2, point.sigma_b2) == pytest.approx((1.76095, 0.05), abs=1e-4)


# sigma_w^2: q*, c*, chi_1, xi_q, xi_c; sigma_b^2 = .05
TANH = {
    0.5: (0.08758, 1, 0.43199, 1.009, 1.191),
    1.0: (0.19359, 1, 0.75903, 1.748, 3.627),
    1.3: (0.31532, 1, 0.88016, 1.785, 7.834),
    1.5: (0.41804, 1, 0.93864, 1.683, 15.791),
    1.7: (0.53308, 1, 0.98674, 1.558, 74.918),
    1.8: (0.59413, 0.95041, 1.00822, 1.498, 125.78),
    2.0: (0.72176, 0.74408, 1.04767, 1.388, 25.213),
    2.5: (1.06396, 0.44680, 1.13352, 1.180, 11.796),
    3.0: (1.42801, 0.29932, 1.20893, 1.041, 9.051),
    4.0: (2.19549, 0.16506, 1.34240, 0.873, 6.980),
}


@pytest.mark.parametrize("sigma_w2", TANH)
def test_depth_scales_of_tanh(sigma_w2: float) -> None:
    m = mean_field(activation("tanh"), sigma_w2, 0.05)
    assert (m.q, m.c, m.chi_1) == pytest.approx(TANH[sigma_w2][:3], abs=6e-6)
    assert (m.xi_q, m.xi_c) == pytest.approx(TANH[sigma_w2][3:], rel=5e-4)


@pytest.mark.parametrize(
    ("sigma_w", "q", "c", "chi"),
    [
        (1.3, 0.60705, 1, 0.93981),
        (2.5, 4.07912, 0.12210, 1.58522),
        (4.0, 12.60415, 0.02970, 2.36726),
    ],
)
def test_the_three_networks_of_poole(sigma_w: float, q: float, c: float, chi: float) -> None:
    m = mean_field(activation("tanh"), sigma_w**2, 0.3**2)
    assert (m.q, m.c, m.chi_1) == pytest.approx((q, c, chi), abs=6e-6)


@pytest.mark.parametrize(
    ("sigma_w", "chi", "xi"),
    [
        (1, 0.055721, 0.3463),
        (2, 0.171581, 0.5673),
        (4, 0.398879, 1.088),
        (5, 0.501649, 1.4496),
        (6, 0.600991, 1.964),
        (8, 0.794823, 4.3547),
        (10, 0.985806, 69.95),
    ],
)
def test_sigmoid_without_bias(sigma_w: float, chi: float, xi: float) -> None:
    m = mean_field(activation("sigmoid"), sigma_w**2)
    assert m.chi_1 == pytest.approx(chi, abs=1e-6)
    assert m.xi_grad == pytest.approx(xi, rel=2e-4)


@pytest.mark.parametrize(
    ("name", "init", "amplitude"),
    [
        ("relu", "he", 1.0),
        ("relu", "xavier", 0.70711),
        ("relu", "default", 0.40825),
        ("sigmoid", "xavier", 0.23605),
        ("gelu", "default", 0.28868),
        ("silu", "default", 0.28868),
        ("selu", "lecun", 1.03517),
        ("softplus", "xavier", math.sqrt(0.2887)),
        ("tanh", "he", math.sqrt(1.1055288)),
    ],
)
def test_amplitude_a_layer_of_usual_initialisations(name: str, init: str, amplitude: float) -> None:
    phi = activation(name)
    # The biases of the default shrink with the width.
    start = initialisation(init, phi, n_in=10**9)
    assert mean_field(phi, start.sigma_w2, start.sigma_b2).amplitude == pytest.approx(
        amplitude, rel=2e-4
    )


def test_a_gradient_that_fades_by_a_power_law() -> None:
    profile = gradient_profile(activation("tanh"), 1.0, 3000)
    assert 10 ** (2 * (profile[2999] - profile[3000])) == pytest.approx(0.99967, abs=1e-5)
    assert profile[0] > -5.0


def test_normalised_relu() -> None:
    assert chi_batch_norm(activation("relu")) == pytest.approx(math.pi / (math.pi - 1))
    assert math.sqrt(chi_batch_norm(activation("relu"))) == pytest.approx(1.21117, abs=1e-5)
    assert math.sqrt(chi_layer_norm(activation("sigmoid"))) == pytest.approx(0.39093, abs=1e-5)
    assert math.sqrt(chi_batch_norm_linear(256)) == pytest.approx(1.00197, abs=1e-5)


def test_residual_blocks() -> None:
    assert plain_block(1.0) ** 20 == pytest.approx(1024)
    assert plain_block(1.0, 1 / math.sqrt(20)) ** 20 == pytest.approx(1.6289, abs=1e-4)
    assert plain_block(1.0, 0.1) ** 100 == pytest.approx(1.6446, abs=1e-4)
    blocks = pre_norm_blocks(activation("relu"), 2.0, 20, batch_norm=True)
    assert [blocks[i] for i in (0, 1, 3, 7, 15, 19)] == pytest.approx(
        [1.4142, 1.2628, 1.1526, 1.0832, 1.0436, 1.0352], abs=6e-5
    )
    assert post_norm_block(0.3, 0.3) == 1.0


def test_gates() -> None:
    assert gate(1.0) == pytest.approx(0.731, abs=1e-3)
    assert carried(1.0, 100) == pytest.approx(2.484e-14, rel=1e-3)
    assert carried(1000.0, 10) == 1.0
    assert carried(-1000.0, 1) == 0.0
    assert time_constant(1.0) == pytest.approx(-1 / math.log(gate(1.0)))
    highway = {
        (10, 1): 0.0436,
        (10, 4): 0.8340,
        (50, 2): 1.75e-3,
        (50, 3): 0.0881,
        (100, 1): 2.48e-14,
        (100, 4): 0.1628,
    }
    for (layers, bias), left in highway.items():
        assert carried(bias, layers) == pytest.approx(left, rel=4e-3)
    assert chrono_bias(101) == pytest.approx((0.0, math.log(100)))
    with pytest.raises(ValueError, match="longest must be at least 3"):
        chrono_bias(2)
    assert step_bound(4.0, 0.25) == 1.0


@pytest.mark.parametrize(
    ("name", "constants"),
    [
        ("tanh", (0.166741, 0.584832, -0.515923, 8.281712)),
        ("softplus", (0.428941, 0.411603, -0.941605, 3.876258)),
        ("gelu", (0.157723, 0.255922, -0.162993, 9.059264)),
        ("erf", (0.144249, 0.597917, -0.592623, 8.777685)),
        ("sigmoid", (0.333482, 1.169664, -0.757962, 16.563424)),
        ("silu", (0.240360, 0.347844, -0.217296, 6.204986)),
        ("mish", (0.191831, 0.149114, -0.107626, 7.512715)),
    ],
)
def test_deep_kernel_shaping(name: str, constants: tuple[float, ...]) -> None:
    shape = deep_kernel_shape(activation(name), 30)
    assert (
        shape.input_scale,
        shape.input_shift,
        shape.output_shift,
        shape.output_scale,
    ) == pytest.approx(constants, abs=2e-6)


@pytest.mark.parametrize("name", ["tanh", "gelu", "sigmoid", "softsign"])
def test_a_shaped_activation_has_what_was_asked_for(name: str) -> None:
    shaped = deep_kernel_shape(activation(name), 50, zeta=1.3).applied_to(activation(name))
    assert second_moment(shaped, 1.0) == pytest.approx(1.0, abs=1e-8)
    assert mean(shaped, 1.0) == pytest.approx(0.0, abs=1e-8)
    assert chi_1(shaped, 1.0, 1.0) == pytest.approx(1.3 ** (1 / 50), abs=1e-8)


@pytest.mark.parametrize("name", ["tanh", "gelu", "silu", "mish", "softplus", "erf"])
def test_a_tailored_activation_is_critical_twice(name: str) -> None:
    shaped = tailored_shape(activation(name), 40).applied_to(activation(name))
    m = mean_field(shaped, 1.0)
    assert (m.q, m.chi_1, m.chi_q) == pytest.approx((1.0, 1.0, 1.0), abs=1e-6)


@pytest.mark.parametrize(
    ("depth", "slope", "scale"),
    [
        (30, 0.302694, 1.353563),
        (50, 0.430523, 1.298948),
        (100, 0.570440, 1.228404),
        (200, 0.679600, 1.169668),
        (1000, 0.844350, 1.080552),
    ],
)
def test_tailored_leaky_relu(depth: int, slope: float, scale: float) -> None:
    assert tailored_slope(depth) == pytest.approx((slope, scale), abs=1e-6)


def test_what_shaping_cannot_do() -> None:
    with pytest.raises(ValueError, match=r"come out with the correlation 0\.8715"):
        tailored_slope(10)
    with pytest.raises(ValueError, match="no constants of deep kernel shaping exist for relu"):
        deep_kernel_shape(activation("relu"), 30)
    with pytest.raises(ValueError, match="has kinks"):
        tailored_shape(activation("elu"), 30)
    with pytest.raises(ValueError, match="zeta above 1"):
        deep_kernel_shape(activation("tanh"), 30, zeta=1.0)


def test_modes_of_a_convolution() -> None:
    assert mode_factors([1, 1, 1], 8)[0] == pytest.approx(1.0)
    assert mode_factors([0, 1, 0], 8) == pytest.approx([1.0] * 5)
    assert abs(mode_factors([1, 1, 1], 8)[2]) == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="odd number of shares"):
        mode_factors([1, 1], 8)
