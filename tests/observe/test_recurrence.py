"""Loops over time are found however they are written; loops over depth are not."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from unvanish.core.glossary import Quantity
from unvanish.core.records import Site
from unvanish.observe.tracing import trace

STEPS, WIDTH = 9, 8

Forward = Callable[["Net", Tensor], Tensor]


class Net(nn.Module):
    """Any loop, with a linear layer behind it."""

    def __init__(self, forward: Forward, **modules: Any) -> None:
        super().__init__()
        self._inside = forward
        for name, module in modules.items():
            setattr(self, name, module)
        self.head = nn.Linear(WIDTH, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self._inside(self, x))


def loop(step: Callable[[Net, Tensor, Tensor], Tensor]) -> Forward:
    def forward(net: Net, x: Tensor) -> Tensor:
        state = torch.zeros(len(x), WIDTH)
        for t in range(x.shape[1]):
            state = step(net, x[:, t], state)
        return state

    return forward


def linear() -> nn.Linear:
    return nn.Linear(WIDTH, WIDTH)


def calls(net: nn.Module, x: Tensor | None = None) -> dict[tuple[str, ...], list[Site]]:
    """Return the calls of each recurrence that was found, by its weights."""
    torch.manual_seed(0)
    x = torch.randn(6, STEPS, WIDTH) if x is None else x
    recording = trace(net, (x, torch.randint(0, 4, (6,))), probe_steps=0)
    found: dict[tuple[str, ...], list[Site]] = {}
    for site in recording.sites:
        if site in recording[Quantity.LOG10_LAST_STEP_GRAD_RMS]:
            found.setdefault(site.weights, []).append(site)
    return found


def gru_by_hand(net: Net, x: Tensor, state: Tensor) -> Tensor:
    r = torch.sigmoid(net.reset_x(x) + net.reset_h(state))
    z = torch.sigmoid(net.update_x(x) + net.update_h(state))
    return z * state + (1 - z) * torch.tanh(net.new_x(x) + net.new_h(r * state))


def fed_with_its_own_answers(net: Net, x: Tensor) -> Tensor:
    state, token = torch.zeros(len(x), WIDTH), x[:, 0]
    for _ in range(STEPS):
        state = net.cell(token, state)
        token = F.one_hot(state.argmax(1), WIDTH).float()
    return state


def sliced_behind_a_layer(net: Net, x: Tensor) -> Tensor:
    driven, state = net.enter(x), torch.zeros(len(x), WIDTH)
    for t in range(STEPS):
        state = torch.tanh(driven[:, t] + net.turn(state))
    return state


def unbound(net: Net, x: Tensor) -> Tensor:
    state = torch.zeros(len(x), WIDTH)
    for step in x.unbind(1):
        state = net.cell(step, state)
    return state


TIME = {
    "cell": Net(loop(lambda n, x, h: n.cell(x, h)), cell=nn.RNNCell(WIDTH, WIDTH)),
    "gru cell": Net(loop(lambda n, x, h: n.cell(x, h)), cell=nn.GRUCell(WIDTH, WIDTH)),
    "slices from one call": Net(unbound, cell=nn.RNNCell(WIDTH, WIDTH)),
    "two linear layers": Net(
        loop(lambda n, x, h: torch.tanh(n.enter(x) + n.turn(h))), enter=linear(), turn=linear()
    ),
    "one layer on a concatenation": Net(
        loop(lambda n, x, h: torch.tanh(n.turn(torch.cat([x, h], 1)))),
        turn=nn.Linear(2 * WIDTH, WIDTH),
    ),
    "orthogonal by parametrisation": Net(
        loop(lambda n, x, h: torch.tanh(x + n.turn(h))), turn=parametrizations.orthogonal(linear())
    ),
    "gates by hand": Net(
        loop(gru_by_hand),
        **{f"{g}_{p}": linear() for g in ("reset", "update", "new") for p in "xh"},
    ),
    "slices behind a layer": Net(sliced_behind_a_layer, enter=linear(), turn=linear()),
    "its own answers": Net(fed_with_its_own_answers, cell=nn.GRUCell(WIDTH, WIDTH)),
}


@pytest.mark.parametrize("name", TIME)
def test_a_loop_over_time_is_found_once(name: str) -> None:
    found = calls(TIME[name])
    assert len(found) == 1
    (sites,) = found.values()
    assert len(sites) == STEPS
    assert [site.call for site in sites] == list(range(STEPS))


def test_tokens_that_are_embedded_inside_the_loop_are_input() -> None:
    net = Net(
        loop(lambda n, x, h: torch.tanh(n.embed(x) + n.turn(h))),
        embed=nn.Embedding(7, WIDTH),
        turn=linear(),
    )
    assert len(calls(net, torch.randint(0, 7, (6, STEPS)))) == 1


def diffused(net: Net, x: Tensor) -> Tensor:
    state = x[:, 0]
    for _ in range(STEPS):
        state = torch.tanh(net.turn(state)) + 0.1 * torch.randn_like(state)
    return state


def integrated(net: Net, x: Tensor) -> Tensor:
    state = x[:, 0]
    for k in range(STEPS):
        time = torch.full((len(x), 1), k / STEPS)
        state = state + net.turn(torch.cat([state, time], 1)) / STEPS
    return state


def settled(net: Net, x: Tensor) -> Tensor:
    given, state = net.enter(x[:, 0]), torch.zeros(len(x), WIDTH)
    for _ in range(STEPS):
        state = torch.tanh(net.turn(state) + net.given(given))
    return state


def tied(net: Net, x: Tensor) -> Tensor:
    for _ in range(STEPS):
        x = net.layer(x)
    return x.mean(1)


def passed_on(net: Net, x: Tensor) -> Tensor:
    near, state = (torch.rand(len(x), len(x)) < 0.3).float(), x[:, 0]
    for _ in range(STEPS):
        state = net.cell(near @ state, state)
    return state


DEPTH = {
    "noise": Net(diffused, turn=linear()),
    "solver of an ODE": Net(integrated, turn=nn.Linear(WIDTH + 1, WIDTH)),
    "equilibrium": Net(settled, enter=linear(), turn=linear(), given=linear()),
    "tied transformer": Net(tied, layer=nn.TransformerEncoderLayer(WIDTH, 2, 16, batch_first=True)),
    "messages in a graph": Net(passed_on, cell=nn.GRUCell(WIDTH, WIDTH)),
    "one layer for all steps": Net(
        lambda n, x: torch.stack([n.turn(x[:, t]) for t in range(STEPS)]).sum(0), turn=linear()
    ),
}


@pytest.mark.parametrize("name", DEPTH)
def test_a_loop_that_turns_one_input_over_is_no_time(name: str) -> None:
    assert not calls(DEPTH[name])


def faded(net: Net, x: Tensor) -> Tensor:
    state = torch.zeros(len(x), WIDTH)
    for step in net.enter(x).unbind(1):
        state = 0.5 * state + 0.5 * step
    return state


def interpolated(net: Net, x: Tensor) -> Tensor:
    state = torch.zeros(len(x), WIDTH)
    for step in net.enter(x).unbind(1):
        state = torch.lerp(step, state, 0.5)
    return state


def selective(net: Net, x: Tensor) -> Tensor:
    keep = torch.sigmoid(net.gate(x))
    state = torch.zeros(len(x), WIDTH)
    for t, step in enumerate(net.enter(x).unbind(1)):
        state = keep[:, t] * state + step
    return state


def spiking(net: Net, x: Tensor) -> Tensor:
    state = torch.zeros(len(x), WIDTH)
    for t in range(x.shape[1]):
        state = 0.9 * state + net.enter(x[:, t])
        state = state - (state > 1.0).float()
    return state


WITHOUT_A_MATRIX = {
    "a leaky integrator": Net(faded, enter=linear()),
    "interpolation": Net(interpolated, enter=linear()),
    "a gate from the input": Net(selective, enter=linear(), gate=linear()),
    "spikes": Net(spiking, enter=linear()),
}


@pytest.mark.parametrize("name", WITHOUT_A_MATRIX)
def test_a_state_that_no_matrix_multiplies_is_found_once(name: str) -> None:
    found = calls(WITHOUT_A_MATRIX[name])
    assert list(found) == [()]
    assert len(found[()]) in (STEPS - 1, STEPS)


def summed(net: Net, x: Tensor) -> Tensor:
    total = torch.zeros(len(x), WIDTH)
    for step in net.enter(x).unbind(1):
        total = total + step
    return total


def decoded(net: Net, x: Tensor) -> Tensor:
    state, seen = x[:, 0], []
    for layer in net.down:
        state = torch.relu(layer(state))
        seen.append(state)
    for layer in net.up:
        state = torch.relu(layer(state)) + seen.pop()
    return state


def conditioned(net: Net, x: Tensor) -> Tensor:
    state = x[:, 0]
    for layer, extra in zip(net.down, net.enter(x[:, 1]).split(WIDTH, 1), strict=True):
        state = torch.tanh(layer(state)) + extra
    return state


def layers() -> nn.ModuleList:
    return nn.ModuleList(linear() for _ in range(STEPS))


NO_MEMORY = {
    "a running sum": Net(summed, enter=linear()),
    "skips of an encoder": Net(decoded, down=layers(), up=layers()),
    "a piece of condition at each layer": Net(
        conditioned, down=layers(), enter=nn.Linear(WIDTH, STEPS * WIDTH)
    ),
}


@pytest.mark.parametrize("name", NO_MEMORY)
def test_sums_over_layers_and_sums_that_keep_all_are_no_memory(name: str) -> None:
    assert calls(NO_MEMORY[name]) == {}


def test_both_directions_and_every_layer_are_recurrences_of_their_own() -> None:
    net = Net(
        lambda n, x: n.rnn(x)[0][:, -1, :WIDTH],
        rnn=nn.LSTM(WIDTH, WIDTH, 2, batch_first=True, bidirectional=True),
    )
    found = calls(net)
    assert {weights[0] for weights in found} == {
        f"rnn.weight_hh_l{layer}{way}" for layer in (0, 1) for way in ("", "_reverse")
    }
    assert all(len(sites) == STEPS for sites in found.values())


def test_a_layer_that_reads_two_sequences_forgets_each_alone() -> None:
    net = Net(
        lambda n, x: n.rnn(x)[0][:, -1] * n.rnn(x.flip(2))[0][:, -1],
        rnn=nn.RNN(WIDTH, WIDTH, batch_first=True),
    )
    (sites,) = calls(net).values()
    assert len(sites) == 2 * STEPS


def test_truncated_backpropagation_is_as_long_as_it_is() -> None:
    def forward(net: Net, x: Tensor) -> Tensor:
        state = torch.zeros(len(x), WIDTH)
        for t in range(STEPS):
            state = net.cell(x[:, t], state.detach() if t == 3 else state)
        return state

    (sites,) = calls(Net(forward, cell=nn.RNNCell(WIDTH, WIDTH))).values()
    assert len(sites) == STEPS - 3


def test_the_probe_is_what_autograd_says() -> None:
    """From the last call alone, the gradient shrinks by the matrix and the slope at each step."""
    torch.manual_seed(0)
    turn = nn.Linear(WIDTH, WIDTH, bias=False)
    net = Net(loop(lambda n, x, h: 0.0 * x + n.turn(h) + 1.0), turn=turn)
    with torch.no_grad():
        turn.weight.copy_(0.5 * torch.linalg.qr(torch.randn(WIDTH, WIDTH)).Q)
    x = torch.randn(6, STEPS, WIDTH)
    recording = trace(net, (x, torch.randint(0, 4, (6,))), probe_steps=0)
    profile = recording[Quantity.LOG10_LAST_STEP_GRAD_RMS]
    values = [profile[site] for site in recording.sites if site in profile]
    assert values[-1] == pytest.approx(0.0, abs=1e-6)
    steps = [after - before for before, after in pairwise(values)]
    assert steps == pytest.approx([torch.tensor(2.0).log10().item()] * (STEPS - 1), abs=1e-5)
