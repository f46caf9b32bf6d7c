"""Truncated sequences: the same outputs, and a gradient that ends at the last cut."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from itertools import islice
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils.checkpoint import checkpoint

from unvanish import trace
from unvanish.core.errors import UnvanishError
from unvanish.core.prescriptions import Prescription
from unvanish.core.verdicts import NotApplicable
from unvanish.diagnose import diagnose
from unvanish.treat.registry import remedy_of
from unvanish.treat.time_steps import recurrences_of
from unvanish.treat.treatment import case_of, treat
from unvanish.treat.truncating import TruncatedLSTM, pieces_of, truncated
from unvanish.zoo.patients import relu_rnn_orthogonal_gain_2 as waves

STEPS, WIDTH = 30, 12


class Layer(nn.Module):
    def __init__(self, layer: nn.Module, *, packed: bool = False) -> None:
        super().__init__()
        self.layer, self.head, self.packed = layer, nn.Linear(WIDTH, 4), packed

    def forward(self, x: Tensor) -> Tensor:
        if not self.packed:
            return self.head(self.layer(x)[0][:, -1])
        lengths = torch.tensor([9, 30, 4, 30, 21, 7, 1, 14])
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        state = self.layer(packed)[1]
        return self.head((state[0] if isinstance(state, tuple) else state)[-1])


class Cell(nn.Module):
    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell, self.head = cell, nn.Linear(WIDTH, 4)

    def forward(self, x: Tensor) -> Tensor:
        state: Any = None
        for t in range(x.shape[1]):
            state = self.cell(x[:, t], state)
        return self.head(state[0] if isinstance(state, tuple) else state)


class Stepwise(nn.Module):
    """A layer that is called on one step at a time, as decoders do."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.LSTM(5, WIDTH, 2), nn.Linear(WIDTH, 4)

    def forward(self, x: Tensor) -> Tensor:
        state = None
        for t in range(x.shape[1]):
            out, state = self.layer(x[None, :, t], state)
        return self.head(out[0])


class Pieces(Stepwise):
    def forward(self, x: Tensor) -> Tensor:
        state = None
        for piece in x.transpose(0, 1).split(10):
            out, state = self.layer(piece, state)
        return self.head(out[-1])


class Masked(Cell):
    """A state that a mask leads round the cell where a sequence has ended."""

    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(len(x), WIDTH)
        for t in range(x.shape[1]):
            runs = (x[:, t, :1] > -1.0).float()
            state = runs * self.cell(x[:, t], state) + (1.0 - runs) * state
        return self.head(state)


class Faded(Cell):
    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(len(x), WIDTH)
        for t in range(x.shape[1]):
            state = 0.9 * self.cell(x[:, t], state)
        return self.head(state)


class BothWays(Layer):
    """One layer that reads a sequence and its mirror image, each from a state of its own."""

    def forward(self, x: Tensor) -> Tensor:
        ends = [self.layer(one)[0][:, -1] for one in (x, x.flip(1))]
        return self.head(ends[0] + ends[1])


class ByHand(nn.Module):
    def __init__(self, *, gated: bool = False) -> None:
        super().__init__()
        self.into, self.on = nn.Linear(5, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.gate, self.head, self.gated = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 4), gated

    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(len(x), WIDTH)
        for t in range(x.shape[1]):
            new = torch.tanh(self.on(state) + self.into(x[:, t]))
            if self.gated:
                keep = torch.sigmoid(self.gate(state))
                new = keep * state + (1.0 - keep) * new
            state = new
        return self.head(state)


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(8, STEPS, 5, generator=generator)
    return x, torch.randint(0, 4, (8,), generator=generator)


def prescribed(model: nn.Module, every: int) -> Prescription:
    found = remedy_of("truncated-sequences").assess(case_of(model, batch()))
    assert isinstance(found, Prescription), found
    return dataclasses.replace(found, settings={"every": every})


def refused(model: nn.Module) -> str:
    found = remedy_of("truncated-sequences").assess(case_of(model, batch()))
    assert isinstance(found, NotApplicable)
    return found.reason


def gradient(model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    x = x.clone().requires_grad_()
    output = model(x)
    (found,) = torch.autograd.grad(output.square().sum(), x)
    return output.detach(), found


@pytest.mark.parametrize(
    "make",
    [
        lambda: Layer(nn.RNN(5, WIDTH, batch_first=True)),
        lambda: Layer(nn.LSTM(5, WIDTH, 2, batch_first=True)),
        lambda: Layer(nn.GRU(5, WIDTH, batch_first=True)),
        lambda: Cell(nn.RNNCell(5, WIDTH, nonlinearity="relu")),
        lambda: Cell(nn.LSTMCell(5, WIDTH)),
        lambda: Cell(nn.GRUCell(5, WIDTH)),
        lambda: Faded(nn.GRUCell(5, WIDTH)),
        Stepwise,
        ByHand,
    ],
    ids=[
        "rnn",
        "lstm",
        "gru",
        "rnn cell",
        "lstm cell",
        "gru cell",
        "faded",
        "stepwise",
        "by hand",
    ],
)
def test_outputs_stay_and_the_gradient_ends_at_the_last_cut(make: Any) -> None:
    torch.manual_seed(0)
    every = 7
    model, (x, y) = make().double(), batch()
    data = (x.double(), y)
    found = remedy_of("truncated-sequences").assess(case_of(model, data))
    assert isinstance(found, Prescription)
    mine = dataclasses.replace(found, settings={"every": every})
    treated = treat(model, mine, data).model
    for twin in (treated, copy.deepcopy(treated), pickle.loads(pickle.dumps(treated))):
        (was, whole), (now, cut) = gradient(model, data[0]), gradient(twin, data[0])
        torch.testing.assert_close(now, was)
        reached = cut.abs().sum((0, 2)) > 0.0
        assert reached.tolist() == [t >= STEPS - every for t in range(STEPS)]
        torch.testing.assert_close(cut[:, -every:], whole[:, -every:])


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_packed_sequences_each_keep_the_gradient_of_their_last_piece(kind: Any) -> None:
    torch.manual_seed(0)
    model = Layer(kind(5, WIDTH, 2, batch_first=True), packed=True).double()
    twin = copy.deepcopy(model)
    twin.layer = truncated(model.layer, 7)
    x = batch()[0].double()
    (was, whole), (now, cut) = gradient(model, x), gradient(twin, x)
    torch.testing.assert_close(now, was)
    starts = [0, 2, 9, 16, 23]
    for row, length in enumerate([9, 30, 4, 30, 21, 7, 1, 14]):
        last = max(start for start in starts if start < length)
        reached = cut[row].abs().sum(-1) > 0.0
        assert reached.nonzero().flatten().tolist() == list(range(last, length))
        torch.testing.assert_close(cut[row, last:length], whole[row, last:length])


def test_a_given_state_and_the_last_one_are_those_of_the_layer() -> None:
    torch.manual_seed(0)
    layer = nn.LSTM(5, WIDTH, 2, batch_first=True)
    twin = truncated(layer, 4)
    assert isinstance(twin, TruncatedLSTM)
    x, state = torch.randn(3, 10, 5), (torch.randn(2, 3, WIDTH), torch.randn(2, 3, WIDTH))
    torch.testing.assert_close(twin(x, state), layer(x, state))
    alone = tuple(one[:, 0] for one in state)
    torch.testing.assert_close(twin(x[0], alone), layer(x[0], alone))
    with torch.no_grad():
        torch.testing.assert_close(twin(x), layer(x), rtol=0, atol=0)


def test_pieces_cover_a_sequence_and_the_last_is_whole() -> None:
    for steps in range(1, 20):
        for every in range(1, 20):
            pieces = pieces_of(steps, every)
            assert sum(pieces) == steps
            assert pieces[-1] == min(steps, every)
            assert all(piece == every for piece in pieces[1:])


def test_the_piece_follows_what_the_gradient_does_in_a_step() -> None:
    torch.manual_seed(0)
    model = Layer(nn.RNN(5, WIDTH, batch_first=True, nonlinearity="relu"))
    nn.init.orthogonal_(model.layer.weight_hh_l0, gain=2.5)
    case = case_of(model, batch())
    (found,) = recurrences_of(case)
    assert found.steps == STEPS
    assert 0.1 < found.decades < 0.4
    given = remedy_of("truncated-sequences").assess(case)
    assert isinstance(given, Prescription)
    assert given.settings == {"every": int(1.0 / found.decades)}
    nn.init.eye_(model.layer.weight_hh_l0)
    nn.init.zeros_(model.layer.bias_hh_l0)
    assert "nothing to cut off" in refused(model)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (Pieces(), "called 3 times"),
        (Masked(nn.GRUCell(5, WIDTH)), "goes round it"),
        (ByHand(gated=True), "goes round the matrix"),
        (nn.Sequential(nn.Flatten(), nn.Linear(5 * STEPS, 4)), "no recurrence"),
    ],
)
def test_what_cannot_be_cut_is_refused(model: nn.Module, words: str) -> None:
    assert words in refused(model)


def test_each_of_several_sequences_is_cut_by_itself() -> None:
    torch.manual_seed(0)
    model = BothWays(nn.GRU(5, WIDTH, batch_first=True))
    treated = treat(model, prescribed(model, 10), batch()).model
    (was, _), (now, cut) = gradient(model, batch()[0]), gradient(treated, batch()[0])
    torch.testing.assert_close(now, was)
    reached = cut.abs().sum((0, 2)) > 0.0
    assert reached.tolist() == [not 10 <= t < 20 for t in range(STEPS)]


def test_two_directions_are_refused() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.GRU(5, WIDTH, batch_first=True, bidirectional=True)
            self.head = nn.Linear(2 * WIDTH, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.layer(x)[0].mean(1))

    assert "both directions" in refused(Both())


def test_a_checkpoint_around_a_cell_is_refused_while_it_runs_again() -> None:
    class Checkpointed(Cell):
        def forward(self, x: Tensor) -> Tensor:
            state = x.new_zeros(len(x), WIDTH)
            for t in range(x.shape[1]):
                state = checkpoint(self.cell, x[:, t], state, use_reentrant=False)
            return self.head(state)

    torch.manual_seed(0)
    model = Checkpointed(nn.GRUCell(5, WIDTH))
    plan = prescribed(Cell(nn.GRUCell(5, WIDTH)), 7)
    treated = treat(model, plan, batch(), validate=False).model
    with pytest.raises(UnvanishError, match="cannot be told apart"):
        treated(batch()[0]).sum().backward()


def test_it_is_never_offered_by_itself() -> None:
    assert not remedy_of("truncated-sequences").treats


@pytest.mark.slow
def test_a_cut_silences_an_explosion_and_does_not_cure_it() -> None:
    """The evidence of the card: the value behind a wave of 60 steps, a tanh RNN in chaos."""

    class Wave(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.readout = nn.RNN(1, 64, batch_first=True), nn.Linear(64, 1)
            nn.init.normal_(self.rnn.weight_hh_l0, std=2.5 / 8.0)

        def forward(self, x: Tensor) -> Tensor:
            return self.readout(self.rnn(x)[1][-1])

    def error(remedies: list[str], seed: int) -> tuple[float, set[str]]:
        torch.manual_seed(seed)
        model, batch = Wave(), next(waves.data(seed))
        optimizer: Any = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
        if remedies:
            treated = treat(model, remedies, batch, waves.loss, optimizer=optimizer)
            model, optimizer = treated.model, treated.optimizer
        look = trace(model, batch, waves.loss, optimizer=optimizer, batches=1, probe_steps=1)
        for x, y in islice(waves.data(seed), 250):
            optimizer.zero_grad()
            waves.loss(model(x), y).backward()
            optimizer.step()
        return waves.metric(model), {finding.code for finding in diagnose(look).findings}

    for seed in (0, 1):
        plain, cut = error([], seed), error(["truncated-sequences"], seed)
        clipped = error(["clip-norm"], seed)
        both = error(["truncated-sequences", "clip-norm"], seed)
        cured = error(["orthogonal-recurrence"], seed)
        assert "UV102" in plain[1] & clipped[1]
        assert "UV102" not in cut[1] | both[1] | cured[1]
        assert cut[0] > 1.0 > plain[0]
        assert clipped[0] > both[0] > 0.3
        assert cured[0] < 0.01
