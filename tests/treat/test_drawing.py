"""Fans are measured on the layers themselves; what is drawn keeps the mean square it promises."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unvanish.core.findings import Diagnosis, Finding, Severity
from unvanish.core.verdicts import Found
from unvanish.treat.drawing import (
    centred,
    drawable,
    free,
    layout_of,
    left_alone,
    normal,
    orthogonal,
    set_weight,
    why_not,
)
from unvanish.treat.protocol import Patient
from unvanish.treat.surgery import CannotTreatError, Surgery
from unvanish.treat.treatment import case_of, treat


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


class Turned(nn.Module):
    """``x @ W``, the layout of GPT-2."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, outputs))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight


class Experts(nn.Module):
    """Three matrices, one for each of three parts of the input."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, inputs, outputs))

    def forward(self, x: Tensor) -> Tensor:
        return torch.bmm(x.unflatten(1, (3, -1)).transpose(0, 1), self.weight).transpose(0, 1)


class Two(nn.Bilinear):
    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x[:, : self.in1_features], x[:, self.in1_features :])


def plain(kind, *args, **options):
    return lambda: kind(*args, bias=False, **options)


LAYERS = {
    "linear": (plain(nn.Linear, 60, 90), (60,)),
    "linear narrowing": (plain(nn.Linear, 90, 40), (90,)),
    "conv1d": (plain(nn.Conv1d, 12, 20, 3, padding=1, padding_mode="circular"), (12, 16)),
    "conv1d strided": (
        plain(nn.Conv1d, 12, 20, 4, stride=2, padding=1, padding_mode="circular"),
        (12, 16),
    ),
    "conv2d groups": (
        plain(nn.Conv2d, 12, 18, 3, groups=3, padding=1, padding_mode="circular"),
        (12, 6, 6),
    ),
    "conv2d dilated": (
        plain(nn.Conv2d, 8, 6, 3, dilation=2, padding=2, padding_mode="circular"),
        (8, 8, 8),
    ),
    "conv2d depthwise": (
        plain(nn.Conv2d, 8, 8, 5, groups=8, padding=2, padding_mode="circular"),
        (8, 8, 8),
    ),
    "conv3d": (
        plain(nn.Conv3d, 4, 6, (1, 3, 3), padding=(0, 1, 1), padding_mode="circular"),
        (4, 3, 4, 4),
    ),
    "transposed1d": (plain(nn.ConvTranspose1d, 10, 14, 1), (10, 9)),
    "transposed2d stride groups": (
        plain(nn.ConvTranspose2d, 12, 20, 2, stride=2, groups=2),
        (12, 5, 5),
    ),
    "transposed3d": (plain(nn.ConvTranspose3d, 6, 4, 2, stride=2), (6, 3, 3, 3)),
    "bilinear": (lambda: Two(9, 7, 20, bias=False), (16,)),
    "turned": (lambda: Turned(60, 90), (60,)),
    "experts": (lambda: Experts(20, 30), (60,)),
}


def around(layer: nn.Module, shape: tuple[int, ...]):
    """Return a network of that layer and a function, and its case."""
    net = nn.Sequential(layer, nn.Tanh(), nn.Flatten(), nn.LazyLinear(3)).double()
    x = torch.randn(64, *shape, dtype=torch.float64)
    net(x)
    return net, case_of(net, (x, torch.randint(0, 3, (64,))))


@pytest.mark.parametrize("name", LAYERS)
def test_the_fans_are_those_of_the_layer(name):
    make, shape = LAYERS[name]
    net, case = around(make(), shape)
    layer = case.anatomy.layers[0]
    layout = layout_of(layer, net[0].weight, net)
    ahead, back = [], []
    for _ in range(12):
        with torch.no_grad():
            net[0].weight.normal_()
        x = torch.randn(32, *shape, dtype=torch.float64, requires_grad=True)
        y = net[0](x)
        ahead.append(y.detach().square().mean())
        error = torch.randn_like(y)
        (grad,) = torch.autograd.grad(y, x, error)
        back.append(grad.square().mean())
    assert float(torch.stack(ahead).mean()) == pytest.approx(layout.fan_in, rel=0.1)
    if name != "bilinear":  # each input meets the other one's weights
        assert float(torch.stack(back).mean()) == pytest.approx(layout.fan_out, rel=0.1)


@pytest.mark.parametrize("name", LAYERS)
def test_orthogonal_weights_keep_the_mean_square_of_a_unit(name):
    make, shape = LAYERS[name]
    net, case = around(make(), shape)
    layer = case.anatomy.layers[0]
    layout = layout_of(layer, net[0].weight, net)
    sizes = []
    for _ in range(10):
        with torch.no_grad():
            net[0].weight.copy_(orthogonal(net[0].weight, layout, 1.5))
            x = torch.randn(64, *shape, dtype=torch.float64)
            sizes.append(net[0](x).square().mean())
    assert float(torch.stack(sizes).mean()) == pytest.approx(1.5**2, rel=0.08)


@pytest.mark.parametrize("shape", [(40, 60), (60, 40), (50, 50)])
def test_the_smaller_side_is_orthonormal_up_to_the_factor(shape):
    net, case = around(nn.Linear(shape[1], shape[0]), (shape[1],))
    layer = case.anatomy.layers[0]
    weight = orthogonal(net[0].weight, layout_of(layer, net[0].weight, net), 1.0)
    small = weight @ weight.T if shape[0] <= shape[1] else weight.T @ weight
    factor = max(1.0, shape[0] / shape[1])
    torch.testing.assert_close(small, factor * torch.eye(min(shape), dtype=torch.float64))


def test_stacked_matrices_of_an_attention_are_orthogonal_one_by_one():
    net = nn.MultiheadAttention(12, 3, batch_first=True)
    case = case_of(
        nn.Sequential(nn.TransformerEncoderLayer(12, 3, 8, batch_first=True)),
        (
            torch.randn(4, 5, 12),
            torch.randn(4, 5, 12),
        ),
    )
    layer = next(x for x in case.anatomy.layers if x.weight.endswith("in_proj_weight"))
    weight = orthogonal(net.in_proj_weight, layout_of(layer, net.in_proj_weight, case.model), 1.0)
    for matrix in weight.chunk(3):
        torch.testing.assert_close(matrix @ matrix.T, torch.eye(12))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_drawing_keeps_the_type(dtype):
    net, case = around(nn.Linear(30, 20), (30,))
    layer = case.anatomy.layers[0]
    weight = net[0].weight.to(dtype)
    for drawn in (
        orthogonal(weight, layout_of(layer, weight, net), 1.0),
        normal(weight, 1.0),
    ):
        assert drawn.dtype is dtype
        assert drawn.shape == weight.shape


@pytest.mark.parametrize(
    ("make", "axes"),
    [
        (lambda: nn.Conv1d(6, 9, 5, padding=2), (6, 11)),
        (lambda: nn.Conv2d(6, 8, 3, padding=1, groups=2), (6, 7, 7)),
        (lambda: nn.Conv2d(6, 6, 3, padding=2, dilation=2), (6, 7, 7)),
        (lambda: nn.ConvTranspose2d(6, 8, 3, padding=1, groups=2), (6, 7, 7)),
    ],
)
def test_a_centred_convolution_keeps_every_pixel_also_at_the_border(make, axes):
    conv = make().double()
    net, case = around(conv, axes)
    layout = layout_of(case.anatomy.layers[0], conv.weight, net)
    with torch.no_grad():
        conv.weight.copy_(centred(conv.weight, layout, 1.0))
        conv.bias.zero_()
        x = torch.randn(5, *axes, dtype=torch.float64)
        y = conv(x)
    widening = conv.out_channels / conv.in_channels
    torch.testing.assert_close(y.square().sum(1), widening * x.square().sum(1))


def test_memory_laid_out_channels_last_is_drawn_like_any_other():
    conv = nn.Conv2d(6, 6, 3, padding=1).to(memory_format=torch.channels_last)
    net, case = around(conv, (6, 5, 5))
    layout = layout_of(case.anatomy.layers[0], conv.weight, net)
    torch.manual_seed(3)
    drawn = centred(conv.weight, layout, 1.0)
    centre = drawn[:, :, 1, 1]
    torch.testing.assert_close(centre @ centre.T, torch.eye(6, dtype=centre.dtype))
    whole = orthogonal(conv.weight, layout, 1.0).flatten(1)
    torch.testing.assert_close(whole @ whole.T, torch.eye(6, dtype=whole.dtype))


def test_what_an_initialisation_is_not_meant_for_is_named_with_its_reason():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(7, 8)
            self.cell = nn.GRU(8, 8, batch_first=True)
            self.frozen = nn.Linear(8, 8).requires_grad_(False)
            self.gate = nn.Linear(8, 8)
            self.content = nn.Linear(8, 8)
            self.branch = nn.Linear(8, 8)
            self.spectral = nn.utils.parametrizations.spectral_norm(nn.Linear(8, 8))
            self.scaled = nn.Parameter(torch.randn(8, 8))
            self.out = nn.Linear(8, 3)
            nn.init.zeros_(self.branch.weight)

        def forward(self, words: Tensor) -> Tensor:
            x = torch.tanh(self.frozen(self.cell(self.table(words))[0][:, -1]))
            x = torch.sigmoid(self.gate(x)) * torch.relu(self.content(x))
            x = x + self.branch(x)
            x = torch.relu(F.linear(torch.relu(self.spectral(x)), self.scaled * 0.1))
            return self.out(x)

    net = Net()
    batch = (torch.randint(0, 7, (6, 4)), torch.randint(0, 3, (6,)))
    case = case_of(net, batch)
    assert {x.weight: why_not(x, case) for x in case.anatomy.layers} == {
        "table.weight": "a table of embeddings",
        "cell.weight_ih_l0": "recurrent",
        "cell.weight_hh_l0": "recurrent",
        "gate.weight": "a gate",
        "content.weight": "",
        "branch.weight": "zero at the end of a branch, on purpose",
        "spectral.parametrizations.weight.original": "computed from other numbers",
        "scaled": "computed from other numbers",
        "out.weight": "",
    }
    assert [x.weight for x in free(case)] == ["content.weight", "out.weight"]
    assert {"gate.weight", "branch.weight"} <= {x.weight for x in drawable(case)}
    assert "gate.weight (a gate)" in left_alone(case)
    assert "cell.weight_ih_l0 and 1 more (recurrent)" in left_alone(case)
    named = Finding(
        code="UV104",
        name="symmetric-or-zero-init",
        severity=Severity.ERROR,
        message="",
        parameters=("branch.weight",),
    )
    asked = case_of(net, batch, diagnosis=Diagnosis(verdicts={"UV104": Found((named,))}))
    assert "branch.weight" in {x.weight for x in free(asked)}


def normalised(kind: str) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the old one is deprecated, and still in many networks
        wrap = {
            "new": nn.utils.parametrizations.weight_norm,
            "old": nn.utils.weight_norm,
            "old, one length": lambda layer: nn.utils.weight_norm(layer, dim=None),
        }[kind]
        return wrap(nn.Linear(6, 9))


@pytest.mark.parametrize("kind", ["new", "old", "old, one length"])
def test_a_normalised_weight_becomes_what_was_drawn(kind):
    net = nn.Sequential(normalised(kind), nn.ReLU(), nn.Linear(9, 3))
    batch = (torch.randn(8, 6), torch.randint(0, 3, (8,)))
    case = case_of(net, batch)
    patient = Patient(surgery=Surgery(net), batch=None, loss=None, anatomy=case.anatomy)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    wanted = torch.randn(9, 6)
    set_weight(patient, case.anatomy.layers[0], wanted)
    x = torch.randn(4, 6)
    torch.testing.assert_close(net[0](x), F.linear(x, wanted, net[0].bias))
    patient.surgery.undo()
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize(
    "wrap", [nn.utils.parametrizations.orthogonal, nn.utils.parametrizations.spectral_norm]
)
def test_a_parametrisation_that_gives_other_values_is_refused_and_put_back(wrap):
    net = nn.Sequential(wrap(nn.Linear(6, 9)), nn.Tanh(), nn.Linear(9, 3)).eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    name = "0.parametrizations.weight.original"
    with pytest.raises(CannotTreatError, match="which gives other values"):
        Surgery(net).set_values(name, torch.randn(9, 6))
    after = net.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[key], before[key]) for key in before)


def test_tied_weights_are_drawn_once_and_stay_tied():
    net = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))
    net[2].weight = net[0].weight
    treated = treat(net, "orthogonal", (torch.randn(16, 8), torch.randint(0, 3, (16,))))
    assert treated.model[2].weight is treated.model[0].weight
    assert [e.place for e in treated.receipts[0].edits].count("0.weight") == 1
    torch.testing.assert_close(
        treated.model[0].weight @ treated.model[0].weight.T, torch.eye(8), atol=1e-6, rtol=1e-5
    )


def test_frozen_biases_keep_their_values():
    net = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))
    net[0].bias.requires_grad_(False)
    kept = net[0].bias.clone()
    treated = treat(net, "he", (torch.randn(16, 8), torch.randint(0, 3, (16,))))
    assert torch.equal(treated.model[0].bias, kept)
    assert not treated.model[2].bias.any()
