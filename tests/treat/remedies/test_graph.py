"""Remedies for gradients that end in a line, and for parameters that nobody steps."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from unvanish import trace
from unvanish.core.prescriptions import Prescription
from unvanish.core.verdicts import NotApplicable
from unvanish.diagnose import diagnose
from unvanish.treat.optimising.gradients import ClipNorm
from unvanish.treat.optimising.wrapper import treated as wrapped
from unvanish.treat.registry import remedy_of
from unvanish.treat.surgery import Surgery
from unvanish.treat.surrogates import StraightThrough
from unvanish.treat.treatment import Treated, case_of, treat


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


ROWS = numbers(32, 6)
LABELS = torch.randint(0, 3, (32,), generator=torch.Generator().manual_seed(1))
BATCH = (ROWS, LABELS)


class Calls(nn.Module):
    """A network whose forward is a function."""

    def __init__(self, forward: Callable[..., Any], **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)
        self._forward = forward

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self._forward(self, *args, **kwargs)


def layers(forward: Callable[..., Any]) -> nn.Module:
    """A network of a body, a middle and a head, whose forward is a function."""
    torch.manual_seed(0)
    return Calls(forward, body=nn.Linear(6, 8), mid=nn.Linear(8, 8), head=nn.Linear(8, 3))


def asked(name: str, model: nn.Module, batch: Any = BATCH, loss: Any = None, **known: Any) -> Any:
    return remedy_of(name).assess(case_of(model, batch, loss, **known))


def reason(name: str, model: nn.Module, batch: Any = BATCH, loss: Any = None, **known: Any) -> str:
    found = asked(name, model, batch, loss, **known)
    assert isinstance(found, NotApplicable), found
    return found.reason


def given(
    name: str, model: nn.Module, batch: Any = BATCH, loss: Any = None, **known: Any
) -> Treated:
    found = asked(name, model, batch, loss, **known)
    assert isinstance(found, Prescription), found
    return treat(model, found, batch, loss, **known)


def gradients(model: nn.Module, batch: Any = BATCH) -> dict[str, Tensor]:
    model.zero_grad()
    F.cross_entropy(model(batch[0]), batch[1]).backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def codes(treated: Treated, batch: Any = BATCH) -> set[str]:
    recording = trace(
        treated.model, batch, treated.loss, optimizer=treated.optimizer, batches=1, probe_steps=0
    )
    return {finding.code for finding in diagnose(recording).findings}


def same(one: dict[str, Tensor], other: dict[str, Tensor], **tolerance: float) -> bool:
    return one.keys() == other.keys() and all(
        torch.allclose(one[name], other[name], **tolerance) for name in one
    )


# ---------------------------------------------------------------- straight-through


STEPS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "round": (torch.round, lambda z: z + (z.round() - z).detach()),
    "round in place": (
        lambda z: (1.0 * z).round_(),
        lambda z: z + (z.round() - z).detach(),
    ),
    "floor": (torch.floor, lambda z: z + (z.floor() - z).detach()),
    "round to tenths": (
        lambda z: torch.round(z, decimals=1),
        lambda z: z + (z.round(decimals=1) - z).detach(),
    ),
    "ceil by its keyword": (
        lambda z: torch.ceil(input=z),
        lambda z: z + (z.ceil() - z).detach(),
    ),
    "sign": (torch.sign, lambda z: z.clamp(-1, 1) + (z.sign() - z.clamp(-1, 1)).detach()),
}


@pytest.mark.parametrize("name", STEPS)
def test_the_gradient_is_that_of_the_estimator(name: str) -> None:
    step, soft = STEPS[name]
    sick = layers(lambda own, x: own.head(step(own.mid(torch.tanh(own.body(x))))))
    twin = layers(lambda own, x: own.head(soft(own.mid(torch.tanh(own.body(x))))))
    treated = given("straight-through", sick)
    assert torch.equal(treated.model(ROWS), sick(ROWS))
    assert same(gradients(treated.model), gradients(twin), rtol=1e-5, atol=1e-7)
    assert "UV205" not in codes(treated)
    treated.undo()
    assert same(gradients(treated.model), gradients(sick), rtol=0.0, atol=0.0)


def test_draws_pass_the_gradient_to_their_probabilities() -> None:
    torch.manual_seed(0)
    sick = layers(lambda own, x: own.head(torch.bernoulli(torch.sigmoid(own.body(x)))))
    treated = given("straight-through", sick)
    assert float(gradients(treated.model)["body.weight"].norm()) > 0.0
    assert set(treated.model(ROWS).shape) == {32, 3}


def test_a_module_that_steps_is_treated_at_its_call() -> None:
    surgery = Surgery(nn.Sequential(nn.Linear(6, 8), nn.Softshrink(50.0), nn.Linear(8, 3)))
    surgery.insert("1", StraightThrough(), "through")
    model = surgery.model
    assert float(gradients(model)["0.weight"].norm()) > 0.0
    surgery.undo()
    assert float(gradients(model)["0.weight"].norm()) == 0.0


def test_the_window_follows_what_enters() -> None:
    wide = layers(lambda own, x: own.head(torch.sign(60.0 * own.body(x))))
    found = asked("straight-through", wide)
    size = float((60.0 * wide.body(ROWS)).detach().square().mean().sqrt())  # type: ignore[operator]
    assert found.settings["window"] == pytest.approx(size, rel=0.06)
    steep = gradients(given("straight-through", wide).model)["body.weight"].norm()
    assert 0.0 < float(steep) < 10.0


def test_a_clamp_lets_back_in_and_not_further_out() -> None:
    sick = layers(lambda own, x: own.head(own.body(x).sub(9.0).clamp(0.0, 1.0)))
    treated = given("straight-through", sick)
    assert torch.equal(treated.model(ROWS), sick(ROWS))
    assert float(gradients(treated.model)["body.weight"].norm()) > 0.0
    part = next(m for m in treated.model.modules() if type(m).__name__ == "Inwards")
    z = torch.tensor([-3.0, 0.5, 3.0, -3.0, 3.0], requires_grad=True)
    part(z.clamp(0.0, 1.0), z).backward(torch.tensor([-1.0, -1.0, 1.0, 1.0, -1.0]))
    assert torch.equal(z.grad, torch.tensor([-1.0, -1.0, 1.0, 0.0, 0.0]))  # type: ignore[arg-type]


def test_estimators_of_the_same_forward_stay_as_they_are() -> None:
    def mixed(own: Any, x: Tensor) -> Tensor:
        x = own.body(x)
        x = x + (x.round() - x).detach()
        return own.head(torch.round(own.mid(x)))

    def whole(own: Any, x: Tensor) -> Tensor:
        x = own.body(x)
        x = x + (x.round() - x).detach()
        z = own.mid(x)
        return own.head(z + (z.round() - z).detach())

    treated = given("straight-through", layers(mixed))
    assert same(gradients(treated.model), gradients(layers(whole)), rtol=1e-5, atol=1e-7)


def test_shared_nested_and_weight_signs() -> None:
    class Binary(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            return F.linear(input, self.weight.sign(), self.bias)

    torch.manual_seed(0)
    shared = Binary(8, 8)
    block = nn.Sequential(nn.Linear(6, 8), shared, nn.Tanh(), shared)
    model = nn.Sequential(block, nn.Linear(8, 3)).double()
    batch = (ROWS.double(), LABELS)
    treated = given("straight-through", model, batch)
    assert torch.equal(treated.model(batch[0]), model(batch[0]))
    assert float(gradients(treated.model, batch)["0.1.weight"].norm()) > 0.0
    assert "UV205" not in codes(treated, batch)


def test_choices_are_pointed_at() -> None:
    torch.manual_seed(0)
    model = Calls(
        lambda own, x: own.head(own.words(own.body(x).argmax(1))),
        body=nn.Linear(6, 8),
        words=nn.Embedding(8, 4),
        head=nn.Linear(4, 3),
    )
    said = reason("straight-through", model)
    assert "test_graph.py:" in said
    assert "gumbel_softmax" in said
    assert "no parameter starves" in reason("straight-through", layers(fine))


def fine(own: Any, x: Tensor) -> Tensor:
    return own.head(torch.relu(own.mid(torch.relu(own.body(x)))))


def test_signs_are_learnt_through() -> None:
    x = numbers(256, 6)
    batch = (x, (x[:, 0] * x[:, 1] > 0).long() + (x[:, 2] > 0).long())
    ends = []
    for treats in (False, True):
        torch.manual_seed(0)
        model: nn.Module = Calls(
            lambda own, x: own.head(torch.sign(own.mid(torch.sign(own.body(x))))),
            body=nn.Linear(6, 24),
            mid=nn.Linear(24, 24),
            head=nn.Linear(24, 3),
        )
        if treats:
            model = given("straight-through", model, batch).model
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        for _ in range(150):
            optimizer.zero_grad()
            F.cross_entropy(model(x), batch[1]).backward()
            optimizer.step()
        ends.append(float((model(x).argmax(1) == batch[1]).float().mean()))
    assert ends[1] > ends[0] + 0.1


# ---------------------------------------------------------------- reattach


def detaches(own: Any, x: Tensor) -> Tensor:
    x = torch.tanh(own.body(x)).detach()
    return own.head(own.mid(x))


def takes_data(own: Any, x: Tensor) -> Tensor:
    x = torch.tanh(own.body(x)).data
    return own.head(own.mid(x))


def switches_off(own: Any, x: Tensor) -> Tensor:
    with torch.no_grad():
        own.calls = getattr(own, "calls", 0) + 1
        scale = x.abs().mean()
    with torch.no_grad():
        x = torch.tanh(own.body(x))
    return own.head(own.mid(x)) / (scale / scale)


def estimates_too(own: Any, x: Tensor) -> Tensor:
    x = torch.tanh(own.body(x)).detach()
    x = own.mid(x)
    return own.head(x + (x.round() - x).detach())


def estimates_at_once(own: Any, x: Tensor) -> Tensor:
    x = torch.tanh(own.body(x)).detach()
    x = x + (x.round() - x).detach()
    return own.head(own.mid(x))


def cuts_twice(own: Any, x: Tensor) -> Tensor:
    x = torch.tanh(own.body(x).detach())
    x = x.data
    return own.head(own.mid(x))


def flows_and_estimates_at_once(own: Any, x: Tensor) -> Tensor:
    x = torch.tanh(own.body(x))
    return own.head(own.mid(x + (x.round() - x).detach()))


def flows(own: Any, x: Tensor) -> Tensor:
    return own.head(own.mid(torch.tanh(own.body(x))))


def flows_and_estimates(own: Any, x: Tensor) -> Tensor:
    x = own.mid(torch.tanh(own.body(x)))
    return own.head(x + (x.round() - x).detach())


@pytest.mark.parametrize(
    ("cut", "whole"),
    [
        (detaches, flows),
        (takes_data, flows),
        (switches_off, flows),
        (estimates_too, flows_and_estimates),
        (estimates_at_once, flows_and_estimates_at_once),
        (cuts_twice, flows),
    ],
)
def test_the_gradient_is_that_of_the_network_without_the_line(
    cut: Callable[..., Any], whole: Callable[..., Any]
) -> None:
    sick = layers(cut)
    treated = given("reattach", sick)
    assert torch.equal(treated.model(ROWS), sick(ROWS))
    assert same(gradients(treated.model), gradients(layers(whole)), rtol=1e-5, atol=1e-7)
    assert "test_graph.py:" in treated.receipts[0].notes[0]
    assert not {"UV501", "UV505"} & codes(treated)
    with torch.no_grad():
        assert not treated.model(ROWS).requires_grad
    treated.undo()
    assert gradients(treated.model).keys() == gradients(sick).keys()


def test_a_decorated_method_of_a_nested_block() -> None:
    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Linear(6, 8), nn.Tanh())

        @torch.no_grad()
        def embed(self, x: Tensor) -> Tensor:
            return 2.0 * self.net(x)

        def forward(self, x: Tensor) -> Tensor:
            return self.embed(x)

    torch.manual_seed(0)
    model = nn.Sequential(nn.Sequential(Encoder()), nn.Linear(8, 3))
    treated = given("reattach", model)
    assert treated.prescriptions[0].places == ("0.0",)
    assert float(gradients(treated.model)["0.0.net.0.weight"].norm()) > 0.0


def test_every_step_of_a_loop_of_any_length() -> None:
    def loop(own: Any, x: Tensor) -> Tensor:
        state = x.new_zeros(len(x), 8)
        for step in range(x.shape[1]):
            state = own.cell(x[:, step], state.detach())
        return own.head(state)

    torch.manual_seed(0)
    model = Calls(loop, cell=nn.GRUCell(4, 8), head=nn.Linear(8, 3))
    batch = (numbers(8, 6, 4), LABELS[:8])
    treated = given("reattach", model, batch)
    assert "UV301" not in codes(treated, batch)
    longer = numbers(8, 17, 4).requires_grad_()
    treated.model(longer).sum().backward()
    assert longer.grad is not None
    assert float(longer.grad[:, 0].abs().sum()) > 0.0


def test_what_cannot_be_met_is_pointed_at() -> None:
    def exports(own: Any, x: Tensor) -> Tensor:
        return own.head(own.mid(torch.from_numpy(own.body(x).detach().numpy())))

    def infers(own: Any, x: Tensor) -> Tensor:
        with torch.inference_mode():
            x = own.body(x)
        return own.head(own.mid(x.clone()))

    def in_the_loss(output: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(output.detach().requires_grad_(), target)

    for model, loss in (
        (layers(exports), None),
        (layers(infers), None),
        (layers(fine), in_the_loss),
    ):
        assert "test_graph.py:" in reason("reattach", model, BATCH, loss)
    assert "reaches every" in reason("reattach", layers(fine))


def test_a_target_network_is_left_alone() -> None:
    def two(own: Any, x: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = own.target(x)
        return own.head(own.online(x) - wanted)

    def part() -> nn.Module:
        return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 8))

    torch.manual_seed(0)
    model = Calls(two, online=part(), target=part(), head=nn.Linear(8, 3))
    assert "on purpose" in reason("reattach", model)


# ---------------------------------------------------------------- checkpoint


def checkpointed(own: Any, x: Tensor) -> Tensor:
    x = x.mul_(1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return own.head(torch.relu(own.mid(checkpoint(own.body, x, use_reentrant=own.reentrant))))


def test_a_reentrant_checkpoint_passes_the_gradient() -> None:
    sick, twin = layers(checkpointed), layers(checkpointed)
    sick.reentrant, twin.reentrant = True, False  # type: ignore[assignment]
    assert "body.weight" not in gradients(sick)
    treated = given("checkpoint-gradient", sick)
    assert torch.equal(treated.model(ROWS), sick(ROWS))
    assert same(gradients(treated.model), gradients(twin), rtol=1e-5, atol=1e-7)
    assert not {"UV501", "UV505"} & codes(treated)
    assert "use_reentrant=False" in treated.receipts[0].notes[0]


def test_a_checkpoint_that_reads_words_is_pointed_at() -> None:
    def words(own: Any, x: Tensor) -> Tensor:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return own.head(checkpoint(own.words, x, use_reentrant=True))

    torch.manual_seed(0)
    model = Calls(words, words=nn.Embedding(9, 8), head=nn.Linear(8, 3))
    said = reason("checkpoint-gradient", model, (LABELS, LABELS))
    assert "use_reentrant=False" in said
    assert "test_graph.py:" in said
    assert "no reentrant checkpoint" in reason("checkpoint-gradient", layers(fine))


# ---------------------------------------------------------------- parameters


def test_what_is_missing_joins_its_neighbours() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(),
        nn.Linear(8, 3),
    )  # fmt: skip
    held = [model[i] for i in (0, 4, 6)]
    optimizer = torch.optim.AdamW(
        [
            {"params": [part.weight for part in held], "lr": 1e-3, "weight_decay": 0.1},
            {"params": [part.bias for part in held], "lr": 2e-3, "weight_decay": 0.0},
        ]
    )
    treated = given("train-parameter", model, optimizer=optimizer)
    assert treated.optimizer is not None
    decayed, plain = treated.optimizer.param_groups
    names = {id(p): n for n, p in treated.model.named_parameters()}
    assert [names[id(p)] for p in decayed["params"]][-1] == "2.weight"
    assert [names[id(p)] for p in plain["params"]][-1] == "2.bias"
    assert "UV504" not in codes(treated)
    before = treated.model.get_parameter("2.weight").detach().clone()
    gradients(treated.model)
    treated.optimizer.step()
    assert not torch.equal(before, treated.model.get_parameter("2.weight"))
    treated.undo()
    assert [len(g["params"]) for g in treated.optimizer.param_groups] == [3, 3]
    assert treated.model.get_parameter("2.weight") not in treated.optimizer.state


def test_the_optimiser_of_another_network_is_given_this_one() -> None:
    old, model = layers(fine), layers(fine)
    optimizer = torch.optim.Adam(
        [
            {"params": [p for p in old.parameters() if p.ndim > 1], "lr": 1e-3},
            {"params": [p for p in old.parameters() if p.ndim == 1], "lr": 2e-3},
        ]
    )
    gradients(old)
    optimizer.step()
    inner = wrapped(optimizer, ClipNorm(1.0))
    treated = treat(model, "train-parameter", BATCH, optimizer=inner, in_place=True)
    assert [len(g["params"]) for g in optimizer.param_groups] == [3, 3]
    assert all(p.ndim == 1 for p in optimizer.param_groups[1]["params"])
    assert {id(p) for g in optimizer.param_groups for p in g["params"]} == {
        id(p) for p in model.parameters()
    }
    treated.undo()
    assert {id(p) for g in optimizer.param_groups for p in g["params"]} == {
        id(p) for p in old.parameters()
    }
    assert len(optimizer.state) == 6


class Plain(nn.Module):
    """Layers and a temperature that nobody registered."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = [nn.Linear(6, 8), nn.Linear(8, 8)]
        self.heads = {"a": nn.Linear(8, 3)}
        self.temperature = torch.ones(1, requires_grad=True)
        self.scale = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.scale(self.heads["a"](x) * self.temperature)


def test_layers_in_lists_and_dicts_are_registered() -> None:
    torch.manual_seed(0)
    model = Plain()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    own = dict(vars(model))
    treated = given("train-parameter", model, optimizer=optimizer)
    names = {name for name, _ in treated.model.named_parameters()}
    assert {"layers.0.weight", "heads.a.bias", "temperature", "scale.weight"} <= names
    assert treated.optimizer is not None
    assert sum(len(g["params"]) for g in treated.optimizer.param_groups) == len(names) == 9
    assert torch.equal(treated.model(ROWS), model(ROWS))
    assert "UV504" not in codes(treated)
    treat(model, "train-parameter", BATCH, optimizer=optimizer, in_place=True).undo()
    assert list(vars(model)) == list(own)
    assert all(vars(model)[key] is own[key] for key in ("layers", "heads", "temperature"))


class DrawsAnew(nn.Module):
    """A layer that every forward pass makes, and one that a plain list holds."""

    def __init__(self, *, beside: bool) -> None:
        super().__init__()
        self.first, self.beside = nn.Linear(6, 8), [nn.Linear(8, 8)] if beside else []
        self.cache: list[nn.Module] = []

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.first(x))
        for layer in self.beside:
            x = torch.tanh(layer(x))
        self.cache = [nn.Linear(8, 3)]
        return self.cache[0](x)


def test_a_layer_that_is_drawn_anew_is_not_given_to_an_optimiser() -> None:
    torch.manual_seed(0)
    model = DrawsAnew(beside=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    said = reason("train-parameter", model, optimizer=optimizer)
    assert "made anew" in said
    assert "test_graph.py" in said
    assert "__init__" in said


def test_what_lasts_is_registered_beside_what_is_drawn_anew() -> None:
    torch.manual_seed(0)
    model = DrawsAnew(beside=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    assert asked("train-parameter", model, optimizer=optimizer).places == ("beside",)
    treated = treat(model, "train-parameter", BATCH, optimizer=optimizer)
    names = {name for name, _ in treated.model.named_parameters()}
    assert names == {"first.weight", "first.bias", "beside.0.weight", "beside.0.bias"}


def test_what_is_held_and_what_is_meant_is_left_alone() -> None:
    model = layers(fine)
    assert "no optimiser" in reason("train-parameter", model)
    whole = torch.optim.SGD(model.parameters(), lr=0.1)
    assert "holds every" in reason("train-parameter", model, optimizer=whole)
    probe = torch.optim.SGD(model.head.parameters(), lr=0.1)  # type: ignore[union-attr]
    with torch.no_grad():
        for part in (model.body, model.mid):
            part.weight.mul_(3.0)  # type: ignore[operator,union-attr]
    said = reason("train-parameter", model, optimizer=probe)
    assert "add_param_group" in said


def numbers_of(values: Tensor) -> list[float]:
    return [value.item() for value in values]


def opinions(net: Any, x: Tensor) -> Tensor:
    return net.head(torch.tensor(numbers_of(net.body(x).mean(1)))[:, None].expand(-1, 8))


def nested(net: Any, x: Tensor) -> Tensor:
    rows = [[value.item(), 2.0 * value.item()] * 4 for value in net.body(x).mean(1)]
    return net.head(torch.as_tensor(rows, dtype=torch.float64).float())


def listed(net: Any, x: Tensor) -> Tensor:
    rows = torch.relu(net.body(x)).tolist()
    return net.head(torch.tensor([[2.0 * value for value in row] for row in rows]))


def temperature(net: Any, x: Tensor) -> Tensor:
    heat = net.body(x).abs().mean().item()
    if heat > 100.0:
        heat = 100.0
    return net.head(x.repeat(1, 2)[:, :8]) / max(heat, 0.1)


@pytest.mark.parametrize("forward", [opinions, nested, listed, temperature])
def test_numbers_of_a_tensor_go_on_with_their_gradient(forward: Callable[..., Any]) -> None:
    model = layers(forward)
    treated = treat(model, "reattach", BATCH)
    out = treated.model(ROWS)
    assert torch.equal(out, model(ROWS))
    F.cross_entropy(out, LABELS).backward()
    grad = treated.model.body.weight.grad
    assert grad is not None
    assert bool(grad.count_nonzero())
    assert any(".item()" in note or ".tolist()" in note for note in treated.receipts[0].notes)
    treated.undo()
    treated.model.zero_grad()
    F.cross_entropy(treated.model(ROWS), LABELS).backward()
    assert treated.model.body.weight.grad is None


def filled(net: Any, x: Tensor) -> Tensor:
    return net.head(torch.full((len(x), 8), net.body(x).mean().item()))


def test_numbers_that_have_to_be_numbers_are_refused_with_the_line() -> None:
    assert "test_graph.py" in reason("reattach", layers(filled))
