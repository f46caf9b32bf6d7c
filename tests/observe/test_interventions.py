"""Swaps do what they say, to the last digit, and leave the network as it was."""

from __future__ import annotations

import logging
import math
from importlib import import_module

import pytest
import torch
import torch.nn.functional as F
from tests.observe.patients import PATIENTS
from tests.observe.test_oath import bits, flags, generators, global_hooks, state_of
from torch import Tensor, nn

from unvanish.core.counterfactuals import answered
from unvanish.core.interventions import Intervention, Question, Swap
from unvanish.explain import propose
from unvanish.observe import trace
from unvanish.observe.guard import seed_everything
from unvanish.observe.interventions import intervene


class Deep(nn.Module):
    """A network in double precision that loses a good decade, with a bit of everything."""

    def __init__(self, steps=5) -> None:
        super().__init__()
        self.first = nn.Linear(8, 8)
        self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(steps))
        self.gate = nn.Linear(8, 8)
        self.double()

    activation = staticmethod(torch.tanh)
    around = False
    gated = staticmethod(lambda x, g: x * g)
    softmax = staticmethod(lambda x: torch.softmax(x, -1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for layer in self.layers:
            y = self.activation(layer(x))
            x = y + (x - x.detach()) if self.around else y
        x = self.gated(x, torch.sigmoid(self.gate(x)))
        return self.softmax(x)


def straight(forward, backward):
    """Return a function with one value and the Jacobian of another."""

    def function(*args):
        like = backward(*args)
        return like + (forward(*args) - like).detach()

    return function


@pytest.fixture
def network():
    torch.manual_seed(0)
    model = Deep()
    return model, (torch.randn(16, 8).double(), torch.randn(16, 8).double())


def flow(model, batch, seed=0):
    """Measure by autograd alone what `intervene` measures: decades from outputs to first layer."""
    kept = []
    handle = model.first.register_forward_hook(lambda _, __, out: kept.append(out))
    seed_everything(seed)
    output = model(batch[0])
    handle.remove()
    seed_everything(seed)
    signs = torch.randint(0, 2, output.shape).mul_(2).sub_(1).to(output.dtype)
    (grad,) = torch.autograd.grad(output, kept, signs)
    return math.log10(float(grad.norm() / signs.norm()))


def place(recording, op, path=None):
    return [
        s.index for s in recording.signal_sites() if s.op == op and (path is None or s.path == path)
    ]


def recorded(model, batch):
    return trace(model, batch, F.mse_loss, probe_steps=0)


def measured(model, batch, recording, *interventions):
    (target,) = place(recording, "linear", "first")
    return intervene(
        model,
        batch,
        interventions,
        Question(target=target),
        recording=recording,
        loss=F.mse_loss,
    )


def check(network, intervention, **swapped):
    """Compare an intervention with a network that was written so, run by autograd alone."""
    model, batch = network
    recording = recorded(model, batch)
    (result,) = measured(model, batch, recording, intervention(recording))
    assert result.reason == ""
    assert result.before == pytest.approx(flow(model, batch), abs=1e-12)
    for name, function in swapped.items():
        setattr(model, name, function)
    assert result.after == pytest.approx(flow(model, batch), abs=1e-12)
    assert abs(result.after - result.before) > 0.01


def test_a_jacobian_becomes_a_multiple_of_the_identity(network):
    def swap(recording):
        sites = place(recording, "tanh")
        sources = [e.producer for s in sites for e in recording.edges if e.consumer == s]
        return Intervention(
            swap=Swap.JACOBIAN,
            what="",
            sites=tuple(sites),
            sources=tuple(sources),
            values=(0.5,) * len(sites),
        )

    check(network, swap, activation=straight(torch.tanh, lambda x: 0.5 * x))


def test_a_jacobian_of_several_steps_is_swapped_as_a_whole(network):
    def swap(recording):
        tanhs = place(recording, "tanh")
        return Intervention(
            swap=Swap.JACOBIAN, what="", sites=(tanhs[-1],), sources=(tanhs[0],), values=(1.0,)
        )

    model, batch = network
    recording = recorded(model, batch)
    (result,) = measured(model, batch, recording, swap(recording))

    class Short(Deep):
        def forward(self, x: Tensor) -> Tensor:
            first = torch.tanh(self.layers[0](self.first(x)))
            x = first
            for layer in self.layers[1:]:
                x = torch.tanh(layer(x))
            x = first + (x - first).detach()
            return self.softmax(self.gated(x, torch.sigmoid(self.gate(x))))

    short = Short()
    short.load_state_dict(model.state_dict())
    assert result.after == pytest.approx(flow(short, batch), abs=1e-12)


def test_a_gain_is_multiplied(network):
    def swap(recording):
        sites = [i for n in range(5) for i in place(recording, "linear", f"layers.{n}")]
        return Intervention(swap=Swap.GAIN, what="", sites=tuple(sites), values=(2.0,) * 5)

    model, batch = network
    recording = recorded(model, batch)
    (result,) = measured(model, batch, recording, swap(recording))
    assert result.after - result.before == pytest.approx(5 * math.log10(2.0), abs=1e-12)


def test_a_skip_is_added(network):
    def swap(recording):
        tanhs = place(recording, "tanh")
        (first,) = place(recording, "linear", "first")
        return Intervention(
            swap=Swap.SKIP,
            what="",
            sites=tuple(tanhs),
            sources=(first, *tanhs[:-1]),
            values=(1.0,) * len(tanhs),
        )

    check(network, swap, around=True)


def test_a_gate_opens_and_keeps_its_own_slope(network):
    def swap(recording):
        (site,) = place(recording, "mul")
        tanh = place(recording, "tanh")[-1]
        return Intervention(swap=Swap.GATE, what="", sites=(site,), sources=(tanh,), values=(1.0,))

    opened = straight(lambda x, g: x * g, lambda x, g: x + x.detach() * g)
    check(network, swap, gated=opened)


def test_a_softmax_becomes_even(network):
    def swap(recording):
        return Intervention(
            swap=Swap.SOFTMAX,
            what="",
            sites=tuple(place(recording, "softmax")),
            values=(1.0,),
        )

    network[0].first.weight.data.mul_(5.0)
    network[0].gate.bias.data.fill_(4.0)
    network[0].gated = lambda x, g: 6.0 * x * g
    even = straight(
        lambda x: torch.softmax(x, -1), lambda x: (x - x.mean(-1, keepdim=True)) / x.shape[-1]
    )
    check(network, swap, softmax=even)


def test_dead_units_are_switched_on_and_no_others(network):
    model, _ = network
    model.activation = torch.relu
    for layer in model.layers:
        layer.bias.data[:4] = -50.0

    def swap(recording):
        sites = place(recording, "relu")
        return Intervention(
            swap=Swap.DEAD_SLOPE, what="", sites=tuple(sites), values=(1.0,) * len(sites)
        )

    def revived(z):
        dead = (z <= 0).all(0)
        return torch.where(dead, z, torch.relu(z))

    check(network, swap, activation=straight(torch.relu, revived))


def test_parameters_are_scaled_and_the_network_runs_again(network):
    model, batch = network
    recording = recorded(model, batch)
    names = tuple(f"layers.{n}.weight" for n in range(5))
    swap = Intervention(swap=Swap.PARAMETERS, what="", parameters=names, values=(2.0,) * 5)
    (result,) = measured(model, batch, recording, swap)
    for layer in model.layers:
        layer.weight.data.mul_(2.0)
    assert result.after == pytest.approx(flow(model, batch), abs=1e-12)


def test_inputs_are_standardised(network):
    model, (x, y) = network
    x = 100.0 * x + 30.0
    recording = recorded(model, (x, y))
    (result,) = measured(model, (x, y), recording, Intervention(swap=Swap.INPUT, what=""))
    standard = (x - x.mean()) / x.std()
    assert result.after == pytest.approx(flow(model, (standard, y)), abs=1e-12)


def test_layers_are_normalised(network):
    model, batch = network
    recording = recorded(model, batch)
    sites = tuple(i for n in range(5) for i in place(recording, "linear", f"layers.{n}"))
    swap = Intervention(swap=Swap.NORMALISE, what="", sites=sites)
    (result,) = measured(model, batch, recording, swap)
    for layer in model.layers:
        layer.register_forward_hook(
            lambda _, __, out: (out - out.mean(0)) / (out.var(0, unbiased=False) + 1e-5).sqrt()
        )
    assert result.after == pytest.approx(flow(model, batch), abs=1e-9)


def test_several_swaps_never_add_up(network):
    model, batch = network
    recording = recorded(model, batch)
    sites = tuple(place(recording, "linear", "layers.1"))
    swap = Intervention(swap=Swap.GAIN, what="", sites=sites, values=(3.0,))
    again = Intervention(
        swap=Swap.PARAMETERS, what="", parameters=("layers.1.weight",), values=(3.0,)
    )
    one, two, three, four = measured(model, batch, recording, swap, again, swap, again)
    assert (one, two) == (three, four)
    assert one.before == two.before


def test_what_lies_beyond_every_type_is_measured_all_the_same():
    torch.manual_seed(0)
    layers = [m for _ in range(400) for m in (nn.Linear(8, 8), nn.Sigmoid())]
    model, batch = nn.Sequential(*layers), (torch.randn(4, 8), torch.randn(4, 8))
    recording = recorded(model, batch)
    sites = tuple(place(recording, "linear"))
    swap = Intervention(swap=Swap.GAIN, what="", sites=sites, values=(0.1,) * len(sites))
    (result,) = intervene(
        model,
        batch,
        [swap],
        Question(target=sites[0]),
        recording=recording,
        loss=F.mse_loss,
    )
    assert result.before < -330.0
    assert result.after == pytest.approx(result.before - 399.0, abs=1e-6)


def test_precision_compares_the_networks_own_type_with_float64():
    torch.manual_seed(0)
    layers = [m for _ in range(60) for m in (nn.Linear(8, 8), nn.Sigmoid())]
    model, batch = nn.Sequential(*layers), (torch.randn(4, 8), torch.randn(4, 8))
    recording = recorded(model, batch)
    (target, *_) = place(recording, "linear")
    (result,) = intervene(
        model,
        batch,
        [Intervention(swap=Swap.PRECISION, what="")],
        Question(target=target),
        recording=recording,
        loss=F.mse_loss,
    )
    assert result.before == -math.inf
    assert result.after == pytest.approx(-59 * 0.85, abs=3.0)


@pytest.mark.parametrize(
    ("swap", "reason"),
    [
        (Intervention(swap=Swap.SKIP, what="", sites=(2,), sources=(2,)), "no single way"),
        (
            Intervention(swap=Swap.PARAMETERS, what="", parameters=("gone",), values=(0.0,)),
            "the copy has no parameter gone",
        ),
        (Intervention(swap=Swap.NORMALISE, what="", sites=(2,)), "is no module of its own"),
        (Intervention(swap=Swap.SOFTMAX, what="", sites=(2,)), "along which axis"),
    ],
)
def test_a_swap_that_does_not_fit_says_why(network, swap, reason):
    model, batch = network
    recording = recorded(model, batch)
    (result,) = measured(model, batch, recording, swap)
    assert reason in result.reason
    assert math.isnan(result.after)


def test_a_network_that_takes_another_way_each_time_says_so():
    class Restless(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            calls.append(1)
            for _ in range(len(calls)):
                x = torch.sigmoid(self.layer(x))
            return x

    calls: list[int] = []
    model, batch = Restless(), (torch.randn(4, 4), torch.randn(4, 4))
    recording = recorded(model, batch)
    (result,) = intervene(
        model,
        batch,
        [Intervention(swap=Swap.INPUT, what="")],
        Question(target=0),
        recording=recording,
        loss=F.mse_loss,
    )
    assert result.reason == "the network takes another way each time it runs"


@pytest.mark.parametrize("name", PATIENTS)
def test_swapping_changes_nothing(name, caplog):
    caplog.set_level(logging.CRITICAL)
    model, batch, options = PATIENTS[name]()
    if not name.startswith(("lazy", "sparse")):
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, 0.25)
    recording = trace(model, batch, **options)
    layers = [s.index for s in recording.signal_sites() if s.weights]
    if not layers:
        pytest.skip("no layer to ask about")
    question = Question(target=layers[0])
    proposals = propose(recording, question)
    wanted = [one.intervention for one in proposals if one.intervention is not None]
    before = state_of(model), generators(), global_hooks(), flags(), bits(batch)
    found = intervene(model, batch, wanted, question, recording=recording, loss=options.get("loss"))
    after = state_of(model), generators(), global_hooks(), flags(), bits(batch)
    for was, now in zip(before, after, strict=True):
        assert was == now
    for one in answered(proposals, found):
        assert one.reason or not math.isnan(one.before)


def test_large_networks_are_copied_in_their_own_type(network, monkeypatch):
    model, batch = network
    model.float()
    batch = tuple(t.float() for t in batch)
    recording = recorded(model, batch)
    sites = tuple(place(recording, "linear", "layers.1"))
    swap = Intervention(swap=Swap.GAIN, what="", sites=sites, values=(3.0,))
    (wide,) = measured(model, batch, recording, swap)
    monkeypatch.setattr(import_module("unvanish.observe.interventions"), "_LARGEST_WIDE", 0)
    monkeypatch.setattr(nn.Module, "double", None)
    (narrow,) = measured(model, batch, recording, swap)
    assert narrow.after == pytest.approx(wide.after, abs=1e-5)


def test_a_lack_of_memory_is_a_reason_and_no_error(network, monkeypatch):
    model, batch = network
    recording = recorded(model, batch)

    def refuse(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(import_module("unvanish.observe.interventions"), "look_forward", refuse)
    (result,) = measured(model, batch, recording, Intervention(swap=Swap.INPUT, what=""))
    assert result.reason == "memory ran out"


@pytest.mark.parametrize("largest_kept", [0, 2**24])
def test_one_copy_serves_all_runs(network, monkeypatch, largest_kept):
    model, batch = network
    recording = recorded(model, batch)
    monkeypatch.setattr(
        import_module("unvanish.observe.interventions"), "_LARGEST_KEPT", largest_kept
    )
    names = tuple(name for name, _ in model.named_parameters())
    swaps = [
        Intervention(swap=Swap.PARAMETERS, what="", parameters=names, values=(f,) * len(names))
        for f in (1.0, 3.0, 1.0)
    ]
    same, larger, again = measured(model, batch, recording, *swaps)
    assert same.after == again.after == same.before
    assert larger.after != same.after


def test_swaps_beyond_the_budget_say_that_they_were_left_out(network, monkeypatch):
    model, batch = network
    recording = recorded(model, batch)
    monkeypatch.setattr(import_module("unvanish.observe.interventions"), "_MOST_PASSES", 2)
    first, second = measured(
        model, batch, recording, *2 * [Intervention(swap=Swap.INPUT, what="standardised inputs")]
    )
    assert first.reason == ""
    assert second.reason.startswith("left out")
