"""Measured gradients against slow, obvious float64 twins."""

from __future__ import annotations

import copy
import math
from collections import defaultdict

import pytest
import torch
import torch.nn.functional as F
from tests.observe.patients import PATIENTS, deep_sigmoid
from torch import Tensor, nn

from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording, Role
from unvanish.observe import trace
from unvanish.observe.batch import Batch
from unvanish.observe.look import Conditions, extend, look, look_extended

CONDITIONS = Conditions(loss=None, seed=0, autocast="", built={})


class Residual(nn.Module):
    """Branches, merges, a norm, a shared layer: everything a path can meet."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(6, 8)
        self.shared = nn.Linear(8, 8)
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        self.seen = [self.stem(x)]
        for _ in range(3):
            h = self.seen[-1]
            self.seen.append(h + 0.5 * torch.tanh(self.shared(self.norm(h))))
        for tensor in self.seen:
            tensor.retain_grad()
        return self.head(self.seen[-1])


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    torch.manual_seed(3)
    return torch.randn(12, 6, dtype=torch.float64), torch.randint(0, 4, (12,))


def record(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Recording:
    return trace(model, batch, "cross_entropy", probe_steps=0)


def test_activation_gradients_equal_autograds_own(batch: tuple[Tensor, Tensor]) -> None:
    model = Residual().double()
    recording = record(model, batch)
    F.cross_entropy(model(batch[0]), batch[1]).backward()
    grads = recording[Quantity.LOG10_ACTIVATION_GRAD_RMS]
    trunk = [s for s in recording.signal_sites() if s.path == "stem" or s.op == "add"]
    assert len(trunk) == 4
    for site, tensor in zip(trunk, model.seen, strict=True):
        assert tensor.grad is not None
        assert grads[site] == pytest.approx(
            math.log10(tensor.grad.square().mean().sqrt().item()), abs=1e-12
        )


def test_parameter_gradients_and_their_uses(batch: tuple[Tensor, Tensor]) -> None:
    model = Residual().double()
    recording = record(model, batch)
    F.cross_entropy(model(batch[0]), batch[1]).backward()
    for record_, (name, parameter) in zip(
        recording.parameters, model.named_parameters(), strict=True
    ):
        assert record_.name == name
        assert parameter.grad is not None
        rms = parameter.grad.square().mean().sqrt().item()
        assert record_.log10_grad_rms == pytest.approx(math.log10(rms), abs=1e-12)
        assert len(record_.uses) == (3 if name.startswith(("shared", "norm")) else 1)


def test_forward_statistics_equal_the_plain_formulas(batch: tuple[Tensor, Tensor]) -> None:
    model = Residual().double()
    recording = record(model, batch)
    with torch.no_grad():
        z = model.shared(model.norm(model.stem(batch[0])))
    (site,) = (s for s in recording.signal_sites() if s.op == "tanh" and s.call == 0)
    slope = 1 - torch.tanh(z).square()
    expected = {
        Quantity.ACTIVATION_RMS: torch.tanh(z).square().mean().sqrt().item(),
        Quantity.ACTIVATION_MEAN: torch.tanh(z).mean().item(),
        Quantity.SLOPE_RMS: slope.square().mean().sqrt().item(),
        Quantity.SLOPE_MAX: slope.max().item(),
        Quantity.SATURATED_FRACTION: (slope < 0.1).double().mean().item(),
        Quantity.DEAD_FRACTION: 0.0,
    }
    for quantity, value in expected.items():
        assert recording[quantity][site] == pytest.approx(value, abs=1e-12), quantity


def test_sample_cosine_and_rank(batch: tuple[Tensor, Tensor]) -> None:
    model = Residual().double()
    recording = record(model, batch)
    with torch.no_grad():
        h = model.stem(batch[0])
    pairs = [F.cosine_similarity(h[i], h[j], dim=0) for i in range(12) for j in range(12) if i != j]
    s = torch.linalg.svdvals(h - h.mean(0))
    (site,) = (s_ for s_ in recording.signal_sites() if s_.path == "stem")
    assert recording[Quantity.SAMPLE_COSINE][site] == pytest.approx(
        torch.stack(pairs).mean().item(), abs=1e-6
    )
    assert recording[Quantity.EFFECTIVE_RANK][site] == pytest.approx(
        (s.square().sum().square() / s.pow(4).sum()).item(), rel=1e-5
    )


def test_every_path_adds_up_and_shares_sum_to_one(batch: tuple[Tensor, Tensor]) -> None:
    recording = record(Residual().double(), batch)
    grads = recording[Quantity.LOG10_ACTIVATION_GRAD_RMS]
    norm = {s.index: grads[s] + 0.5 * math.log10(s.size) for s in recording.sites if s in grads}
    shares: dict[int, float] = defaultdict(float)
    sent: dict[int, list[float]] = defaultdict(list)
    for edge in recording.edges:
        shares[edge.producer] += edge.share
        sent[edge.producer].append(norm[edge.consumer] + edge.log10_gain)
    assert len(shares) > 20
    for producer, total in shares.items():
        assert total == pytest.approx(1.0, abs=1e-12)
        if len(sent[producer]) == 1:
            assert sent[producer][0] == pytest.approx(norm[producer], abs=1e-12)
        else:  # a merge: what arrives is at most the sum of what was sent
            assert norm[producer] <= math.log10(sum(10**x for x in sent[producer])) + 1e-12


def test_the_extended_pass_reads_what_the_engine_reads() -> None:
    torch.manual_seed(0)

    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(3, 5, batch_first=True, num_layers=2)
            self.conv = nn.Conv1d(5, 4, 3)
            self.attend = nn.MultiheadAttention(4, 2, batch_first=True)
            self.scale = nn.Parameter(torch.ones(4, 1))

        def forward(self, x: Tensor) -> Tensor:
            h, _ = self.lstm(x)
            h = (self.conv(h.transpose(1, 2)) * self.scale).transpose(1, 2)
            return self.attend(h, h, h)[0].amax(1)

    model = Recurrent().double()
    one = Batch(torch.randn(6, 9, 3, dtype=torch.float64), torch.randint(0, 4, (6,)))
    plain, extended = look(model, one, CONDITIONS), look_extended(model, one, CONDITIONS)
    assert len(plain.graph.sites) == len(extended.graph.sites)
    for mine, theirs in (
        (extended.gradients.log10_norms, plain.gradients.log10_norms),
        (extended.gradients.contributions, plain.gradients.contributions),
        (extended.gradients.shares, plain.gradients.shares),
    ):
        assert mine.keys() == theirs.keys()
        assert max(abs(mine[k] - theirs[k]) for k in mine if math.isfinite(theirs[k])) < 1e-11
    for name, grad in plain.gradients.parameters.items():
        other = extended.gradients.parameters[name]
        torch.testing.assert_close(other.tensor * 2.0**other.exponent, grad.tensor)


def test_a_thousand_sigmoid_layers_keep_the_slope_of_theory() -> None:
    torch.manual_seed(0)
    width, depth = 64, 1000
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Linear(width, width), nn.Sigmoid()]
    model = nn.Sequential(*layers, nn.Linear(width, 10))
    recording = trace(model, (torch.randn(32, width), torch.randint(0, 10, (32,))), probe_steps=0)
    grads = recording[Quantity.LOG10_PROBE_GRAD_RMS]
    linear = [s for s in recording.signal_sites() if s.op == "linear"]
    assert recording.context.grad_dtype == "extended"
    assert grads[linear[0]] < -800
    per_layer = (grads[linear[0]] - grads[linear[-2]]) / (depth - 1)
    # chi_1 of torch's default init, sigma_w^2 = 1/3: 0.14145 a layer (finite width: 2 %).
    assert per_layer == pytest.approx(math.log10(0.14145), abs=math.log10(1.02))
    assert all(p.log10_grad_rms < -300 for p in recording.parameters[:200])


def test_an_exact_zero_stays_an_exact_zero() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    nn.init.constant_(model[0].bias, -100.0)
    recording = trace(model, (torch.randn(8, 4), torch.randint(0, 2, (8,))), probe_steps=0)
    assert recording.parameters[0].log10_grad_rms == -math.inf
    assert [s.role for s in recording.sites].count(Role.LOSS) >= 1


@pytest.mark.parametrize(
    ("name", "measured_in"),
    [
        ("vanishing_behind_float_casts", "float64"),
        ("vanishing_behind_a_float32_kernel", "extended"),
        ("autocast_inside_forward", "float64"),
        ("parameters_of_two_types", "float64"),
    ],
)
def test_a_second_pass_is_made_whatever_types_the_code_asks_for(
    name: str, measured_in: str
) -> None:
    torch.manual_seed(0)
    model, batch, options = PATIENTS[name]()
    default = torch.get_default_dtype()
    recording = trace(model, batch, **options, probe_steps=1)
    assert torch.get_default_dtype() is default
    assert not recording.gaps
    assert recording.context.grad_dtype == measured_in
    assert all(math.isfinite(p.log10_grad_rms) for p in recording.parameters)


def test_both_second_passes_read_the_same_gradient() -> None:
    """In float64 on a copy, and with exponents kept on the float32 graph."""
    torch.manual_seed(0)
    model = deep_sigmoid(lambda x: x)
    one = Batch(torch.randn(16, 8), torch.randint(0, 5, (16,)))
    narrow = extend(look(model, one, CONDITIONS), model).gradients
    twin = Batch(one.inputs.double(), one.target)
    wide = look_extended(copy.deepcopy(model).double(), twin, CONDITIONS).gradients
    assert wide.log10_norms.keys() == narrow.log10_norms.keys()
    assert min(wide.log10_norms.values()) < -30
    for node, value in wide.log10_norms.items():
        assert narrow.log10_norms[node] == pytest.approx(value, abs=0.01)


class Hooked(nn.Module):
    """A hook of one kind takes the gradient away from the first layer."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.first, self.middle, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)
        self.kind = kind
        if kind == "module":
            self.middle.register_full_backward_hook(lambda _m, gi, _go: (gi[0] * 0,))
        if kind == "module before":
            self.middle.register_full_backward_pre_hook(lambda _m, go: (go[0] * 0,))
        if kind == "parameter":
            self.first.weight.register_hook(lambda g: g * 0)
            self.first.bias.register_hook(lambda g: g * 0)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.first(x))
        if self.kind == "tensor":
            h.register_hook(lambda g: g * 0)
        if self.kind == "node" and h.grad_fn is not None:
            h.grad_fn.register_hook(lambda gi, _go: (gi[0] * 0,))
        if self.kind == "node before" and h.grad_fn is not None:
            h.grad_fn.register_prehook(lambda go: (go[0] * 0,))
        return self.head(torch.tanh(self.middle(h)))


@pytest.mark.parametrize(
    "kind", ["module", "module before", "parameter", "tensor", "node", "node before", "none"]
)
@pytest.mark.parametrize("autocast", ["", "bfloat16"])
def test_what_a_hook_took_away_does_not_come_back(kind: str, autocast: str) -> None:
    torch.manual_seed(0)
    batch = torch.randn(16, 4), torch.randint(0, 3, (16,))
    recording = trace(Hooked(kind), batch, autocast=autocast, probe_steps=1)
    dead = kind != "none"
    assert [p.log10_grad_rms == -math.inf for p in recording.parameters[:2]] == [dead, dead]
    hooked = dead and kind != "parameter"
    assert [gap.what for gap in recording.gaps] == [
        "gradients below the range of the measured type"
    ] * hooked
