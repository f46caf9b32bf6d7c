"""What a recording tells about layers: what follows them, what feeds them, where their bias is."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unvanish.observe import trace
from unvanish.theory.mean_field import second_moment
from unvanish.treat.anatomy import Anatomy, anatomy_of, theory_of

BATCH = 8


def seen(model: nn.Module, *shape: int, classes: int = 3) -> Anatomy:
    batch = (torch.randn(BATCH, *shape), torch.randint(0, classes, (BATCH,)))
    return anatomy_of(trace(model, batch, batches=1, probe_steps=0))


def table(anatomy: Anatomy, *names: str) -> dict[str, tuple[object, ...]]:
    return {x.weight: tuple(getattr(x, name) for name in names) for x in anatomy.layers}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


class Block(nn.Module):
    """A residual block of either kind, as torchvision writes them."""

    def __init__(self, channels: int, before: bool) -> None:
        super().__init__()
        self.before = before
        self.c1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.b1 = nn.BatchNorm2d(channels)
        self.c2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.b2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        if self.before:
            return x + self.c2(F.relu(self.b2(self.c1(F.relu(self.b1(x))))))
        y = self.b2(self.c2(self.relu(self.b1(self.c1(x)))))
        y += x
        return self.relu(y)


class ResNet(nn.Module):
    def __init__(self, before: bool) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.blocks = nn.Sequential(Block(4, before), Block(4, before))
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(F.relu(self.stem(x))).mean((2, 3)))


class Any(nn.Module):
    """Layers by name and a forward pass written as a function of them."""

    def __init__(self, run, **parts) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.run = run

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, x)


def test_a_post_activation_block_ends_in_a_sum_not_in_a_function():
    found = table(seen(ResNet(before=False), 3, 8, 8), "activation", "joins", "fed_by")
    assert found == {
        "stem.weight": ("relu", False, ""),
        "blocks.0.c1.weight": ("relu", False, "relu"),
        "blocks.0.c2.weight": ("", True, "relu"),
        "blocks.1.c1.weight": ("relu", False, "relu"),
        "blocks.1.c2.weight": ("", True, "relu"),
        "head.weight": ("", False, "relu"),
    }


def test_a_pre_activation_block_finds_its_function_behind_the_norm():
    anatomy = seen(ResNet(before=True), 3, 8, 8)
    found = table(anatomy, "activation", "joins", "fed_by")
    assert found["blocks.0.c1.weight"] == ("relu", False, "relu")
    assert found["blocks.0.c2.weight"] == ("", True, "relu")
    assert found["head.weight"] == ("", False, "")
    assert [x.norm_site is not None for x in anatomy.layers[1:3]] == [True, False]


def test_functions_are_found_across_flatten_pooling_dropout_views_and_factors():
    net = Any(
        lambda s, x: s.out(
            torch.tanh(
                s.scale * F.dropout(s.b(F.relu(F.max_pool2d(s.a(x), 2))).flatten(1), 0.1) + 0.1
            ).unsqueeze(1)
        ).squeeze(1),
        a=nn.Conv2d(3, 5, 3),
        b=nn.Conv2d(5, 6, 3, stride=2),
        scale=nn.Parameter(torch.ones(6 * 9)),
        out=nn.Linear(6 * 9, 3),
    )
    found = table(seen(net, 3, 16, 16), "activation", "fed_by", "is_output", "reads_data")
    assert found == {
        "a.weight": ("relu", "", False, True),
        "b.weight": ("tanh", "relu", False, False),
        "out.weight": ("", "tanh", True, False),
    }


def test_several_branches_that_read_one_layer_are_told_apart():
    net = Any(
        lambda s, x: s.out(torch.tanh(s.a(F.relu(s.t(x)))) + F.gelu(s.b(F.relu(s.t(x))))),
        t=nn.Linear(6, 8),
        a=nn.Linear(8, 5),
        b=nn.Linear(8, 5),
        out=nn.Linear(5, 3),
    )
    found = table(seen(net, 6), "activation", "calls", "joins")
    assert found == {
        "t.weight": ("relu", 2, False),
        "a.weight": ("tanh", 1, False),
        "b.weight": ("gelu", 1, False),
        "out.weight": ("", 1, False),
    }


def test_layers_beside_each_other_join_where_they_are_laid_side_by_side():
    net = Any(
        lambda s, x: s.out(torch.tanh(torch.cat([s.a(x), s.b(x)], 1))),
        a=nn.Linear(6, 5),
        b=nn.Linear(6, 7),
        out=nn.Linear(12, 3),
    )
    assert table(seen(net, 6), "activation", "joins", "fed_by") == {
        "a.weight": ("", True, ""),
        "b.weight": ("", True, ""),
        "out.weight": ("", False, "tanh"),
    }


def test_a_matrix_and_a_vector_that_is_added_are_a_layer_with_a_bias():
    net = Any(
        lambda s, x: s.out(torch.tanh(torch.tanh(x @ s.W + s.b) @ s.U)),
        W=nn.Parameter(torch.randn(6, 9)),
        b=nn.Parameter(torch.zeros(9)),
        U=nn.Parameter(torch.randn(9, 9)),
        out=nn.Linear(9, 3),
    )
    found = table(seen(net, 6), "activation", "bias")
    assert found == {"W": ("tanh", "b"), "U": ("tanh", ""), "out.weight": ("", "out.bias")}


def test_the_bias_of_an_attention_and_of_a_bilinear_layer_is_found():
    net = Any(
        lambda s, x: s.out(torch.tanh(s.two(s.mix(x, x, x, need_weights=False)[0][:, 0], x[:, 1]))),
        mix=nn.MultiheadAttention(6, 2, batch_first=True),
        two=nn.Bilinear(6, 6, 5),
        out=nn.Linear(5, 3),
    )
    found = table(seen(net, 4, 6), "bias", "activation", "mixes")
    assert found["mix.in_proj_weight"] == ("mix.in_proj_bias", "", True)
    assert found["mix.out_proj.weight"][0] == "mix.out_proj.bias"
    assert found["two.weight"] == ("two.bias", "tanh", False)


WRITTEN = {
    "silu": lambda z: z * torch.sigmoid(z),
    "silu by exp": lambda z: z / (1 + torch.exp(-z)),
    "gelu": lambda z: 0.5 * z * (1 + torch.tanh(math.sqrt(2 / math.pi) * (z + 0.0447 * z**3))),
    "gelu by erf": lambda z: 0.5 * z * (1 + torch.erf(z / math.sqrt(2))),
    "mish": lambda z: z * torch.tanh(F.softplus(z)),
    "softsign": lambda z: z / (1 + z.abs()),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_function_written_down_by_hand_is_recognised(name):
    function = WRITTEN[name]
    net = Any(
        lambda s, x: s.out(function(s.b(function(s.a(x))))),
        a=nn.Linear(6, 8),
        b=nn.Linear(8, 8),
        out=nn.Linear(8, 3),
    )
    plain = name.split()[0]
    assert table(seen(net, 6), "activation", "fed_by", "gates") == {
        "a.weight": (plain, "", False),
        "b.weight": (plain, plain, False),
        "out.weight": ("", plain, False),
    }


def test_a_skip_around_a_function_hides_nothing():
    net = Any(
        lambda s, x: s.out((lambda h: h + torch.tanh(h))(s.a(x))),
        a=nn.Linear(6, 8),
        out=nn.Linear(8, 3),
    )
    assert table(seen(net, 6), "activation")["a.weight"] == ("tanh",)


GATED = {
    "glu by hand": lambda s, x: s.out(torch.sigmoid(s.a(x)) * s.b(x)),
    "split": lambda s, x: s.out(
        (lambda parts: torch.tanh(parts[0]) * torch.sigmoid(parts[1]))(s.wide(x).chunk(2, -1))
    ),
    "glu": lambda s, x: s.out(F.glu(s.wide(x))),
}


@pytest.mark.parametrize("name", GATED)
def test_a_sigmoid_that_is_multiplied_with_other_signal_makes_a_gate(name):
    net = Any(
        GATED[name],
        a=nn.Linear(6, 8),
        b=nn.Linear(6, 8),
        wide=nn.Linear(6, 16),
        out=nn.Linear(8, 3),
    )
    gates = {x.weight for x in seen(net, 6).layers if x.gates}
    assert gates == ({"a.weight"} if name == "glu by hand" else {"wide.weight"})


def test_queries_keys_and_values_written_by_hand_mix():
    def run(s, x):
        q, k, v = s.qkv(x).chunk(3, -1)
        return s.out((torch.softmax(q @ k.transpose(1, 2), -1) @ v).mean(1))

    net = Any(run, qkv=nn.Linear(6, 24), out=nn.Linear(8, 3))
    assert table(seen(net, 5, 6), "mixes") == {"qkv.weight": (True,), "out.weight": (False,)}


def test_normalised_weights_are_found_by_the_largest_of_their_parts():
    wrap = nn.utils.parametrizations
    net = nn.Sequential(
        wrap.weight_norm(nn.Linear(6, 9)),
        nn.Tanh(),
        wrap.spectral_norm(nn.Linear(9, 7)),
        nn.Tanh(),
        nn.Linear(7, 3),
    )
    found = table(seen(net, 6), "activation", "bias", "calls")
    assert found == {
        "0.parametrizations.weight.original1": ("tanh", "0.bias", 1),
        "2.parametrizations.weight.original": ("tanh", "2.bias", 1),
        "4.weight": ("", "4.bias", 1),
    }


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (nn.LeakyReLU(0.3), (1 + 0.3**2) / 2),
        (nn.PReLU(init=0.5), (1 + 0.5**2) / 2),
        (nn.ELU(), 0.644945),
        (nn.Hardtanh(-0.01, 0.01), 9.8e-5),
        (nn.Softplus(beta=50.0), 0.5),
        (nn.CELU(alpha=1.0), 0.644945),
        (nn.GELU(), 0.425221),
    ],
)
def test_theory_sees_the_function_with_the_options_it_was_built_with(module, expected):
    anatomy = seen(nn.Sequential(nn.Linear(6, 8), module, nn.Linear(8, 3)), 6)
    net = nn.Sequential(nn.Linear(6, 8), module, nn.Linear(8, 3))
    phi = theory_of(anatomy.layers[0], net)
    assert phi is not None
    assert second_moment(phi, 1.0) == pytest.approx(expected, rel=0.02)
