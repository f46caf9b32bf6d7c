"""Normalisation where it fits, with what theory says of the gradient, and refusals."""

import dataclasses
import io
import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from tests.treat.remedies.test_activations import decades_per_layer
from torch import Tensor, nn
from torch.nn import functional as F

from unvanish.core.verdicts import NotApplicable
from unvanish.testing import check_remedy
from unvanish.theory.activations import activation
from unvanish.theory.normalisation import chi_batch_norm, chi_layer_norm
from unvanish.treat.registry import remedy_of
from unvanish.treat.remedies.batch_norm import BatchNorm
from unvanish.treat.remedies.weight_standardisation import StandardisedWeight
from unvanish.treat.surgery import CannotTreatError
from unvanish.treat.treatment import case_of, treat

NAMES = ("batch-norm", "layer-norm", "rms-norm", "group-norm", "weight-standardisation")


def numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


ROWS = (numbers(128, 20), torch.arange(128) % 3)


def sigmoids(kind: type[nn.Module], depth: int, width: int = 64, inputs: int = 64) -> nn.Sequential:
    """Return a deep network of one function at PyTorch's start."""
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Linear(inputs, width), kind()]
    for _ in range(depth - 1):
        layers += [nn.Linear(width, width), kind()]
    return nn.Sequential(*layers, nn.Linear(width, 10))


def plain(kind: type[nn.Module], depth: int, width: int = 32) -> nn.Sequential:
    return sigmoids(kind, depth, width, 20)


def adam(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_the_contract_holds(name: str) -> None:
    def modules() -> nn.Module:
        return nn.Sequential(nn.Linear(20, 24), nn.ReLU(), nn.Linear(24, 24), nn.Tanh(), head())

    def head() -> nn.Module:
        return nn.Linear(24, 3)

    unfit = [(nn.Sequential(nn.Linear(20, 3)), ROWS)]
    check_remedy(remedy_of(name), modules, ROWS, optimizer=adam, unfit=unfit)


# ---------------------------------------------------------------- what theory says of it


@pytest.mark.parametrize(
    ("name", "kind", "chi"),
    [
        ("batch-norm", nn.Sigmoid, chi_batch_norm(activation("sigmoid"))),
        ("batch-norm", nn.Tanh, chi_batch_norm(activation("tanh"))),
        ("batch-norm", nn.ReLU, chi_batch_norm(activation("relu"))),
        ("layer-norm", nn.ReLU, chi_layer_norm(activation("relu"), 1.0 / 256)),
        ("layer-norm", nn.Tanh, chi_layer_norm(activation("tanh"), 1.0 / 256)),
        ("rms-norm", nn.ReLU, chi_layer_norm(activation("relu"), 1.0 / 256)),
        ("group-norm", nn.Tanh, chi_layer_norm(activation("tanh"), 1.0 / 256)),
        ("weight-standardisation", nn.Sigmoid, chi_batch_norm(activation("sigmoid"))),
        ("weight-standardisation", nn.Tanh, chi_batch_norm(activation("tanh"))),
        ("weight-standardisation", nn.ReLU, chi_batch_norm(activation("relu"))),
    ],
)
def test_the_gradient_changes_as_theory_predicts(
    name: str, kind: type[nn.Module], chi: float
) -> None:
    model = plain(kind, 12, 256)
    if name == "weight-standardisation":  # its biases are in no theory of ours
        for layer in list(model)[:-1:2]:
            nn.init.zeros_(layer.bias)
    treated = treat(model, name, ROWS).model
    assert decades_per_layer(treated, ROWS) == pytest.approx(0.5 * math.log10(chi), abs=0.02)


def test_layer_norm_loses_what_theory_predicts_where_it_is_forced_on_sigmoids() -> None:
    remedy = remedy_of("layer-norm")
    generous = dataclasses.replace(remedy, max_changed_decades=99.0)
    found = generous.assess(case_of(plain(nn.Sigmoid, 12, 256), ROWS))
    assert not isinstance(found, NotApplicable)
    treated = treat(plain(nn.Sigmoid, 12, 256), found, ROWS).model
    expected = 0.5 * math.log10(chi_layer_norm(activation("sigmoid")))
    assert decades_per_layer(treated, ROWS) == pytest.approx(expected, abs=0.015)


def test_weight_standardisation_keeps_the_variance_at_one() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(4, 32, 3), nn.Sigmoid(), nn.Conv2d(32, 64, 3, groups=2), nn.ReLU(),
        nn.Conv2d(64, 64, 1), nn.GELU(), nn.Flatten(), nn.Linear(64 * 4, 3),
    )  # fmt: skip
    batch = (3.0 + 7.0 * numbers(32, 4, 6, 6), torch.arange(32) % 3)
    treated = treat(model, "weight-standardisation", batch).model
    sums: list[Tensor] = []
    for number in (0, 2, 4):
        treated[number].register_forward_hook(lambda *given: sums.append(given[2].detach()))
    treated(batch[0])
    for one in sums:
        assert float(one.square().mean().sqrt()) == pytest.approx(1.0, abs=0.2)
    row = StandardisedWeight(64, 2.0)(model[2].weight).detach().flatten(1)
    torch.testing.assert_close(row.mean(1), torch.zeros(64), atol=1e-6, rtol=0)
    torch.testing.assert_close(row.square().sum(1), torch.full((64,), 4.0))


def test_a_row_of_equal_weights_is_standardised_to_zero() -> None:
    part = StandardisedWeight(2, 1.0)
    weight = torch.ones(2, 20, requires_grad=True)
    part(weight).sum().backward()
    assert torch.equal(part(weight), torch.zeros(2, 20))
    assert weight.grad is not None
    assert bool(weight.grad.isfinite().all())


def test_weights_far_too_small_are_normalised_all_the_same() -> None:
    model = plain(nn.ReLU, 6)
    with torch.no_grad():
        for layer in model[::2]:
            layer.weight.mul_(1e-3)
            layer.bias.zero_()
    found = remedy_of("layer-norm").assess(case_of(model, ROWS))
    assert not isinstance(found, NotApplicable)
    assert float(found.settings["eps"]) < 1e-8
    treated = treat(model, "layer-norm", ROWS).model
    assert decades_per_layer(treated, ROWS, skip=1) == pytest.approx(0.0, abs=0.05)


# ---------------------------------------------------------------- where it stands


class Everything(nn.Module):
    """Layers that fit beside all that are to be left alone."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 16)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.rnn = nn.GRU(16, 16, batch_first=True)
        self.q, self.k, self.v = (nn.Linear(16, 16) for _ in range(3))
        self.gate = nn.Linear(16, 16)
        self.normed, self.norm = nn.Linear(16, 16), nn.LayerNorm(16)
        self.fits = nn.Linear(16, 20)
        self.raw = nn.Parameter(0.2 * torch.randn(24, 20))
        self.matrix = nn.Parameter(0.2 * torch.randn(24, 18))
        self.head = nn.Linear(18, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        x, _ = self.rnn(self.embedding(tokens))
        x = x + self.attention(x, x, x)[0]
        x = x + torch.softmax(self.q(x) @ self.k(x).transpose(1, 2), -1) @ self.v(x)
        x = x.mean(1)
        x = x * torch.sigmoid(self.gate(x))
        x = torch.relu(self.norm(self.normed(x)))
        x = torch.tanh(self.fits(x))
        x = torch.tanh(F.linear(x, self.raw))
        return self.head(torch.tanh(x @ self.matrix))


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("batch-norm", ("fits.weight", "raw", "matrix")),
        ("layer-norm", ("fits.weight", "raw", "matrix")),
        ("rms-norm", ("fits.weight", "raw", "matrix")),
        ("group-norm", ("fits.weight", "raw", "matrix")),
        ("weight-standardisation", ("fits.weight", "raw")),
    ],
)
def test_only_hidden_layers_without_a_normalisation_are_given_one(
    name: str, places: tuple[str, ...]
) -> None:
    torch.manual_seed(0)
    model = Everything()
    batch = (torch.randint(0, 5, (32, 4)), torch.arange(32) % 3)
    found = remedy_of(name).assess(case_of(model, batch))
    assert not isinstance(found, NotApplicable), found
    assert found.places == places
    treated = treat(model, found, batch)
    assert len(treated.receipts[0].edits) == len(places)
    F.cross_entropy(treated.model(batch[0]), batch[1]).backward()
    fresh = set(dict(treated.model.named_parameters())) - set(dict(model.named_parameters()))
    assert fresh
    assert all(treated.model.get_parameter(one).grad is not None for one in fresh)


def convolution(dimensions: int) -> nn.Module:
    conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dimensions - 1]
    up = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[dimensions - 1]
    return nn.Sequential(
        conv(2, 12, 3, padding=1), nn.ReLU(), conv(12, 8, 3, stride=2, groups=2), nn.ReLU(),
        up(8, 6, 2, stride=2), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3),
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore:Lazy modules")
@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("batch-norm", (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)),
        ("layer-norm", (nn.GroupNorm,) * 3),
        ("group-norm", (nn.GroupNorm,) * 3),
    ],
)
def test_convolutions_get_the_kind_of_their_dimension(
    dimensions: int, name: str, kinds: Sequence[type[nn.Module]]
) -> None:
    batch = (numbers(16, 2, *(7,) * dimensions), torch.arange(16) % 3)
    model = convolution(dimensions)
    model(batch[0])
    treated = treat(model, name, batch).model
    for number, units in ((0, 12), (2, 8), (4, 6)):
        part = next(treated[number].children())
        assert type(part) is kinds[dimensions - 1]
        assert part.weight.shape == (units,)
        if name != "batch-norm":
            assert name == "group-norm" or part.num_groups == 1


def test_a_function_that_gets_normalised_sums_sees_them_with_variance_one() -> None:
    model = plain(nn.Sigmoid, 4)
    treated = treat(model, "batch-norm", ROWS).model
    sums: list[Tensor] = []
    for number in (1, 3, 5, 7):
        treated[number].register_forward_pre_hook(lambda *given: sums.append(given[1][0]))
    treated(ROWS[0])
    for one in sums:
        torch.testing.assert_close(one.mean(0), torch.zeros(32), atol=1e-5, rtol=0)
        torch.testing.assert_close(one.var(0, unbiased=False), torch.ones(32), atol=0.05, rtol=0)


def test_tokens_are_normalised_each_by_itself() -> None:
    class Mixer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens, self.units, self.head = nn.Linear(5, 5), nn.Linear(8, 8), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = x + torch.tanh(self.tokens(x.transpose(1, 2))).transpose(1, 2)
            return self.head((x + torch.tanh(self.units(x))).mean(1))

    batch = (numbers(32, 5, 8), torch.arange(32) % 3)
    treated = treat(Mixer(), "layer-norm", batch).model
    assert treated.get_parameter("tokens.layernorm.weight").shape == (5,)
    assert treated.get_parameter("units.layernorm.weight").shape == (8,)
    alone = treated(batch[0][:1])
    torch.testing.assert_close(alone, treated(batch[0])[:1])
    for name, reason in (("batch-norm", "tokens, which are no samples"), ("group-norm", "tokens")):
        found = remedy_of(name).assess(case_of(Mixer(), batch))
        assert isinstance(found, NotApplicable)
        assert reason in found.reason


def test_tokens_that_are_laid_out_in_rows_are_no_samples() -> None:
    class Rows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.head = nn.Linear(8, 8), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            rows = torch.tanh(self.layer(x.reshape(-1, 8)))
            return self.head(rows.reshape(len(x), -1, 8).mean(1))

    batch = (numbers(32, 5, 8), torch.arange(32) % 3)
    found = remedy_of("batch-norm").assess(case_of(Rows(), batch))
    assert isinstance(found, NotApplicable)
    assert not isinstance(remedy_of("layer-norm").assess(case_of(Rows(), batch)), NotApplicable)


def test_a_network_with_a_normalisation_written_by_hand_keeps_the_ends_of_its_branches() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(20, 20), nn.Linear(20, 20)

        def forward(self, x: Tensor) -> Tensor:
            normed = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)
            return x + self.two(torch.relu(self.one(normed)))

    model = nn.Sequential(Block(), Block(), nn.Linear(20, 3))
    found = remedy_of("layer-norm").assess(case_of(model, ROWS))
    assert not isinstance(found, NotApplicable)
    assert found.places == ("0.one.weight", "1.one.weight")


def test_the_last_layer_of_a_branch_is_normalised_in_a_network_without_any() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(20, 20), nn.Linear(20, 20)

        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(x + self.two(torch.relu(self.one(x))))

    model = nn.Sequential(*(Block() for _ in range(20)), nn.Linear(20, 3))
    found = remedy_of("batch-norm").assess(case_of(model, ROWS))
    assert not isinstance(found, NotApplicable), found  # skips lead around 40 layers of ReLU
    assert len(found.places) == 40


def test_groups_divide_the_units_and_are_large_enough() -> None:
    model = nn.Sequential(
        nn.Linear(20, 48), nn.ReLU(), nn.Linear(48, 17), nn.ReLU(), nn.Linear(17, 3)
    )
    treated = treat(model, "group-norm", ROWS).model
    assert next(treated[0].children()).num_groups == 3
    assert next(treated[2].children()).num_groups == 1
    image = nn.Sequential(nn.Conv2d(3, 48, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48 * 16, 3))
    batch = (numbers(16, 3, 6, 6), torch.arange(16) % 3)
    assert next(treat(image, "group-norm", batch).model[0].children()).num_groups == 24


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("name", "model", "rows", "reason"),
    [
        ("batch-norm", lambda: plain(nn.Tanh, 3), 8, "the batch has 8 samples"),
        ("batch-norm", lambda: plain(nn.Tanh, 3), 1, "the batch has 1 sample:"),
        ("batch-norm", lambda: plain(nn.Tanh, 3).eval(), 128, "eval mode"),
        ("batch-norm", lambda: plain(nn.ReLU, 30), 128, "grow 1.211 times a layer"),
        ("weight-standardisation", lambda: plain(nn.ReLU, 30), 128, "grow 1.211 times"),
        ("layer-norm", lambda: plain(nn.Sigmoid, 10), 128, "passes on 0.391 of a gradient"),
        ("rms-norm", lambda: plain(nn.Sigmoid, 10), 128, "10 layers lose 4.1 decades"),
        ("group-norm", lambda: plain(nn.Sigmoid, 10), 128, "batch-norm and weight-standardis"),
        ("layer-norm", lambda: nn.Sequential(nn.Linear(20, 3)), 128, "no hidden linear layer"),
    ],
)
def test_what_cannot_help_is_refused_with_the_reason(
    name: str, model: Callable[[], nn.Module], rows: int, reason: str
) -> None:
    batch = (ROWS[0][:rows], ROWS[1][:rows])
    found = remedy_of(name).assess(case_of(model(), batch))
    assert isinstance(found, NotApplicable), found
    assert reason in found.reason


def test_a_network_that_is_normalised_is_refused() -> None:
    model = nn.Sequential(nn.Linear(20, 20), nn.BatchNorm1d(20), nn.ReLU(), nn.Linear(20, 3))
    for name in NAMES:
        found = remedy_of(name).assess(case_of(model, ROWS))
        assert isinstance(found, NotApplicable)
        assert "batch_norm" in found.reason


def test_a_skip_takes_the_limit_on_depth_away() -> None:
    class Skip(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(20, 20) for _ in range(40))
            self.head = nn.Linear(20, 3)

        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers:
                x = x + torch.relu(layer(x))
            return self.head(x)

    assert not isinstance(BatchNorm().assess(case_of(Skip(), ROWS)), NotApplicable)


def test_two_normalisations_are_not_combined() -> None:
    with pytest.raises(CannotTreatError, match="cannot be combined"):
        treat(plain(nn.Tanh, 3), ["batch-norm", "layer-norm"], ROWS)


# ---------------------------------------------------------------- names, optimiser, files


@pytest.mark.parametrize("name", NAMES)
def test_names_stay_and_new_parameters_join_the_group_of_their_layer(name: str) -> None:
    model = plain(nn.Tanh, 3)
    groups = [
        {"params": list(model[0].parameters()), "lr": 0.1},
        {"params": [p for part in list(model)[1:] for p in part.parameters()], "lr": 0.2},
    ]
    optimizer = torch.optim.Adam(groups)
    F.cross_entropy(model(ROWS[0]), ROWS[1]).backward()
    optimizer.step()
    treated = treat(model, name, ROWS, optimizer=optimizer)
    assert set(model.state_dict()) < set(treated.model.state_dict())
    assert treated.optimizer is not None
    first, second = treated.optimizer.param_groups
    fresh = list(next(treated.model[0].children()).parameters())
    assert fresh
    assert all(any(p is q for q in first["params"]) for p in fresh)
    assert len(second["params"]) > len(optimizer.param_groups[1]["params"])
    treated.optimizer.zero_grad()
    F.cross_entropy(treated.model(ROWS[0]), ROWS[1]).backward()
    before = [p.detach().clone() for p in fresh]
    treated.optimizer.step()
    assert all(not torch.equal(p, q) for p, q in zip(fresh, before, strict=True))


def test_the_path_of_a_new_layer_is_below_its_old_one() -> None:
    treated = treat(plain(nn.Tanh, 2), "batch-norm", ROWS).model
    assert "0.batchnorm1d.running_mean" in treated.state_dict()


@pytest.mark.parametrize("name", NAMES)
def test_a_treated_network_is_saved_loaded_and_evaluated(name: str) -> None:
    treated = treat(plain(nn.Tanh, 2).double(), name, (ROWS[0].double(), ROWS[1])).model
    file = io.BytesIO()
    torch.save(treated, file)
    file.seek(0)
    twin: Any = torch.load(file, weights_only=False)
    twin.eval()
    treated.eval()
    x = ROWS[0][:1].double()
    torch.testing.assert_close(twin(x), treated(x), rtol=0, atol=0)


# ---------------------------------------------------------------- it learns


def learnt(model: nn.Module, remedies: list[str] | None, rate: float, steps: int = 300) -> float:
    """Train on scikit-learn's digits and return the accuracy on what was held out."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    x = torch.tensor(digits.data, dtype=torch.float32)
    x, y = (x - x.mean()) / x.std(), torch.tensor(digits.target)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    x, y = x[order], y[order]
    if remedies is not None:
        model = treat(model, remedies, (x[:64], y[:64])).model
    torch.manual_seed(1)
    optimizer = torch.optim.Adam(model.parameters(), rate)
    for _ in range(steps):
        rows = torch.randint(0, 1347, (64,))
        optimizer.zero_grad()
        F.cross_entropy(model(x[rows]), y[rows]).backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        return float((model(x[1347:]).argmax(1) == y[1347:]).double().mean())


def test_a_network_of_sigmoids_learns_once_it_is_normalised() -> None:
    control = learnt(sigmoids(nn.Sigmoid, 8, 32), None, 3e-3, steps=60)
    treated = learnt(sigmoids(nn.Sigmoid, 8, 32), ["batch-norm"], 3e-3, steps=60)
    assert control < 0.3
    assert treated > 0.7


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "depth", "name", "rate", "least", "most"),
    [
        (nn.Sigmoid, 30, None, 1e-3, 0.0, 0.2),
        (nn.Sigmoid, 30, "batch-norm", 1e-3, 0.9, 1.0),
        (nn.Sigmoid, 30, "weight-standardisation", 3e-4, 0.85, 1.0),
        (nn.ReLU, 20, "batch-norm", 1e-3, 0.85, 1.0),
        (nn.ReLU, 24, "batch-norm", 1e-3, 0.7, 0.9),
        (nn.ReLU, 30, None, 3e-4, 0.0, 0.2),
        (nn.ReLU, 30, "layer-norm", 3e-4, 0.8, 1.0),
    ],
)
def test_the_numbers_on_the_cards(
    kind: type[nn.Module], depth: int, name: str | None, rate: float, least: float, most: float
) -> None:
    reached = learnt(sigmoids(kind, depth), None if name is None else [name], rate)
    assert least <= reached <= most
