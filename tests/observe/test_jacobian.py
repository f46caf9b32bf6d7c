"""Jacobian estimates against the whole Jacobian, against theory, and without a trace left."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from itertools import pairwise

import pytest
import torch
from tests.observe.patients import PATIENTS
from tests.observe.test_oath import flags, generators, global_hooks, state_of
from torch import nn

import unvanish
from unvanish.core.errors import BatchError, UnvanishError
from unvanish.observe.jacobian import jacobian
from unvanish.theory.activations import activation
from unvanish.theory.spectrum import jacobian_spectrum


def net(*sizes, activation=nn.Tanh):
    torch.manual_seed(0)
    layers = []
    for a, b in pairwise(sizes):
        layers += [nn.Linear(a, b), activation()]
    return nn.Sequential(*layers).double()


def whole(model, x):
    """The Jacobian of every sample, written out."""
    return [
        torch.autograd.functional.jacobian(lambda z: model(z[None])[0], row).reshape(
            -1, row.numel()
        )
        for row in x
    ]


def test_everything_agrees_with_the_whole_jacobian():
    model, x = net(7, 12, 5), torch.randn(6, 7).double()
    full = whole(model, x)
    found = jacobian(model, x, probes=400, top=5)
    assert (found.inputs, found.outputs, found.samples, found.coupled) == (7, 5, 6, False)
    energy = sum(float(j.square().sum()) for j in full) / 6
    assert abs(found.trace - energy) < 4 * found.standard_error
    assert found.standard_error < 0.05 * energy
    assert found.method == "double backward"
    for row, j in zip(found.singular_values, full, strict=True):
        assert row == pytest.approx(torch.linalg.svdvals(j).tolist(), rel=1e-9)
    squares = torch.stack([torch.linalg.svdvals(j).square() for j in full])
    second = float(squares.square().mean())
    expected = second / float(squares.mean(1).square().mean()) - 1.0
    assert found.spread == pytest.approx(expected, rel=0.1)
    assert found.apjn == pytest.approx(found.trace / 5)
    assert found.mean_square == pytest.approx(found.trace / 5)


@pytest.mark.parametrize("count", [1, 3])
def test_a_few_singular_values_of_a_large_jacobian(count):
    model, x = net(60, 60, 60, activation=nn.ReLU), torch.randn(2, 60).double()
    found = jacobian(model, x, top=count, steps=20)
    for row, j in zip(found.singular_values, whole(model, x), strict=True):
        assert row == pytest.approx(torch.linalg.svdvals(j)[:count].tolist(), rel=1e-3)
    assert 0.0 <= found.residual < 0.05


def test_equal_singular_values_are_all_found():
    model = nn.Linear(6, 6, bias=False).double()
    nn.init.orthogonal_(model.weight)
    found = jacobian(model, torch.randn(3, 6).double(), top=6)
    assert found.singular_values[0] == pytest.approx([1.0] * 6)
    assert found.spread == pytest.approx(0.0, abs=0.2)
    assert found.anisotropy == pytest.approx(1.0)


def test_from_layer_to_layer():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 9), nn.ReLU(inplace=True), nn.Linear(9, 6), nn.Tanh())
    model.append(nn.Linear(6, 3)).double()
    x = torch.randn(5, 4).double()
    found = jacobian(model, x, start="0", end="3", top=2)
    h = model[0](x)
    tail = nn.Sequential(nn.ReLU(), model[2], model[3])
    for row, j in zip(found.singular_values, whole(tail, h.detach()), strict=True):
        assert row == pytest.approx(torch.linalg.svdvals(j)[:2].tolist(), rel=1e-6)
    assert (found.inputs, found.outputs) == (9, 6)


def test_batch_norm_makes_one_jacobian_of_the_batch():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Tanh()).double()
    x = torch.randn(4, 3).double()
    found = jacobian(model, x, top=3)
    full = torch.autograd.functional.jacobian(lambda z: model(z), x).reshape(20, 12)
    assert found.coupled
    assert (found.inputs, found.outputs) == (12, 20)
    assert found.singular_values[0] == pytest.approx(torch.linalg.svdvals(full)[:3].tolist())
    assert not jacobian(model.eval(), x, top=0).coupled


def test_convolutions_sequences_and_recurrent_layers():
    torch.manual_seed(0)
    conv = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(48, 4))
    x = torch.randn(2, 2, 4, 4)
    for row, j in zip(jacobian(conv, x, top=2).singular_values, whole(conv, x), strict=True):
        assert row == pytest.approx(torch.linalg.svdvals(j)[:2].tolist(), rel=1e-3)
    lstm = nn.LSTM(3, 4, batch_first=True)
    found = jacobian(lstm, torch.randn(2, 5, 3), top=1)
    assert found.method == "double backward"
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0)
    assert jacobian(layer, torch.randn(2, 5, 8), top=1).largest > 0


class Once(torch.autograd.Function):
    """x^2 without a second derivative."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return 2 * x * grad


class Squares(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 6)

    def forward(self, x):
        return Once.apply(self.linear(x))


def test_without_a_second_derivative_differences_are_taken():
    torch.manual_seed(0)
    model, x = Squares().double(), torch.randn(3, 6).double()
    found = jacobian(model, x, top=2)
    assert found.method == "difference"
    for row, j in zip(found.singular_values, whole(model, x), strict=True):
        assert row == pytest.approx(torch.linalg.svdvals(j)[:2].tolist(), rel=1e-5)


class Rounded(torch.autograd.Function):
    """Straight through, without a second derivative."""

    @staticmethod
    def forward(ctx, x):  # noqa: ARG004
        return x.round()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):  # noqa: ARG004
        return grad.clone()


def test_a_backward_pass_that_is_no_derivative_has_a_trace_but_no_singular_values():
    class Quantised(nn.Linear):
        def forward(self, x):
            return Rounded.apply(super().forward(x))

    found = jacobian(Quantised(6, 6), torch.randn(3, 6), top=2)
    assert found.trace > 0
    assert found.singular_values == ()
    assert found.method == ""
    assert math.isnan(found.largest)


def deep(orthogonal, width=96, depth=20):
    layers = []
    for _ in range(depth):
        linear = nn.Linear(width, width, bias=False)
        if orthogonal:
            nn.init.orthogonal_(linear.weight)
        else:
            nn.init.normal_(linear.weight, std=1 / math.sqrt(width))
        layers += [nn.Tanh(), linear]
    return nn.Sequential(*layers).double()


def test_dynamical_isometry_of_orthogonal_tanh_and_none_of_gaussian():
    torch.manual_seed(0)
    x = 0.05 * torch.randn(8, 96).double()
    spreads = {}
    for orthogonal in (True, False):
        found = jacobian(deep(orthogonal), x, probes=64, top=1)
        spreads[orthogonal] = found.spread
        expected = jacobian_spectrum(activation("tanh"), 0.0025, 1.0, 20, orthogonal=orthogonal)
        assert found.mean_square == pytest.approx(expected.mean, rel=0.3)
        if not orthogonal:
            assert found.spread == pytest.approx(expected.spread, rel=0.35)
            assert found.anisotropy > 4
        else:
            assert found.anisotropy == pytest.approx(1.0, abs=0.1)
    assert abs(spreads[True]) < 0.1
    assert spreads[False] > 10


def test_the_partial_norms_of_the_layers_follow_chi():
    torch.manual_seed(0)
    model = nn.Sequential(
        *(part for _ in range(12) for part in (nn.Linear(128, 128, bias=False), nn.ReLU()))
    ).double()
    for module in model[::2]:
        nn.init.normal_(module.weight, std=math.sqrt(1.5 / 128))
    found = jacobian(model, torch.randn(16, 128).double(), top=0, layers=True)
    assert [row.layer for row in found.layers] == [str(2 * i) for i in range(12)]
    last = found.layers[-1].apjn
    for i, row in enumerate(found.layers):
        assert math.log(row.apjn / last) / math.log(0.75) == pytest.approx(11 - i, abs=1.6)
    assert found.method == ""


def test_what_float32_cannot_hold_is_found_in_float64():
    torch.manual_seed(0)
    model = nn.Sequential(*(p for _ in range(60) for p in (nn.Linear(8, 8), nn.Sigmoid())))
    for module in model[::2]:
        nn.init.normal_(module.weight, std=0.05)
    found = jacobian(model, torch.randn(4, 8), top=1)
    assert found.dtype == "float64"
    assert 0.0 < found.trace < 1e-80


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"start": "nowhere"}, "no module 'nowhere'"),
        ({"probes": 1}, "probes must be at least 2"),
    ],
)
def test_wrong_use_gets_one_message(change, said):
    with pytest.raises(BatchError, match=said):
        jacobian(net(3, 3), torch.randn(2, 3).double(), **change)


def test_tokens_have_no_derivative_and_the_message_says_where_to_start():
    model = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 4))
    tokens = torch.randint(10, (3, 5))
    with pytest.raises(BatchError, match="no floating input") as error:
        jacobian(model, tokens)
    assert "start=.0. in Python, --start 0 on the command line" in error.value.help.replace(
        "'", "."
    )
    assert jacobian(model, tokens, start="0", top=1).largest > 0


def test_a_cut_is_told():
    class Cut(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 3)

        @torch.no_grad()
        def forward(self, x):
            return self.linear(x)

    with pytest.raises(BatchError, match="no gradient runs"):
        jacobian(Cut(), torch.randn(2, 3))


@pytest.mark.parametrize("name", sorted(PATIENTS))
def test_the_oath_holds(name):
    torch.manual_seed(0)
    model, batch, _ = PATIENTS[name]()
    before = (state_of(model), generators(), global_hooks(), flags())
    with suppress(UnvanishError):
        jacobian(model, batch, probes=2, top=1, steps=2, layers=True)
    assert (state_of(model), generators(), global_hooks(), flags()) == before


def test_the_record_is_plain_and_public():
    found = unvanish.jacobian(net(4, 4), torch.randn(2, 4).double(), top=2, layers=True)
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert document["inputs"] == 4
    assert document["mean_square"] == found.mean_square
    assert len(document["singular_values"]) == 2
