"""Measured propagation against mean-field theory: the tap reads what theory predicts.

Per-layer factor of the gradient's norm, sqrt(chi_1), for plain stacks of width 256 under
random signs at the output. Constants: Schoenholz and others (2017) and quadrature; the
tolerance covers finite width (2 % a layer).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from unvanish.core.glossary import Quantity
from unvanish.observe import trace

WIDTH, DEPTH, SEEDS = 256, 20, 3


def gaussian(variance: float) -> Callable[[nn.Linear], None]:
    def fill(layer: nn.Linear) -> None:
        nn.init.normal_(layer.weight, 0.0, math.sqrt(variance / layer.in_features))
        nn.init.zeros_(layer.bias)

    return fill


def as_built(layer: nn.Linear) -> None:
    """Keep PyTorch's own initialisation, sigma_w^2 = 1/3."""
    assert layer.weight.abs().max() <= 1 / math.sqrt(layer.in_features)


def stack(activation: Callable[[], nn.Module], fill: Callable[[nn.Linear], None]) -> nn.Module:
    layers: list[nn.Module] = []
    for _ in range(DEPTH):
        linear = nn.Linear(WIDTH, WIDTH)
        fill(linear)
        layers += [linear, activation()]
    return nn.Sequential(*layers, nn.Linear(WIDTH, 10))


@pytest.mark.parametrize(
    ("activation", "fill", "factor"),
    [
        (nn.ReLU, gaussian(2.0), 1.0),
        (nn.ReLU, gaussian(1.0), math.sqrt(0.5)),
        (nn.ReLU, as_built, math.sqrt(1 / 6)),
        (nn.Sigmoid, as_built, 0.14145),
        (nn.Sigmoid, gaussian(1.0), 0.23605),
        (nn.Sigmoid, gaussian(16.0), 0.63157),
        (nn.Tanh, as_built, math.sqrt(1 / 3)),
        (lambda: nn.LeakyReLU(0.3), gaussian(2 / 1.09), 1.0),
    ],
    ids=[
        "relu-he",
        "relu-xavier",
        "relu-default",
        "sigmoid-default",
        "sigmoid-xavier",
        "sigmoid-4x",
        "tanh-default",
        "leaky-critical",
    ],
)
def test_the_factor_a_layer_is_the_one_of_theory(
    activation: Callable[[], nn.Module], fill: Callable[[nn.Linear], None], factor: float
) -> None:
    torch.set_num_threads(1)
    logs = []
    for seed in range(SEEDS):
        torch.manual_seed(seed)
        model = stack(activation, fill)
        batch = torch.randn(32, WIDTH), torch.randint(0, 10, (32,))
        recording = trace(model, batch, probe_steps=0)
        grads = recording[Quantity.LOG10_PROBE_GRAD_RMS]
        linear = [s for s in recording.signal_sites() if s.op == "linear"]
        # The last hidden layer's gradient is shaped by the head; the first sees raw inputs.
        logs.append((grads[linear[1]] - grads[linear[-2]]) / (len(linear) - 3))
    measured = 10 ** (sum(logs) / SEEDS)
    assert measured == pytest.approx(factor, rel=0.03)


def last_step_gain(module: nn.Module, steps: int) -> float:
    """Return |gradient at the first step| / |gradient at the last|, from the last step alone."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = module

        def forward(self, x: Tensor) -> Tensor:
            return self.rnn(x)[0][-1]

    torch.set_num_threads(1)
    x = torch.randn(steps, 8, module.input_size)  # type: ignore[arg-type]
    recording = trace(Net(), (x, torch.zeros(8, module.hidden_size)), probe_steps=0)  # type: ignore[arg-type]
    grads = recording[Quantity.LOG10_LAST_STEP_GRAD_RMS]
    steps_seen = [
        s
        for s in recording.signal_sites()
        if any("weight_hh" in name for name in s.weights) and s in grads
    ]
    return 10 ** (grads[steps_seen[0]] - grads[steps_seen[-1]])


def test_a_linear_orthogonal_recurrence_decays_by_its_radius() -> None:
    rnn = nn.RNN(4, 16, nonlinearity="relu")
    with torch.no_grad():
        rnn.weight_hh_l0.copy_(0.9 * torch.eye(16))
        rnn.weight_ih_l0.zero_()
        rnn.bias_ih_l0.fill_(5.0)  # every unit stays in the linear part of its ReLU
        rnn.bias_hh_l0.zero_()
    assert last_step_gain(rnn, 51) == pytest.approx(0.9**50, rel=1e-4)


def test_default_recurrent_layers_forget_in_the_order_theory_gives() -> None:
    torch.manual_seed(0)
    gains = {kind.__name__: last_step_gain(kind(32, 64), 51) for kind in (nn.RNN, nn.GRU, nn.LSTM)}
    assert gains["RNN"] < 1e-10  # 1e-17 at width 128; the slope of tanh and sigma_w^2 = 1/3
    assert gains["RNN"] < gains["GRU"] < 1e-6
    assert gains["LSTM"] < 1e-6
