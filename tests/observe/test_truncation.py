"""Loops whose state comes without its gradient are found; loops that pass any on are not."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from unvanish.core.incidents import Truncation
from unvanish.observe.tracing import trace

STEPS, WIDTH = 8, 6


class Loop(nn.Module):
    """A cell in a loop of any kind, and a classifier."""

    def __init__(self, run: Callable[[Loop, Tensor], Tensor], *, cell: nn.Module) -> None:
        super().__init__()
        self.run = run
        self.cell = cell
        self.lift = nn.Linear(WIDTH, WIDTH)
        self.head = nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.run(self, x))


def found(run: Callable[[Loop, Tensor], Tensor], cell: nn.Module | None = None) -> list[Truncation]:
    torch.manual_seed(0)
    model = Loop(run, cell=cell or nn.GRUCell(WIDTH, WIDTH))
    batch = (torch.randn(5, STEPS, WIDTH), torch.randint(0, 3, (5,)))
    recording = trace(model, batch, "cross_entropy", batches=1, probe_steps=0)
    return list(recording.truncations)


def blank(x: Tensor) -> Tensor:
    return torch.zeros(len(x), WIDTH)


def detached(net: Loop, x: Tensor) -> Tensor:
    state = blank(x)
    for t in range(STEPS):
        state = net.cell(x[:, t], state.detach())
    return state


def by_data(net: Loop, x: Tensor) -> Tensor:
    state = blank(x)
    for piece in x.unbind(1):
        state = net.cell(piece, state.data)
    return state


def without_grad(net: Loop, x: Tensor) -> Tensor:
    state = blank(x)
    for t in range(STEPS):
        with torch.no_grad():
            state = 0.9 * state
        state = net.cell(x[:, t], state)
    return state


def behind_a_layer(net: Loop, x: Tensor) -> Tensor:
    state = blank(x)
    for t in range(STEPS):
        state = net.cell(torch.relu(net.lift(x[:, t])), state.detach())
    return state


@pytest.mark.parametrize("run", [detached, by_data, without_grad, behind_a_layer])
def test_a_state_that_is_cut_at_every_step(run: Callable[[Loop, Tensor], Tensor]) -> None:
    (one,) = found(run)
    assert (one.op, one.path, one.steps, one.trained_steps) == ("gru_cell", "cell", STEPS, 1)
    assert one.source is not None
    assert one.source.file.endswith("test_truncation.py")
    assert one.parameters[0].startswith("cell.")


def test_a_cell_written_by_hand() -> None:
    def run(net: Loop, x: Tensor) -> Tensor:
        state = blank(x)
        for t in range(STEPS):
            state = torch.tanh(net.cell(torch.cat([x[:, t], state.detach()], 1)))
        return state

    (one,) = found(run, nn.Linear(2 * WIDTH, WIDTH))
    assert (one.op, one.cut, one.trained_steps) == ("linear", "detach", 1)


def test_a_layer_called_step_by_step() -> None:
    def run(net: Loop, x: Tensor) -> Tensor:
        state, out = None, x
        for t in range(STEPS):
            out, state = net.cell(x[:, t : t + 1], state)
            state = tuple(part.detach() for part in state)
        return out[:, -1]

    (one,) = found(run, nn.LSTM(WIDTH, WIDTH, batch_first=True))
    assert (one.steps, one.trained_steps) == (STEPS, 1)


def test_a_mean_over_the_steps_trains_every_step() -> None:
    def run(net: Loop, x: Tensor) -> Tensor:
        state, states = blank(x), []
        for t in range(STEPS):
            state = net.cell(x[:, t], state.detach())
            states.append(state)
        return torch.stack(states).mean(0)

    (one,) = found(run)
    assert one.trained_steps == STEPS


def in_chunks(net: Loop, x: Tensor) -> Tensor:
    state = blank(x)
    for t in range(STEPS):
        state = net.cell(x[:, t], state.detach() if t % 4 == 0 else state)
    return state


def whole(net: Loop, x: Tensor) -> Tensor:
    state = blank(x)
    for t in range(STEPS):
        state = net.cell(x[:, t], state)
    return state


def the_same_input_again(net: Loop, x: Tensor) -> Tensor:
    state = blank(x)
    for _ in range(STEPS):
        state = net.cell(net.lift(x.mean(1)), state.detach())
    return state


def own_answer_fed_back(net: Loop, x: Tensor) -> Tensor:
    state = answer = blank(x)
    for t in range(STEPS):
        state = net.cell(x[:, t] + answer.detach(), state)
        answer = net.lift(state)
    return answer


def a_state_beside(net: Loop, x: Tensor) -> Tensor:
    state = total = blank(x)
    for t in range(STEPS):
        state = net.cell(x[:, t], (state.detach() + total) / 2)
        total = total + state
    return state


def apart(net: Loop, x: Tensor) -> Tensor:
    return torch.stack([net.cell(x[:, t], blank(x)).detach() for t in range(STEPS)]).mean(
        0
    ) + net.lift(x[:, 0])


class Rounded(torch.autograd.Function):
    """Signs forward, straight through backward."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:  # noqa: ARG004
        return (x > 0).float()

    @staticmethod
    def backward(ctx: object, grad: Tensor) -> Tensor:  # noqa: ARG004
        return grad


def straight_through(net: Loop, x: Tensor) -> Tensor:
    state = blank(x)
    for t in range(STEPS):
        state = net.cell(x[:, t], Rounded.apply(state))
    return state


def warmed_up(net: Loop, x: Tensor) -> Tensor:
    state = blank(x)
    with torch.no_grad():
        for t in range(STEPS - 1):
            state = net.cell(x[:, t], state)
    return net.cell(x[:, -1], state)


@pytest.mark.parametrize(
    "run",
    [
        in_chunks,
        whole,
        the_same_input_again,
        own_answer_fed_back,
        a_state_beside,
        apart,
        straight_through,
        warmed_up,
    ],
)
def test_what_is_no_cut_memory(run: Callable[[Loop, Tensor], Tensor]) -> None:
    assert found(run) == []


def test_a_gradient_gets_past_a_function_with_a_backward_pass_of_its_own() -> None:
    """Spiking networks: the spikes are cut, and the loss reaches every step all the same."""

    def run(net: Loop, x: Tensor) -> Tensor:
        potential = spikes = total = blank(x)
        for t in range(STEPS):
            potential = 0.9 * potential + x[:, t] + net.cell(spikes.detach())
            spikes = Rounded.apply(potential - 1)
            total = total + spikes
        return total

    (one,) = found(run, nn.Linear(WIDTH, WIDTH))
    assert one.trained_steps == STEPS


def chunks(net: Loop, x: Tensor, *, cut: bool, last: bool) -> Tensor:
    state, answers = torch.zeros(1, len(x), WIDTH), []
    for chunk in x.split(2, dim=1):
        answer, state = net.cell(chunk, state.detach() if cut else state)
        answers.append(answer[:, -1])
    return answers[-1] if last else torch.stack(answers).mean(0)


def test_chunks_of_a_recurrence_of_torch_of_which_only_the_last_is_answered_for() -> None:
    gru = nn.GRU(WIDTH, WIDTH, batch_first=True)
    (one,) = found(partial(chunks, cut=True, last=True), gru)
    assert (one.op, one.path, one.cut) == ("gru", "cell", "detach")
    assert (one.steps, one.trained_steps) == (STEPS // 2, 1)


@pytest.mark.parametrize(("cut", "last"), [(True, False), (False, True)])
def test_chunks_that_are_all_answered_for_or_hang_together(cut: bool, last: bool) -> None:
    assert not found(partial(chunks, cut=cut, last=last), nn.GRU(WIDTH, WIDTH, batch_first=True))
