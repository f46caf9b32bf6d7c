"""The exchange of hidden functions, however they are called, and of nothing else."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unvanish import trace
from unvanish.core.verdicts import NotApplicable
from unvanish.diagnose.propagation import propagation_flow
from unvanish.testing import check_remedy
from unvanish.theory.activations import activation, leaky_relu
from unvanish.theory.mean_field import slope_moment
from unvanish.treat.registry import remedy_of
from unvanish.treat.remedies.revive_dead_units import ReviveDeadUnits
from unvanish.treat.surgery import CannotTreatError
from unvanish.treat.treatment import case_of, treat

NAMES = ("relu", "leaky-relu", "prelu", "elu", "selu", "gelu", "silu")
NEW: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "leaky-relu": F.leaky_relu,
    "prelu": lambda z: F.leaky_relu(z, 0.25),
    "elu": F.elu,
    "selu": F.selu,
    "gelu": F.gelu,
    "silu": F.silu,
}


def numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


X = numbers(16, 6)
Y = torch.arange(16) % 3


class Functional(nn.Module):
    """Every hidden layer calls the function in another way; the output is a probability."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(6, 8), *(nn.Linear(8, 8) for _ in range(6))])
        self.head = nn.Linear(8, 3)
        self.table = {"act": nn.Sigmoid(), "deep": [nn.Sigmoid()]}
        self.function = torch.sigmoid
        self.new: Callable[[Tensor], Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        ways: list[Callable[[Tensor], Tensor]] = [
            torch.sigmoid,
            Tensor.sigmoid,
            Tensor.sigmoid_,
            self.table["act"],
            self.table["deep"][0],
            self.function,
            nn.Sigmoid(),
        ]
        for layer, way in zip(self.layers, ways, strict=True):
            x = (self.new or way)(layer(x))
        return torch.sigmoid(self.head(x))


class Shared(nn.Module):
    """One module for hidden layers and for the output."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3)])
        self.act = nn.Sigmoid()
        self.new: Callable[[Tensor], Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        for layer in list(self.layers)[:-1]:
            x = (self.new or self.act)(layer(x))
        return self.act(self.layers[-1](x))


def squared(output: Tensor, target: Tensor) -> Tensor:
    return (output - F.one_hot(target, 3)).square().mean()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", [Functional, Shared])
def test_every_call_of_a_hidden_layer_is_exchanged_and_the_output_is_not(
    name: str, kind: type[Functional] | type[Shared]
) -> None:
    torch.manual_seed(0)
    model = kind()
    treated = treat(model, name, (X, Y), squared)
    after = treated.model(X)
    assert bool(((after > 0.0) & (after < 1.0)).all())
    model.new = NEW[name]
    torch.testing.assert_close(after, model(X))


@pytest.mark.parametrize("name", NAMES)
def test_the_contract_holds(name: str) -> None:
    def modules() -> nn.Module:
        return nn.Sequential(
            nn.Linear(6, 8), nn.Hardtanh(inplace=True), nn.Linear(8, 8), nn.Softsign(),
            nn.Linear(8, 8), nn.Softplus(), nn.Linear(8, 3),
        )  # fmt: skip

    def adam(model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.Adam(model.parameters())

    linear = nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 3))
    for make, loss in ((modules, None), (Shared, squared)):
        check_remedy(remedy_of(name), make, (X, Y), loss, optimizer=adam, unfit=[(linear, (X, Y))])


# ---------------------------------------------------------------- what is left alone


class Gated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.g, self.head = nn.Linear(6, 8), nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.a(x) * torch.sigmoid(self.g(x)))


class Highway(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.g, self.head = nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.head.weight.sum() + x
        carry = torch.sigmoid(self.g(x))
        return self.head((1.0 - carry) * x + carry * (x - 1.0))


class VanillaRnn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w, self.u, self.head = nn.Linear(2, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(len(x), 8)
        for t in range(3):
            state = torch.tanh(self.w(x[:, 2 * t : 2 * t + 2]) + self.u(state))
        return self.head(state)


class HandWrittenLstm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.Linear(2 + 8, 32), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        state = memory = x.new_zeros(len(x), 8)
        for t in range(3):
            i, f, g, o = self.cell(torch.cat([x[:, 2 * t : 2 * t + 2], state], 1)).chunk(4, 1)
            memory = torch.sigmoid(f) * memory + torch.sigmoid(i) * torch.tanh(g)
            state = torch.sigmoid(o) * torch.tanh(memory)
        return self.head(state)


class Cell(nn.Module):
    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell, self.head = cell, nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        output, _ = self.cell(x.reshape(len(x), 3, 2))
        return self.head(output[:, -1])


class Attention(nn.Module):
    """Additive attention, and one whose scores a sigmoid makes."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.v, self.head = nn.Linear(2, 2), nn.Linear(2, 1), nn.Linear(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = x.reshape(len(x), 3, 2)
        x = torch.sigmoid(self.q(x) @ x.transpose(1, 2)) @ x
        weights = torch.softmax(self.v(torch.tanh(self.q(x))), 1)
        return self.head((weights * x).sum(1))


class ByHand(nn.Module):
    """Mish and both kinds of GELU, written down."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.head = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x)
        x = x * torch.tanh(F.softplus(x))
        x = 0.5 * x * (1.0 + torch.erf(x / math.sqrt(2.0)))
        x = 0.5 * x * (1.0 + torch.tanh(0.8 * (x + 0.04 * x**3)))
        return self.head(x)


@pytest.mark.parametrize("name", ["relu", "prelu"])
@pytest.mark.parametrize(
    "make",
    [
        Gated,
        Highway,
        VanillaRnn,
        HandWrittenLstm,
        lambda: Cell(nn.LSTM(2, 8, batch_first=True)),
        lambda: Cell(nn.RNN(2, 8, batch_first=True)),
        Attention,
        ByHand,
        lambda: nn.Sequential(nn.Linear(6, 3), nn.Sigmoid()),
    ],
)
def test_gates_loops_attention_and_parts_of_functions_stay(
    name: str, make: Callable[[], nn.Module]
) -> None:
    torch.manual_seed(0)
    found = remedy_of(name).assess(case_of(make(), (X, Y), squared))
    assert isinstance(found, NotApplicable), found
    assert "no activation" in found.reason or "mean something else" in found.reason


def test_a_layer_used_again_on_its_own_output_is_deep_and_no_loop_over_time() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.head = nn.Linear(6, 6), nn.Linear(6, 3)

        def forward(self, x: Tensor) -> Tensor:
            for _ in range(4):
                x = torch.tanh(self.layer(x))
            return self.head(x)

    treated = treat(Tied(), "relu", (X, Y))
    assert [edit.before for edit in treated.receipts[0].edits] == ["tanh"]


def test_hidden_functions_of_a_recurrent_network_are_exchanged_outside_of_the_cell() -> None:
    class After(Cell):
        def forward(self, x: Tensor) -> Tensor:
            output, _ = self.cell(x.reshape(len(x), 3, 2))
            return self.head(torch.tanh(nn.functional.linear(output[:, -1], torch.eye(8))))

    torch.manual_seed(0)
    model = After(nn.LSTM(2, 8, batch_first=True))
    treated = treat(model, "relu", (X, Y))
    output, _ = model.cell(X.reshape(16, 3, 2))
    torch.testing.assert_close(treated.model(X), model.head(torch.relu(output[:, -1])))


@pytest.mark.parametrize("training", [True, False])
def test_a_transformer_layer_computes_the_new_function_in_evaluation_too(training: bool) -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True)
    model = nn.Sequential(layer, nn.Flatten(), nn.Linear(24, 3)).train(training)
    x = numbers(16, 3, 8)
    treated = treat(model, "leaky-relu", (x, Y)).model
    with torch.no_grad():
        fast = treated(x)
    torch.testing.assert_close(fast, treated(x))
    layer.activation = F.leaky_relu
    layer.activation_relu_or_gelu = 0
    torch.testing.assert_close(treated(x), model(x))


# ---------------------------------------------------------------- what theory says of it


def deep(depth: int = 12, width: int = 256, *, double: bool = False) -> nn.Sequential:
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Linear(6, width), nn.Sigmoid()]
    for _ in range(depth - 1):
        layers += [nn.Linear(width, width), nn.Sigmoid()]
    model = nn.Sequential(*layers, nn.Linear(width, 3))
    return model.double() if double else model


def decades_per_layer(model: nn.Module, batch: Any, skip: int = 3) -> float:
    """Return what one layer changes of the gradient, in decades, past the first ones."""
    flow = propagation_flow(trace(model, batch, batches=1, probe_steps=0))
    assert flow is not None
    lost = [flow.lost(level) for level in flow.levels]
    inner = [value for value in lost if math.isfinite(value)]
    first, last = inner[skip], inner[-2]
    return -(first - last) / (len(inner) - 2 - skip)


@pytest.mark.parametrize(
    ("name", "start", "expected"),
    [
        ("relu", None, 0.5 * math.log10(slope_moment(activation("relu"), 1.0) / 3.0)),
        ("prelu", None, 0.5 * math.log10(slope_moment(leaky_relu(0.25), 1.0) / 3.0)),
        ("relu", "he", 0.0),
        ("leaky-relu", "he", 0.0),
        ("prelu", "he", 0.0),
        ("selu", "lecun", 0.5 * math.log10(1.071575)),
    ],
)
def test_the_gradient_changes_as_theory_predicts(
    name: str, start: str | None, expected: float
) -> None:
    batch = (numbers(64, 6), torch.arange(64) % 3)
    model = treat(deep(), [name] if start is None else [start, name], batch).model
    assert decades_per_layer(model, batch) == pytest.approx(expected, abs=0.02)


def test_double_precision_and_a_single_sample_are_as_good() -> None:
    model = deep(4, 8, double=True)
    treated = treat(model, "prelu", (X[:1].double(), Y[:1])).model
    assert treated(X[:1].double()).dtype is torch.float64


# ---------------------------------------------------------------- settings, optimiser, undo


def test_settings_are_what_is_built() -> None:
    model = deep(3, 8)
    for name, setting, value in (
        ("leaky-relu", "negative_slope", 0.2),
        ("prelu", "slope", 0.1),
        ("elu", "alpha", 0.7),
        ("gelu", "approximate", "tanh"),
    ):
        found = remedy_of(name).assess(case_of(model, (X, Y)))
        assert not isinstance(found, NotApplicable)
        other = dataclasses.replace(found, settings={**found.settings, setting: value})
        act = treat(model, other, (X, Y)).model[1]
        if isinstance(act, nn.PReLU):
            assert float(act.weight.detach()) == pytest.approx(0.1)
        else:
            assert getattr(act, setting) == value


def test_only_the_places_and_functions_asked_for_are_exchanged() -> None:
    model = nn.Sequential(
        nn.Linear(6, 8), nn.Sigmoid(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(),
        nn.Linear(8, 3),
    )  # fmt: skip
    found = remedy_of("relu").assess(case_of(model, (X, Y)))
    assert not isinstance(found, NotApplicable)
    assert found.settings["functions"] == "sigmoid, tanh"
    tanh = dataclasses.replace(found, settings={"functions": "tanh"}, places=("1", "5"))
    kinds = [type(part).__name__ for part in treat(model, tanh, (X, Y)).model]
    assert kinds[1::2] == ["Sigmoid", "Tanh", "ReLU"]


def test_slopes_join_the_group_of_their_layer_and_are_trained() -> None:
    model = Functional()
    groups = [
        {"params": list(model.head.parameters()), "lr": 0.5},
        {"params": list(model.layers.parameters()), "lr": 0.1},
    ]
    treated = treat(model, "prelu", (X, Y), squared, optimizer=torch.optim.SGD(groups))
    assert treated.optimizer is not None
    slope = treated.model.get_parameter("prelu.weight")
    head, layers = treated.optimizer.param_groups
    assert any(p is slope for p in layers["params"])
    assert not any(p is slope for p in head["params"])
    squared(treated.model(X), Y).backward()
    treated.optimizer.step()
    assert float(slope.detach()) != 0.25


def test_two_exchanges_are_not_combined() -> None:
    with pytest.raises(CannotTreatError, match="cannot be combined"):
        treat(deep(2, 8), ["relu", "gelu"], (X, Y))


def test_selu_says_what_it_needs() -> None:
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Dropout(0.1), nn.Linear(8, 3))
    notes = treat(model, "selu", (X, Y)).receipts[0].notes
    assert "lecun" in notes[0]
    assert "AlphaDropout" in notes[1]


def test_calls_without_a_trace_that_confuse_the_count_are_refused() -> None:
    class Logs(Shared):
        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                self.act(x)
            return super().forward(x)

    with pytest.raises(CannotTreatError, match="cannot be told apart"):
        treat(Logs(), "relu", (X, Y), squared)


# ---------------------------------------------------------------- dead units


def half_dead(bias: bool = True) -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(6, 32, bias=bias), nn.ReLU(), nn.Linear(32, 32, bias=bias), nn.ReLU(),
        nn.Linear(32, 3),
    )  # fmt: skip
    with torch.no_grad():
        for layer in (model[0], model[2]):
            if bias:
                layer.bias[:20] = -30.0
            else:
                layer.weight[:20] = -layer.weight[:20].abs()
        if not bias:
            model[0].weight[:20] = 0.0
    return model


def heard(model: nn.Module, x: Tensor) -> list[Tensor]:
    """Return on which share of the batch each unit of each ReLU is heard."""
    seen: list[Tensor] = []
    hooks = [
        part.register_forward_hook(
            lambda *given: seen.append((given[2].movedim(1, 0).flatten(1) > 0).double().mean(1))
        )
        for part in model.modules()
        if isinstance(part, nn.ReLU | nn.ReLU6)
    ]
    with torch.no_grad():
        model(x)
    for hook in hooks:
        hook.remove()
    return seen


ROWS = (numbers(64, 6), torch.arange(64) % 3)


@pytest.mark.parametrize("bias", [True, False])
def test_dead_units_are_heard_on_about_half_of_the_batch_and_others_stay(bias: bool) -> None:
    model = half_dead(bias)
    assert all(float((one[:20] > 0).sum()) == 0 for one in heard(model, ROWS[0]))
    treated = treat(model, "revive-dead-units", ROWS).model
    for one in heard(treated, ROWS[0]):
        assert bool((one[:20] >= 0.25).all() & (one[:20] <= 0.75).all())
        if bias:
            torch.testing.assert_close(one[:20], torch.full_like(one[:20], 0.5))
    for old, new in zip(model, treated, strict=True):
        for before, after in zip(old.parameters(), new.parameters(), strict=True):
            if before.shape[0] == 32:
                assert torch.equal(before[20:], after[20:])
            else:
                assert torch.equal(before, after)


def test_the_share_asked_for_is_reached() -> None:
    found = ReviveDeadUnits(heard=0.25).assess(case_of(half_dead(), ROWS))
    assert not isinstance(found, NotApplicable)
    for one in heard(treat(half_dead(), found, ROWS).model, ROWS[0]):
        torch.testing.assert_close(one[:20], torch.full_like(one[:20], 0.25))


def test_units_that_say_the_same_for_every_sample_get_other_weights() -> None:
    model = half_dead()
    with torch.no_grad():
        model[0].weight[:5] = 0.0
    one = heard(treat(model, "revive-dead-units", ROWS).model, ROWS[0])[0]
    torch.testing.assert_close(one[:20], torch.full_like(one[:20], 0.5))


def test_channels_behind_a_normalisation_get_another_shift() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True),
        nn.Conv2d(8, 8, 3, groups=2), nn.ReLU6(inplace=True), nn.Flatten(), nn.Linear(128, 3),
    )  # fmt: skip
    with torch.no_grad():
        model[1].bias[:3] = -50.0
        model[3].bias[4:] = -20.0
    batch = (numbers(16, 3, 8, 8), Y)
    treated = treat(model, "revive-dead-units", batch)
    assert [edit.place for edit in treated.receipts[0].edits] == ["1.bias", "3.bias"]
    assert all(float(one.min()) > 0.1 for one in heard(treated.model, batch[0]))


def test_a_sound_network_and_a_tiny_batch_are_refused() -> None:
    sound = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    for model, batch, message in (
        (sound, ROWS, "every unit is heard"),
        (half_dead(), (X[:4], Y[:4]), "the batch has 4 samples"),
        (deep(2, 8), ROWS, "no layer feeds a ReLU"),
    ):
        found = ReviveDeadUnits().assess(case_of(model, batch))
        assert isinstance(found, NotApplicable)
        assert message in found.reason


@pytest.mark.slow
def test_a_deep_network_learns_once_its_sigmoids_are_exchanged_and_its_weights_drawn() -> None:
    from tests.treat.remedies.test_normalisations import learnt, sigmoids

    assert learnt(sigmoids(nn.Sigmoid, 30), None, 1e-3) < 0.2
    assert learnt(sigmoids(nn.Sigmoid, 30), ["relu"], 1e-3) < 0.2
    assert learnt(sigmoids(nn.Sigmoid, 30), ["relu", "he"], 1e-3) > 0.7
