"""An LSTM behind the interface of a plain recurrent layer: its cell state comes along."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn

from unvanish.core.verdicts import NotApplicable
from unvanish.treat.registry import remedy_of
from unvanish.treat.single_state import SingleStateLSTM, SingleStateLSTMCell
from unvanish.treat.surgery import CannotTreatError
from unvanish.treat.treatment import case_of, treat

WIDTH = 12


class Head(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.RNN(5, WIDTH, batch_first=True)
        self.cell = nn.RNNCell(5, WIDTH)
        self.head = nn.Linear(WIDTH, 4)
        self.start = nn.Parameter(torch.randn(WIDTH))


class Whole(Head):
    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x)[0][:, -1])


class Stateful(Head):
    """Pieces of a sequence, the state detached between them."""

    def forward(self, x: Tensor) -> Tensor:
        state: Tensor | None = None
        for piece in x.split(5, 1):
            out, state = self.layer(piece, state)
            state = state.detach()
        return self.head(out[:, -1])


class Steps(Head):
    def forward(self, x: Tensor) -> Tensor:
        state: Tensor | None = None
        for t in range(x.shape[1]):
            state = self.cell(x[:, t], hx=state)
        return self.head(state)


class Learned(Head):
    def forward(self, x: Tensor) -> Tensor:
        state = self.start.expand(len(x), -1)
        for t in range(x.shape[1]):
            state = self.cell(x[:, t], state)
        return self.head(state)


class Decoder(Head):
    def forward(self, x: Tensor) -> Tensor:
        state = self.layer(x)[1][0]
        for _ in range(5):
            state = self.cell(torch.zeros_like(x[:, 0]), state)
        return self.head(state)


class TwoSequences(Head):
    def forward(self, x: Tensor) -> Tensor:
        zeros = x.new_zeros(1, len(x) // 2, WIDTH)
        parts = [self.layer(half, zeros)[0] for half in x.chunk(2)]
        return self.head(torch.cat(parts)[:, -1])


class Masked(Head):
    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(len(x), WIDTH)
        for t in range(x.shape[1]):
            runs = (x[:, t, :1] > 0).float()
            state = runs * self.cell(x[:, t], state) + (1.0 - runs) * state
        return self.head(state)


class DetachedAndChanged(Head):
    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(len(x), WIDTH)
        for t in range(x.shape[1]):
            state = 0.5 * self.cell(x[:, t], state.detach())
            state = state.detach()
        return self.head(self.cell(x[:, -1], state))


class FromTheOutputs(Head):
    def forward(self, x: Tensor) -> Tensor:
        state: Tensor | None = None
        for piece in x.split(5, 1):
            out, _ = self.layer(piece, state)
            state = out[:, -1][None]
        return self.head(out[:, -1])


def batch(steps: int = 20) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(8, steps, 5, generator=generator)
    return x, torch.randint(0, 4, (8,), generator=generator)


@pytest.mark.parametrize("kind", [Whole, Stateful, Steps, Learned, Decoder, TwoSequences])
def test_the_code_around_it_stays_as_it_is(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    model, data = kind(), batch()
    treated = treat(model, "lstm-cell", data).model
    twins = [copy.deepcopy(treated), pickle.loads(pickle.dumps(treated))]
    for twin in twins:
        torch.testing.assert_close(twin(data[0]), treated(data[0]), rtol=0, atol=0)
    treated(data[0]).sum().backward()
    used = [p for n, p in treated.named_parameters() if n.startswith(("layer.", "cell."))]
    assert any(p.grad is not None and bool(p.grad.any()) for p in used)


@pytest.mark.parametrize("kind", [Masked, DetachedAndChanged, FromTheOutputs])
def test_a_state_that_is_changed_on_its_way_is_refused(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    said = remedy_of("lstm-cell").assess(case_of(kind(), batch()))
    assert isinstance(said, NotApplicable)
    assert "another state than it gave" in said.reason
    treat(kind(), "gated-cell", batch())


def test_steps_of_a_cell_are_those_of_an_lstm() -> None:
    torch.manual_seed(0)
    ours, theirs = SingleStateLSTMCell(5, WIDTH), nn.LSTMCell(5, WIDTH)
    theirs.load_state_dict(ours.state_dict())
    state, pair = None, None
    for signal in torch.randn(6, 8, 5):
        state = ours(signal, state)
        pair = theirs(signal, pair)
        torch.testing.assert_close(state, pair[0], rtol=0, atol=0)


def test_pieces_of_a_sequence_are_those_of_an_lstm() -> None:
    torch.manual_seed(0)
    ours = SingleStateLSTM(5, WIDTH, 2, batch_first=True)
    theirs = nn.LSTM(5, WIDTH, 2, batch_first=True)
    theirs.load_state_dict(ours.state_dict())
    state, pair = None, None
    for piece in torch.randn(8, 12, 5).split(4, 1):
        out, state = ours(piece, state)
        expected, pair = theirs(piece, pair)
        torch.testing.assert_close(out, expected, rtol=0, atol=0)
        state, pair = state.detach(), tuple(one.detach() for one in pair)


def test_a_state_of_another_make_is_where_the_cell_state_begins() -> None:
    torch.manual_seed(0)
    cell, state = SingleStateLSTMCell(5, WIDTH), torch.randn(8, WIDTH)
    signal = torch.randn(8, 5)
    expected = nn.LSTMCell.forward(cell, signal, (state, state))[0]
    torch.testing.assert_close(cell(signal, state), expected, rtol=0, atol=0)
    made = cell(signal, state)
    with torch.no_grad():
        made[0].zero_()
    assert not cell.cell_states.knows(made)


def test_a_freed_state_is_not_taken_for_another_at_its_address() -> None:
    torch.manual_seed(0)
    cell, signal = SingleStateLSTMCell(5, WIDTH), torch.randn(8, 5)
    for _ in range(20):
        with torch.no_grad():
            cell(signal)
            fresh = torch.zeros(8, WIDTH)
            assert not cell.cell_states.knows(fresh)


def test_no_state_is_kept_where_no_gradient_may_be() -> None:
    cell, signal = SingleStateLSTMCell(5, WIDTH), torch.randn(8, 5)
    with torch.inference_mode():
        state = cell(signal)
        assert cell.cell_states.knows(state)
        cell(signal, state)


def test_the_old_weights_are_those_of_the_candidate() -> None:
    torch.manual_seed(0)
    model, data = Whole(), batch(30)
    layer = treat(model, "lstm-cell", data).model.layer
    for name, value in model.layer.named_parameters():
        assert torch.equal(layer.get_parameter(name).chunk(4)[2], value)
    total = (layer.bias_ih_l0 + layer.bias_hh_l0).chunk(4)[1]
    assert torch.equal(total, torch.full_like(total, 2.0))


def test_it_composes_with_what_sets_gates_and_not_with_another_cell() -> None:
    model, data = Whole(), batch()
    treat(model, ["chrono", "lstm-cell", "orthogonal-recurrence"], data)
    for other in ("gated-cell", "forget-bias"):
        with pytest.raises(CannotTreatError, match="cannot be combined"):
            treat(model, [other, "lstm-cell"], data)
