"""Remedies for recurrent layers: the gradient reaches back in time, and nothing else changes."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations
from torch.nn.utils.rnn import pack_padded_sequence

import unvanish
from unvanish.core.verdicts import NotApplicable
from unvanish.diagnose.time_loops import loops_of, recurrences
from unvanish.theory.recurrent import carried
from unvanish.treat.recurrent import cells_of, memory_bias
from unvanish.treat.registry import remedy_of
from unvanish.treat.surgery import CannotTreatError
from unvanish.treat.treatment import case_of, treat

STEPS, UNITS = 101, 64


class Reader(nn.Module):
    def __init__(self, layer: nn.Module, width: int, *, inputs: int = 5) -> None:
        super().__init__()
        self.embed = nn.Linear(inputs, 8)
        self.layer = layer
        self.head = nn.Linear(width, 4)

    def forward(self, x: Tensor) -> Tensor:
        out, _ = self.layer(self.embed(x))
        return self.head(out[:, -1])


class Loop(nn.Module):
    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell
        self.head = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        state: Any = None
        for t in range(x.shape[1]):
            state = self.cell(x[:, t], state)
        return self.head(state[0] if isinstance(state, tuple) else state)


class Written(nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.into, self.on, self.head = nn.Linear(5, 12), nn.Linear(12, 12), nn.Linear(12, 4)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(len(x), 12)
        for t in range(x.shape[1]):
            state = self.function(self.on(state) + self.into(x[:, t]))
        return self.head(state)


class Packed(Reader):
    def forward(self, x: Tensor) -> Tensor:
        lengths = torch.arange(len(x), 0, -1) + x.shape[1] - len(x)
        packed = pack_padded_sequence(self.embed(x), lengths, batch_first=True)
        _, last = self.layer(packed)
        return self.head((last[0] if isinstance(last, tuple) else last)[-1])


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(5, 8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(torch.tanh(self.a(x[:, -1])))


def batch(steps: int = 12, size: int = 8, inputs: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(size, steps, inputs, generator=generator)
    return x, torch.randint(0, 4, (size,), generator=generator)


def decades_lost(model: nn.Module, data: Any) -> float:
    """What a gradient that enters at the last step loses on its way to the first."""
    recording = unvanish.trace(model, data, batches=1, probe_steps=0)
    (loop,) = loops_of(recording, recurrences(recording))
    return max(loop.back)


@pytest.mark.parametrize(
    ("kind", "remedy", "most"),
    [
        (nn.LSTM, "forget-bias", 3.0),
        (nn.LSTM, "chrono", 4.0),
        (nn.GRU, "forget-bias", 4.5),
        (nn.GRU, "chrono", 4.0),
        (nn.RNN, "gated-cell", 4.5),
        (nn.RNN, "lstm-cell", 3.0),
        (nn.RNN, "orthogonal-recurrence", 12.0),
    ],
)
def test_the_gradient_reaches_back_over_a_hundred_steps(
    kind: type[nn.RNNBase], remedy: str, most: float
) -> None:
    torch.manual_seed(0)
    model = Reader(kind(8, UNITS, batch_first=True), UNITS)
    data = batch(STEPS)
    assert decades_lost(model, data) > 16.0
    assert decades_lost(treat(model, remedy, data).model, data) < most


def test_a_rectified_recurrence_starts_as_the_identity() -> None:
    torch.manual_seed(0)
    layer = nn.RNN(8, UNITS, batch_first=True, nonlinearity="relu")
    model, data = Reader(layer, UNITS), batch(STEPS)
    assert decades_lost(model, data) > 16.0
    treated = treat(model, "orthogonal-recurrence", data)
    assert decades_lost(treated.model, data) < 1.0
    assert torch.equal(treated.model.layer.weight_hh_l0, torch.eye(UNITS))
    assert not treated.model.layer.bias_ih_l0.any()
    assert not treated.model.layer.bias_hh_l0.any()


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True, "dropout": 0.1}])
def test_a_forget_bias_is_the_sum_of_both_and_touches_one_gate(
    kind: type[nn.RNNBase], options: dict[str, Any]
) -> None:
    torch.manual_seed(0)
    width = 24 if options else 12
    model = Reader(kind(8, 12, batch_first=True, **options), width).double()
    x, y = batch(30)
    treated = treat(model, "forget-bias", (x.double(), y))
    old, new = model.state_dict(), treated.model.state_dict()
    for name, value in old.items():
        if "bias_ih" in name:
            total = new[name] + new[name.replace("bias_ih", "bias_hh")]
            assert torch.equal(total[12:24], torch.full((12,), 2.0, dtype=torch.float64))
        rows = [i for i in range(len(value)) if "bias_" not in name or not 12 <= i < 24]
        assert torch.equal(value[rows], new[name][rows])
    assert new["layer.bias_ih_l0"].dtype == torch.float64


def test_the_bias_follows_the_length_of_the_sequence() -> None:
    assert [memory_bias(n) for n in (0, 22, 23, 54, 55, 1000)] == [1, 1, 2, 2, 3, 3]
    assert carried(1.0, 22) >= 1e-3 > carried(1.0, 23)
    case = case_of(Reader(nn.LSTM(8, 12, batch_first=True), 12), batch(40))
    found = remedy_of("forget-bias").assess(case)
    assert not isinstance(found, NotApplicable)
    assert found.settings == {"bias": 2.0}
    assert found.places == ("layer.bias_ih_l0",)
    mine = dataclasses.replace(found, settings={"bias": 1.5})
    treated = treat(case.model, mine, batch(40)).model
    assert treated.layer.bias_ih_l0[12:24].unique().tolist() == [1.5]


def test_chrono_tells_of_each_bias_once() -> None:
    torch.manual_seed(0)
    (receipt,) = treat(Reader(nn.LSTM(8, 12, batch_first=True), 12), "chrono", batch(30)).receipts
    places = [edit.place for edit in receipt.edits]
    assert sorted(places) == ["layer.bias_hh_l0", "layer.bias_ih_l0"]


@pytest.mark.parametrize("remedy", ["gated-cell", "lstm-cell"])
def test_undo_leaves_the_state_of_the_optimiser_in_its_order(remedy: str) -> None:
    torch.manual_seed(0)
    model, (x, y) = Reader(nn.RNN(8, 12, batch_first=True), 12), batch(30)
    optimizer = torch.optim.Adam(model.parameters())
    F.cross_entropy(model(x), y).backward()
    optimizer.step()
    before = list(optimizer.state_dict()["state"])
    treat(model, remedy, (x, y), optimizer=optimizer, in_place=True).undo()
    assert list(optimizer.state_dict()["state"]) == before


def test_chrono_draws_the_times_of_its_paper() -> None:
    torch.manual_seed(0)
    model = Reader(nn.LSTM(8, 300, batch_first=True), 300)
    found = remedy_of("chrono").assess(case_of(model, batch(12, size=2)))
    assert not isinstance(found, NotApplicable)
    assert found.settings == {"longest": 12.0}
    longer = dataclasses.replace(found, settings={"longest": 101.0})
    layer = treat(model, longer, batch(12, size=2)).model.layer
    total = (layer.bias_ih_l0 + layer.bias_hh_l0).detach()
    enters, keeps = total[:300], total[300:600]
    assert torch.equal(enters, -keeps)
    times = keeps.exp()
    assert 1.0 <= times.min() < 4.0
    assert 97.0 < times.max() <= 100.0
    assert times.mean() == pytest.approx(50.5, rel=0.1)


def test_chrono_in_a_gru_sets_the_gate_that_keeps() -> None:
    torch.manual_seed(0)
    model = Loop(nn.GRUCell(5, 12))
    cell = treat(model, "chrono", batch(30)).model.cell
    state = torch.randn(3, 12)
    with torch.no_grad():
        for gate in (cell.weight_ih, cell.weight_hh):
            gate[12:24].zero_()
        kept = cell(torch.zeros(3, 5), state)
        factor = torch.sigmoid(cell.bias_ih[12:24])
        candidate = (kept - factor * state) / (1.0 - factor)
    assert factor.min() >= 0.5
    assert candidate.abs().max() <= 1.0 + 1e-5


@pytest.mark.parametrize("cell", [nn.LSTMCell(5, 12), nn.GRUCell(5, 12)])
@pytest.mark.parametrize("remedy", ["forget-bias", "chrono", "orthogonal-recurrence"])
def test_cells_in_a_loop_are_treated(cell: nn.Module, remedy: str) -> None:
    torch.manual_seed(0)
    model, data = Loop(cell), batch(40)
    case = case_of(model, data)
    (found,) = cells_of(case)
    assert found.steps == 40
    treated = treat(model, remedy, data)
    if remedy != "orthogonal-recurrence":
        assert decades_lost(treated.model, data) < decades_lost(model, data) - 2.0
    for matrix in treated.model.cell.weight_hh.split(12) if "ortho" in remedy else ():
        assert torch.allclose(matrix @ matrix.T, torch.eye(12), atol=1e-5)


@pytest.mark.filterwarnings("ignore:LSTM with projections")
def test_each_gate_of_a_projected_layer_is_orthogonal_by_itself() -> None:
    torch.manual_seed(0)
    model = Reader(nn.LSTM(8, 12, proj_size=5, batch_first=True), 5)
    treated = treat(model, "orthogonal-recurrence", batch()).model
    for matrix in treated.layer.weight_hh_l0.split(12):
        assert torch.allclose(matrix.T @ matrix, torch.eye(5), atol=1e-5)
    treat(model, ["forget-bias", "orthogonal-recurrence"], batch())


@pytest.mark.parametrize(("function", "identity"), [(torch.tanh, False), (F.relu, True)])
def test_a_loop_written_by_hand_gets_its_matrix(function: Any, identity: bool) -> None:
    torch.manual_seed(0)
    model = Written(function)
    treated = treat(model, "orthogonal-recurrence", batch(20)).model
    matrix = treated.on.weight
    assert torch.allclose(matrix @ matrix.T, torch.eye(12), atol=1e-5)
    assert torch.equal(matrix, torch.eye(12)) == identity
    assert torch.equal(treated.into.weight, model.into.weight)


def test_parametrised_weights_are_no_plain_ones() -> None:
    torch.manual_seed(0)
    layer = nn.RNN(8, 12, batch_first=True)
    parametrizations.weight_norm(layer, "weight_ih_l0")
    said = remedy_of("gated-cell").assess(case_of(Reader(layer, 12), batch()))
    assert isinstance(said, NotApplicable)
    assert "parametrised" in said.reason


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_a_gated_cell_keeps_the_interface_and_the_old_weights(nonlinearity: str) -> None:
    torch.manual_seed(0)
    old = nn.RNN(8, 12, 2, nonlinearity, batch_first=True, dropout=0.2, bidirectional=True)
    model, data = Reader(old, 24), batch(20)
    treated = treat(model, "gated-cell", data)
    new = treated.model.layer
    assert isinstance(new, nn.GRU)
    kept = "input_size hidden_size num_layers batch_first dropout bidirectional bias".split()
    assert all(getattr(new, name) == getattr(old, name) for name in kept)
    x, state = torch.randn(3, 7, 8), torch.randn(4, 3, 12)
    for a, b in zip(old(x, state), new(x, state), strict=True):
        assert a.shape == b.shape
    for name, value in old.named_parameters():
        assert torch.equal(new.get_parameter(name).chunk(3)[-1], value)
    treated.undo()
    assert treated.model.layer.weight_hh_l0.equal(old.weight_hh_l0)


def test_a_gated_cell_takes_the_place_of_the_old_one_in_the_optimiser() -> None:
    torch.manual_seed(0)
    model, data = Loop(nn.RNNCell(5, 12, bias=False)), batch(20)
    adam = torch.optim.Adam(
        [{"params": model.cell.parameters(), "lr": 0.5}, {"params": model.head.parameters()}]
    )
    F.cross_entropy(model(data[0]), data[1]).backward()
    adam.step()
    treated = treat(model, "gated-cell", data, optimizer=adam)
    assert treated.optimizer is not None
    first = treated.optimizer.param_groups[0]
    assert {id(p) for p in first["params"]} == {id(p) for p in treated.model.cell.parameters()}
    assert isinstance(treated.model.cell, nn.GRUCell)
    assert not treated.model.cell.bias
    state = treated.optimizer.state
    assert all(p in state for p in treated.model.head.parameters())
    F.cross_entropy(treated.model(data[0]), data[1]).backward()
    treated.optimizer.step()


def test_packed_sequences_and_shared_layers_run() -> None:
    torch.manual_seed(0)
    for layer, remedy in (
        (nn.LSTM(8, 12, batch_first=True), "chrono"),
        (nn.RNN(8, 12, batch_first=True), "gated-cell"),
    ):
        model = Packed(layer, 12)
        model.alias = layer
        treated = treat(model, remedy, batch(20)).model
        assert treated.alias is treated.layer


@pytest.mark.parametrize(
    ("remedy", "model", "match"),
    [
        ("forget-bias", Reader(nn.RNN(8, 12, batch_first=True), 12), "no nn.LSTM, nn.GRU"),
        ("chrono", Reader(nn.LSTM(8, 12, bias=False, batch_first=True), 12), "bias=False"),
        ("gated-cell", Reader(nn.LSTM(8, 12, batch_first=True), 12), "no nn.RNN"),
        ("orthogonal-recurrence", Plain(), "no trained matrix"),
    ],
)
def test_what_does_not_fit_is_told(remedy: str, model: nn.Module, match: str) -> None:
    with pytest.raises(CannotTreatError, match=match):
        treat(model, remedy, batch())


def test_a_network_that_is_itself_a_layer_is_not_exchanged() -> None:
    x = batch()[0]
    with pytest.raises(CannotTreatError, match="put it into a module"):
        treat(nn.RNN(5, 4, batch_first=True), "gated-cell", (x, torch.zeros(8, 12, 4)))


def test_too_short_a_sequence_has_no_chrono() -> None:
    said = remedy_of("chrono").assess(
        case_of(Reader(nn.GRU(8, 12, batch_first=True), 12), batch(2))
    )
    assert isinstance(said, NotApplicable)
    assert "2 steps" in said.reason


def test_an_rnn_learns_to_recall_once_it_is_gated() -> None:
    """The first of 25 tokens is asked for, after 200 steps of Adam with 32 units."""

    def tokens(generator: torch.Generator, size: int = 32) -> tuple[Tensor, Tensor]:
        x = torch.randint(0, 4, (size, 25), generator=generator)
        return F.one_hot(x, 5).float(), x[:, 0]

    def accuracy(model: nn.Module) -> float:
        generator = torch.Generator().manual_seed(1)
        adam = torch.optim.Adam(model.parameters(), lr=5e-3)
        for _ in range(200):
            x, y = tokens(generator)
            adam.zero_grad()
            F.cross_entropy(model(x), y).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            adam.step()
        x, y = tokens(generator, 256)
        return float((model(x).argmax(1) == y).float().mean())

    torch.manual_seed(0)
    model = Reader(nn.RNN(8, 32, batch_first=True), 32)
    nn.init.normal_(model.embed.weight)
    treated = treat(model, "gated-cell", tokens(torch.Generator().manual_seed(2))).model
    assert accuracy(treated) > 0.95
    assert accuracy(model) < 0.5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "remedy", "least"),
    [
        (nn.LSTM, "", 0.0),
        (nn.LSTM, "chrono", 0.5),
        (nn.GRU, "", 0.0),
        (nn.GRU, "forget-bias", 0.9),
        (nn.GRU, "chrono", 0.9),
        (nn.RNN, "", 0.0),
        (nn.RNN, "gated-cell", 0.9),
        (nn.RNN, "lstm-cell", 0.5),
    ],
)
def test_the_first_of_60_tokens_is_recalled(
    kind: type[nn.RNNBase], remedy: str, least: float
) -> None:
    """One of 8 tokens, 500 steps of Adam at 3e-3 on batches of 32, 32 units, clipped at 1."""

    class Recall(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(8, 16)
            self.layer, self.head = kind(16, 32, batch_first=True), nn.Linear(32, 8)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.layer(self.embed(x))[0][:, -1])

    def tokens(generator: torch.Generator, size: int = 32) -> tuple[Tensor, Tensor]:
        x = torch.randint(0, 8, (size, 60), generator=generator)
        return x, x[:, 0]

    torch.manual_seed(0)
    model: nn.Module = Recall()
    if remedy:
        model = treat(model, remedy, tokens(torch.Generator().manual_seed(9))).model
    generator = torch.Generator().manual_seed(1)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(500):
        x, y = tokens(generator)
        adam.zero_grad()
        F.cross_entropy(model(x), y).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
    x, y = tokens(generator, 256)
    accuracy = float((model(x).argmax(1) == y).float().mean())
    assert accuracy > least if remedy else accuracy < 0.2
