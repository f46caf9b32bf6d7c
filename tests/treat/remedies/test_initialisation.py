"""Each start against theory: the gradient a layer passes on, on layers of every kind."""

from __future__ import annotations

import dataclasses
import itertools
import math

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

from unvanish import checkup
from unvanish.core.glossary import Quantity
from unvanish.core.verdicts import NotApplicable
from unvanish.diagnose import diagnose
from unvanish.observe import trace
from unvanish.theory.activations import ACTIVATIONS
from unvanish.theory.mean_field import chi_1, fixed_length
from unvanish.treat.gains import flat_share, useful_point
from unvanish.treat.prescribing import outlook_of, prescribe
from unvanish.treat.registry import remedy_of
from unvanish.treat.surgery import CannotTreatError
from unvanish.treat.treatment import Treated, case_of, treat

DEPTH, WIDTH, BATCH = 12, 256, 32


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def chain(function, widths=None, dtype=torch.float64) -> nn.Sequential:
    widths = widths or [WIDTH] * (DEPTH + 1)
    parts: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        parts += [nn.Linear(inputs, outputs), function()]
    return nn.Sequential(*parts, nn.Linear(widths[-1], 10)).to(dtype)


def rows(width: int = WIDTH, batch: int = BATCH, classes: int = 10) -> tuple[Tensor, Tensor]:
    return torch.randn(batch, width, dtype=torch.float64), torch.randint(0, classes, (batch,))


def treated_by(name: str, net: nn.Module, batch, seed: int = 0, **options) -> Treated:
    return treat(net, name, batch, seed=seed, **options)


def gain_of(net: nn.Sequential, x: Tensor) -> float:
    """Return what a layer multiplies the gradient's length by, between the functions."""
    signals = []
    for part in net[:-1]:
        x = part(x)
        if not isinstance(part, nn.Linear | nn.modules.conv._ConvNd):
            x.retain_grad()
            signals.append(x)
    signals[-1].backward(torch.randn_like(x))
    ratio = signals[0].grad.norm() / signals[-1].grad.norm()
    return float(ratio) ** (1.0 / (len(signals) - 1))


def mean_gain(name: str, function, seeds: int = 3, **options) -> float:
    logs = []
    for seed in range(seeds):
        torch.manual_seed(seed)
        batch = rows()
        net = treated_by(name, chain(function, **options), batch, seed).model
        logs.append(math.log(gain_of(net, batch[0])))
    return math.exp(sum(logs) / len(logs))


# ------------------------------------------------------------- what a layer does to the gradient


@pytest.mark.parametrize(
    ("name", "function", "expected", "slack"),
    [
        ("he", nn.ReLU, 1.0, 0.015),
        ("he", lambda: nn.LeakyReLU(0.3), 1.0, 0.015),
        ("lecun", nn.SELU, math.sqrt(1.071575), 0.015),
        ("orthogonal", nn.ReLU, 1.0, 0.015),
        ("orthogonal", nn.SELU, 1.0, 0.02),
        ("critical", nn.Tanh, 1.0, 0.02),
        ("critical", nn.GELU, 1.0, 0.02),
        ("critical", nn.SiLU, 1.0, 0.02),
        ("critical", nn.Mish, 1.0, 0.02),
        ("critical", nn.ELU, 1.0, 0.02),
        ("critical", nn.Softsign, 1.0, 0.02),
        ("critical", lambda: nn.Hardtanh(-0.5, 0.5), 1.0, 0.03),
        ("critical", lambda: nn.CELU(2.0), 1.0, 0.02),
        ("looks-linear", nn.ReLU, 1.0, 0.002),
    ],
)
def test_the_gradient_a_layer_passes_on_is_the_one_of_theory(name, function, expected, slack):
    assert mean_gain(name, function) == pytest.approx(expected, abs=slack)


def test_xavier_follows_the_length_map_of_tanh_and_makes_up_for_the_slope_of_sigmoid():
    phi = ACTIVATIONS["sigmoid"]
    q = fixed_length(phi, 16.0)
    assert mean_gain("xavier", nn.Sigmoid) == pytest.approx(
        math.sqrt(chi_1(phi, q, 16.0)), abs=0.02
    )
    phi, q, expected = ACTIVATIONS["tanh"], 1.0, 1.0
    for _ in range(DEPTH - 1):
        q = fixed_length_step(phi, q)
        expected *= math.sqrt(chi_1(phi, q, 1.0))
    assert mean_gain("xavier", nn.Tanh) == pytest.approx(expected ** (1 / (DEPTH - 1)), abs=0.015)


def fixed_length_step(phi, q: float) -> float:
    from unvanish.theory.mean_field import length_map

    return length_map(phi, q, 1.0)


@pytest.mark.parametrize("name", ["he", "orthogonal", "critical"])
def test_unequal_widths_keep_the_gradient_of_relu(name):
    widths = [200, 300, 120, 400, 100, 256, 180]
    logs = []
    for seed in range(6):
        torch.manual_seed(seed)
        batch = rows(widths[0])
        net = treated_by(name, chain(nn.ReLU, widths), batch, seed).model
        x = batch[0]
        lengths = []
        for part in net[:-1]:
            x = part(x)
            if isinstance(part, nn.Linear):
                lengths.append(float(x.detach().square().mean()))
        logs.append(math.log(lengths[-1] / lengths[0]))
    # The mean square of a unit is what fan-in keeps, whatever the widths.
    assert sum(logs) / len(logs) == pytest.approx(0.0, abs=0.25)


def test_a_critical_start_stands_at_its_length_from_the_first_layer_on():
    for size in (0.05, 1.0, 20.0):
        x, y = rows()
        net = treated_by("critical", chain(nn.GELU), (size * x, y)).model
        z = net[0](size * x)
        assert float(z.detach().square().mean()) == pytest.approx(3.56155, rel=0.1)


# ------------------------------------------------------------- layers of every kind


class Kinds(nn.Module):
    """Convolutions of every kind, one behind the other, with one function between them."""

    def __init__(self, function=torch.tanh) -> None:
        super().__init__()
        self.function = function
        self.parts = nn.ModuleList(
            [
                nn.Conv2d(4, 24, 3, padding=1, padding_mode="circular"),
                nn.Conv2d(24, 24, 3, padding=1, groups=3, padding_mode="circular"),
                nn.Conv2d(24, 48, 3, padding=2, dilation=2, padding_mode="circular"),
                nn.Conv2d(48, 32, 4, stride=2, padding=1, padding_mode="circular"),
                nn.ConvTranspose2d(32, 20, 2, stride=2, groups=2),
                nn.Conv2d(20, 20, 1),
            ]
        )
        self.head = nn.Linear(20 * 64, 5)
        self.lengths: list[float] = []

    def forward(self, x: Tensor) -> Tensor:
        self.lengths = []
        for part in self.parts:
            x = part(x)
            self.lengths.append(float(x.detach().square().mean()))
            x = self.function(x)
        return self.head(x.flatten(1))


@pytest.mark.parametrize("name", ["he", "orthogonal", "critical", "delta-orthogonal"])
def test_convolutions_of_every_kind_keep_the_mean_square(name):
    kept = []
    for seed in range(10):
        torch.manual_seed(seed)
        net = Kinds(F.relu)
        batch = (torch.randn(16, 4, 8, 8), torch.randint(0, 5, (16,)))
        model = treated_by(name, net, batch, seed).model
        model(batch[0])
        kept.append(model.lengths[-1] / model.lengths[0])
    assert sum(kept) / len(kept) == pytest.approx(1.0, abs=0.35)


def test_delta_orthogonal_puts_centre_taps_where_they_keep_everything_and_says_where_not():
    net = Kinds()
    batch = (torch.randn(8, 4, 8, 8), torch.randint(0, 5, (8,)))
    model = treated_by("delta-orthogonal", net, batch).model
    taps = [int((part.weight.flatten(2).square().sum((0, 1)) > 0).sum()) for part in model.parts]
    assert taps == [1, 1, 1, 16, 4, 1]
    strided = nn.Sequential(nn.Conv2d(4, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.LazyLinear(5))
    strided(batch[0])
    with pytest.raises(CannotTreatError, match="stride 1 and at least as many outputs"):
        treated_by("delta-orthogonal", strided, batch)
    with pytest.raises(CannotTreatError, match="no convolution"):
        treated_by("delta-orthogonal", chain(nn.Tanh), rows())


def test_weights_laid_out_the_other_way_round_and_custom_ones_are_drawn_by_their_own_fans():
    from transformers.pytorch_utils import Conv1D

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = Conv1D(400, 100)
            self.W = nn.Parameter(torch.randn(400, 200))
            self.b = nn.Parameter(torch.ones(200))
            self.out = nn.Linear(200, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(F.relu(F.relu(self.a(x)) @ self.W + self.b))

    batch = (torch.randn(32, 100), torch.randint(0, 3, (32,)))
    model = treated_by("he", Net(), batch).model
    assert float(model.a.weight.detach().std()) == pytest.approx(math.sqrt(2 / 100), rel=0.02)
    assert float(model.W.detach().std()) == pytest.approx(math.sqrt(2 / 400), rel=0.02)
    assert not model.b.any()


def test_attentions_gates_and_recurrences_are_left_as_they_are_and_named():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mix = nn.MultiheadAttention(8, 2, batch_first=True)
            self.up, self.gate, self.down = nn.Linear(8, 32), nn.Linear(8, 32), nn.Linear(32, 8)
            self.wide = nn.Linear(8, 16)
            self.out = nn.Linear(16, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = x + self.mix(x, x, x, need_weights=False)[0]
            x = x + self.down(F.silu(self.gate(x)) * self.up(x))
            return self.out(F.gelu(self.wide(x)).mean(1))

    net = Net()
    treated = treated_by("critical", net, (torch.randn(8, 5, 8), torch.randint(0, 3, (8,))))
    for name in ("mix.in_proj_weight", "gate.weight"):
        assert torch.equal(treated.model.get_parameter(name), net.get_parameter(name))
    (note,) = treated.receipts[0].notes
    assert "mix.in_proj_weight (queries, keys or values)" in note
    assert "gate.weight (multiplied with other signal)" in note


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("name", ["he", "orthogonal", "looks-linear"])
def test_types_stay(name, dtype):
    x, y = rows(64)
    model = treated_by(name, chain(nn.ReLU, [64, 64, 64], dtype), (x.to(dtype), y)).model
    assert {p.dtype for p in model.parameters()} == {dtype}
    assert torch.isfinite(model(x.to(dtype))).all()


# ------------------------------------------------------------- what each says and refuses


def refusal(name: str, net: nn.Module, batch) -> str:
    found = remedy_of(name).assess(case_of(net, batch))
    assert isinstance(found, NotApplicable)
    return found.reason


def test_sigmoid_and_softplus_have_no_critical_start():
    assert "59% of the units are saturated" in refusal("critical", chain(nn.Sigmoid), rows())
    assert "no critical point" in refusal("orthogonal", chain(nn.Softplus), rows())
    point = useful_point(ACTIVATIONS["gelu"])
    assert not isinstance(point, str)
    assert point.sigma_w2 == pytest.approx(1.98305826)
    assert flat_share(ACTIVATIONS["tanh"], 0.57) < 0.05


def test_starts_refuse_what_they_are_not_for():
    assert "its functions are relu" in refusal("xavier", chain(nn.ReLU), rows())
    assert "neither SELU nor tanh" in refusal("lecun", chain(nn.GELU), rows())
    assert "no ReLU" in refusal("he", chain(nn.Tanh), rows())
    assert "no sine" in refusal("siren", chain(nn.Tanh), rows())


def test_weights_are_not_the_data_that_were_drawn_from_the_same_seed():
    torch.manual_seed(5)
    batch = rows()
    weight = treated_by("lecun", chain(nn.Tanh), batch, seed=5).model[0].weight.detach()
    cosine = F.cosine_similarity(batch[0], weight[:BATCH], dim=1)
    assert float(cosine.abs().max()) < 0.3


@pytest.mark.parametrize("name", ["he", "lecun", "xavier", "orthogonal", "critical"])
def test_the_function_of_the_output_is_no_function_behind_a_hidden_layer(name):
    function = nn.Tanh if name in ("xavier", "lecun") else nn.ReLU
    net = nn.Sequential(nn.Linear(300, 400), function(), nn.Linear(400, 300), nn.Sigmoid())
    batch = (torch.randn(32, 300), torch.rand(32, 300))
    model = treat(net, name, batch, F.mse_loss).model
    assert float(model[2].weight.detach().std()) == pytest.approx(
        math.sqrt(2 / 700 if name == "xavier" else 1 / 400), rel=0.03
    )
    assert "activation" in refusal(
        "xavier", nn.Sequential(nn.Linear(30, 40), nn.Linear(40, 3), nn.Sigmoid()), rows_of(30, 3)
    )


def rows_of(inputs: int, outputs: int) -> tuple[Tensor, Tensor]:
    return torch.randn(16, inputs), torch.rand(16, outputs)


def test_two_starts_exclude_each_other():
    with pytest.raises(CannotTreatError, match="cannot be combined"):
        treat(chain(nn.ReLU), ["he", "orthogonal"], rows())


def test_a_setting_that_the_user_changes_is_used():
    net, batch = chain(nn.Tanh, [300, 300, 300]), rows(300)
    found = remedy_of("xavier").assess(case_of(net, batch))
    assert not isinstance(found, NotApplicable)
    louder = dataclasses.replace(found, settings={"tanh gain": 3.0})
    weight = treat(net, louder, batch).model[0].weight
    assert float(weight.detach().std()) == pytest.approx(3.0 / math.sqrt(300), rel=0.02)


@pytest.mark.parametrize(
    "name",
    ["he", "orthogonal", "critical", "looks-linear"],
)
def test_undo_restores_every_bit_and_the_flow_is_level(name):
    net, batch = chain(nn.ReLU, [64] * 31, torch.float32), rows(64)
    batch = (batch[0].float(), batch[1])
    before = {key: value.clone() for key, value in net.state_dict().items()}
    treated = treated_by(name, net, batch, in_place=True)
    recording = trace(treated.model, batch, batches=1, probe_steps=0)
    assert abs(outlook_of(recording, diagnose(recording)).flow_decades) < 1.0
    treated.undo()
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


# ------------------------------------------------------------- looks-linear


@pytest.mark.parametrize("function", [nn.ReLU, lambda: nn.LeakyReLU(0.2)])
def test_looks_linear_computes_a_linear_map(function):
    net = treated_by("looks-linear", chain(function, [30, 40, 26, 64]), rows(30)).model
    a, b = torch.randn(2, 7, 30, dtype=torch.float64)
    torch.testing.assert_close(net(2 * a - 3 * b), 2 * net(a) - 3 * net(b))


def test_looks_linear_runs_through_convolutions_pooling_and_norms():
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 6, 3, stride=2),
        nn.GroupNorm(1, 6, affine=False),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.ConvTranspose2d(6, 4, 2, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.LazyLinear(5),
    ).double()
    x = torch.randn(6, 3, 12, 12, dtype=torch.float64)
    net(x)
    model = treated_by("looks-linear", net, (x, torch.randint(0, 5, (6,)))).model
    torch.testing.assert_close(model(-x), -model(x))  # linear but for the size the norm divides by


def test_looks_linear_refuses_odd_widths_groups_skips_and_maxima():
    assert "33 units, an odd number" in refusal("looks-linear", chain(nn.ReLU, [8, 33, 8]), rows(8))
    groups = nn.Sequential(nn.Conv1d(4, 8, 1), nn.ReLU(), nn.Conv1d(8, 8, 1, groups=2), nn.ReLU())
    head = nn.Sequential(nn.Flatten(), nn.Linear(8 * 5, 3))
    batch = (torch.randn(8, 4, 5), torch.randint(0, 3, (8,)))
    assert "works in groups" in refusal("looks-linear", nn.Sequential(groups, head), batch)
    pooled = nn.Sequential(nn.Conv1d(4, 8, 1), nn.ReLU(), nn.MaxPool1d(5), nn.Flatten())
    assert "max_pool" in refusal("looks-linear", nn.Sequential(pooled, nn.Linear(8, 3)), batch)

    class Skip(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = F.relu(self.a(x))
            return self.c(F.relu(self.b(x)) + x)

    skip = (torch.randn(8, 8), torch.randint(0, 3, (8,)))
    assert "no plain chain" in refusal("looks-linear", Skip(), skip)


# ------------------------------------------------------------- siren


class Sines(nn.Module):
    def __init__(self, w0: float, depth: int = 8) -> None:
        super().__init__()
        self.w0 = w0
        self.layers = nn.ModuleList([nn.Linear(2 if i == 0 else 256, 256) for i in range(depth)])
        self.out = nn.Linear(256, 1)
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen = []
        for layer in self.layers:
            z = layer(x)
            if self.w0 != 1.0:
                z = self.w0 * z
            x = torch.sin(z)
            if x.requires_grad:
                x.retain_grad()
            self.seen.append(x)
        return self.out(x)


@pytest.mark.parametrize("w0", [30.0, 1.0, 7.0])
def test_sines_get_the_gain_of_theory_whatever_their_factor(w0):
    batch = (torch.rand(64, 2) * 2 - 1, torch.randn(64, 1))
    treated = treated_by("siren", Sines(w0), batch)
    model = treated.model
    model(batch[0])
    model.seen[-1].backward(torch.randn_like(model.seen[-1]))
    gain = float(model.seen[0].grad.norm() / model.seen[-1].grad.norm()) ** (1 / 7)
    q = 1.0
    for _ in range(200):
        q = 1 - math.exp(-2 * q) + w0**2 / (3 * 256)
    assert gain == pytest.approx(math.sqrt(1 + math.exp(-2 * q)), abs=0.03)
    assert float(model.layers[3].weight.detach().abs().max()) == pytest.approx(
        math.sqrt(6 / 256) / w0, rel=0.01
    )
    carried = 30.0 if w0 == 1.0 else 1.0
    assert float(model.layers[0].weight.detach().abs().max()) == pytest.approx(
        carried / 2, rel=0.02
    )


# ------------------------------------------------------------- output scale


def test_an_output_that_is_sure_before_it_has_learnt_is_made_undecided():
    parts = chain(nn.ReLU, [20, 40, 40], torch.float32)[:-1]
    net = nn.Sequential(*parts, nn.Linear(40, 1), nn.Sigmoid())
    batch = (torch.randn(256, 20), torch.randint(0, 2, (256, 1)).float())
    treat(net, "he", batch, F.mse_loss, in_place=True)
    with torch.no_grad():
        net[4].weight.mul_(300.0)
    treated = treat(net, "output-scale", batch, F.mse_loss)
    z = treated.model[:5](batch[0]).detach()
    assert float(z.square().mean().sqrt()) == pytest.approx(0.5, rel=0.05)
    assert "no output is too large" in refusal("output-scale", treated.model, batch)
    losses = [
        descended(model, batch, F.mse_loss, 200, torch.optim.SGD(model.parameters(), lr=0.1))
        for model in (treated.model, net)
    ]
    assert losses[0] < 0.22 < 0.35 < losses[1]


def test_a_regression_answers_in_the_size_of_its_targets():
    net = nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 1))
    with torch.no_grad():
        net[2].weight.mul_(1e4)
    batch = (torch.randn(64, 10), 3.0 * torch.randn(64, 1))
    model = treat(net, "output-scale", batch, F.mse_loss).model
    wanted = batch[1].square().mean().sqrt()
    assert float(model(batch[0]).detach().square().mean().sqrt()) == pytest.approx(
        float(wanted), rel=0.05
    )


# ------------------------------------------------------------- break symmetry


def digits() -> tuple[Tensor, Tensor]:
    images, classes = load_digits(return_X_y=True)
    return torch.tensor(images / 8 - 1, dtype=torch.float32)[:500], torch.tensor(classes)[:500]


def constant() -> nn.Module:
    net = nn.Sequential(
        nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 10)
    )
    for layer in net[::2]:
        nn.init.constant_(layer.weight, 0.02)
        nn.init.zeros_(layer.bias)
    return net


def test_equal_units_part_and_learn():
    batch = digits()
    net = constant()
    advice = prescribe(net, None, batch, names=["break-symmetry"], probe_steps=3)
    assert "UV104" in advice.before.findings
    (option,) = advice.options
    assert "UV104" in option.cures
    assert option.receipts[0].edits
    treated = treat(net, list(option.prescriptions), batch)
    assert {e.place for e in treated.receipts[0].edits} == {"0.weight", "2.weight"}
    losses = [
        descended(m, batch, F.cross_entropy, 150, torch.optim.Adam(m.parameters(), lr=1e-2))
        for m in (treated.model, net)
    ]
    assert losses[0] < 0.01 < 1.0 < losses[1]


def test_zeros_that_shut_each_other_open_and_lora_keeps_its_zero():
    class Lora(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.base = nn.Linear(16, 16).requires_grad_(False)
            self.A, self.B = nn.Linear(16, 4, bias=False), nn.Linear(4, 16, bias=False)
            self.out = nn.Linear(16, 3)
            nn.init.zeros_(self.A.weight)
            nn.init.zeros_(self.B.weight)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(torch.tanh(self.base(x) + self.B(self.A(x))))

    net, batch = Lora(), (torch.randn(32, 16), torch.randint(0, 3, (32,)))
    report = checkup(net, batch)
    assert "UV104" in {finding.code for finding in report.findings}
    case = case_of(net, batch, diagnosis=report.diagnosis)
    found = remedy_of("break-symmetry").assess(case)
    assert not isinstance(found, NotApplicable)
    assert found.places == ("A.weight",)
    model = treat(net, found, batch).model
    assert model.A.weight.any()
    assert not model.B.weight.any()


def test_a_zero_head_is_left_alone():
    net = chain(nn.Tanh, [16, 16, 16], torch.float32)
    nn.init.zeros_(net[-1].weight)
    assert "no trained layer starts" in refusal(
        "break-symmetry", net, (torch.randn(8, 16), torch.randint(0, 10, (8,)))
    )


# ------------------------------------------------------------- training


def descended(net: nn.Module, batch, loss, steps: int, optimizer) -> float:
    value = torch.tensor(math.nan)
    for _ in range(steps):
        optimizer.zero_grad()
        value = loss(net(batch[0]), batch[1])
        value.backward()
        optimizer.step()
    return float(value.detach())


@pytest.mark.parametrize(
    ("name", "function", "reached"),
    [("orthogonal", nn.Tanh, 0.3), ("looks-linear", nn.ReLU, 1e-3)],
)
def test_thirty_layers_learn_from_this_start_and_not_from_the_default(name, function, reached):
    batch = digits()
    net = chain(function, [64] + [32] * 30, torch.float32)
    losses = [
        descended(model, batch, F.cross_entropy, 60, torch.optim.Adam(model.parameters(), lr=1e-3))
        for model in (treated_by(name, net, batch).model, net)
    ]
    assert losses[0] < reached
    assert losses[1] > 2.2


def test_sines_learn_a_wave_from_their_start_and_not_from_the_default():
    x = torch.rand(512, 2) * 2 - 1
    batch = (x, torch.sin(12 * x[:, :1]) * torch.cos(9 * x[:, 1:]))
    net = Sines(30.0, 4)
    losses = [
        descended(model, batch, F.mse_loss, 60, torch.optim.Adam(model.parameters(), lr=1e-4))
        for model in (treated_by("siren", net, batch).model, net)
    ]
    assert losses[0] < 1e-3
    assert losses[1] > 0.2


def test_the_first_signal_of_a_first_layer_is_measured():
    recording = trace(chain(nn.Tanh, [64] * 3), rows(64), batches=1, probe_steps=0)
    first = next(site for site in recording.signal_sites() if site.weights)
    assert recording[Quantity.INPUT_RMS].get(first) == pytest.approx(1.0, rel=0.1)
