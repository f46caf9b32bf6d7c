"""LayerNorm within recurrent layers: what they compute, and what becomes of the network."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.nn.utils.rnn import pack_sequence

import unvanish
from unvanish.core.verdicts import NotApplicable
from unvanish.testing import check_remedy
from unvanish.treat.normalised_recurrence import LayerNormLSTM, LayerNormRNN, normalised
from unvanish.treat.registry import remedy_of
from unvanish.treat.remedies.recurrent_layer_norm import input_gain
from unvanish.treat.treatment import case_of, treat

LAYERS = [nn.RNN, nn.GRU, nn.LSTM]
CELLS = [nn.RNNCell, nn.GRUCell, nn.LSTMCell]
NAME = "recurrent-layer-norm"
READ, WIDTH = 3, 5


class Net(nn.Module):
    def __init__(self, layer: Any, **settings: Any) -> None:
        super().__init__()
        self.layer = layer(READ, WIDTH, batch_first=True, **settings)
        self.head = nn.Linear(WIDTH * (2 if settings.get("bidirectional") else 1), 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x)[0][:, -1])


class Steps(nn.Module):
    def __init__(self, cell: Any) -> None:
        super().__init__()
        self.cell, self.head = cell(READ, WIDTH), nn.Linear(WIDTH, 4)

    def forward(self, x: Tensor) -> Tensor:
        state: Any = None
        for t in range(x.shape[1]):
            state = self.cell(x[:, t], state)
        return self.head(state[0] if isinstance(state, tuple) else state)


class Wide(nn.Module):
    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.layer, self.head = kind(READ, 48, batch_first=True), nn.Linear(48, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x)[0][:, -1])


class Packed(Net):
    def forward(self, x: Tensor) -> Tensor:
        last = self.layer(pack_sequence(list(x)))[1]
        return self.head(last[-1])


def batch(steps: int = 12) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(6, steps, READ, generator=generator)
    return x, torch.randint(0, 4, (6,), generator=generator)


def disturbed(module: nn.Module) -> nn.Module:
    """Give every parameter some value of its own, gains and shifts too."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return module


def heard(matrix: Tensor, vector: list[float], gains: Tensor, bias: Tensor | None) -> list[float]:
    """Standardise a matrix product over the units of each gate, one number after the other."""
    sums = [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix.tolist()]
    found: list[float] = []
    for start in range(0, len(sums), WIDTH):
        block = sums[start : start + WIDTH]
        mean = sum(block) / WIDTH
        variance = sum((one - mean) ** 2 for one in block) / WIDTH
        found += [(one - mean) / (variance + 1e-5) ** 0.5 for one in block]
    shift = [0.0] * len(sums) if bias is None else bias.tolist()
    return [g * s + b for g, s, b in zip(gains.tolist(), found, shift, strict=True)]


def sigmoid(z: float) -> float:
    return 1.0 / (1.0 + 2.718281828459045 ** (-z))


def tanh(z: float) -> float:
    return 2.0 * sigmoid(2.0 * z) - 1.0


def by_hand(module: Any, suffix: str, x: Tensor, states: list[list[float]]) -> list[list[float]]:
    """Take one step of one sample, as the paper's supplement writes it."""
    own = {
        name: getattr(module, name + suffix, None)
        for name in "weight_ih weight_hh bias_ih bias_hh norm_ih norm_hh".split()
    }
    a = heard(own["weight_ih"], x.tolist(), own["norm_ih"], own["bias_ih"])
    r = heard(own["weight_hh"], states[0], own["norm_hh"], own["bias_hh"])
    n = range(WIDTH)
    if isinstance(module, nn.LSTM | nn.LSTMCell):
        z = [p + q for p, q in zip(a, r, strict=True)]
        i, f, g, o = (z[k * WIDTH : (k + 1) * WIDTH] for k in range(4))
        cell = [sigmoid(f[u]) * states[1][u] + sigmoid(i[u]) * tanh(g[u]) for u in n]
        mean = sum(cell) / WIDTH
        variance = sum((one - mean) ** 2 for one in cell) / WIDTH
        gain = getattr(module, f"norm_cell{suffix}").tolist()
        shift = getattr(module, f"norm_cell_shift{suffix}").tolist()
        shown = [gain[u] * (cell[u] - mean) / (variance + 1e-5) ** 0.5 + shift[u] for u in n]
        return [[sigmoid(o[u]) * tanh(shown[u]) for u in n], cell]
    if isinstance(module, nn.GRU | nn.GRUCell):
        w = WIDTH
        reset = [sigmoid(a[u] + r[u]) for u in n]
        update = [sigmoid(a[w + u] + r[w + u]) for u in n]
        new = [tanh(a[2 * w + u] + reset[u] * r[2 * w + u]) for u in n]
        return [[(1.0 - update[u]) * new[u] + update[u] * states[0][u] for u in n]]
    total = [p + q for p, q in zip(a, r, strict=True)]
    return [[max(0.0, z) if module.nonlinearity == "relu" else tanh(z) for z in total]]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", [*CELLS, "relu"])
def test_a_cell_computes_what_is_computed_by_hand(kind: Any, bias: bool) -> None:
    old = (
        nn.RNNCell(READ, WIDTH, bias, "relu") if kind == "relu" else kind(READ, WIDTH, bias)
    ).double()
    cell = disturbed(normalised(old, 0.5))
    x = torch.randn(2, READ, dtype=torch.float64)
    parts = 2 if kind is nn.LSTMCell else 1
    state = tuple(torch.randn(2, WIDTH, dtype=torch.float64) for _ in range(parts))
    got = cell(x, state if parts == 2 else state[0])
    for sample in range(2):
        wanted = by_hand(cell, "", x[sample], [part[sample].tolist() for part in state])
        for ours, theirs in zip(got if parts == 2 else (got,), wanted, strict=True):
            torch.testing.assert_close(ours[sample], torch.tensor(theirs).to(ours))
    alone = cell(x[0])
    batched = cell(x[:1])
    torch.testing.assert_close(
        alone[0] if parts == 2 else alone, (batched[0] if parts == 2 else batched)[0]
    )


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("kind", LAYERS)
def test_two_layers_in_both_directions_compute_what_is_computed_by_hand(
    kind: Any, batch_first: bool
) -> None:
    old = kind(READ, WIDTH, 2, bidirectional=True, batch_first=batch_first).double()
    layer: Any = disturbed(normalised(old, 1.0))
    parts = 2 if kind is nn.LSTM else 1
    x = torch.randn(4, READ, dtype=torch.float64)  # one sequence of four steps
    starts = [torch.randn(4, WIDTH, dtype=torch.float64) for _ in range(parts)]
    signal, ends = list(x), []
    for number in range(2):
        both = []
        for way, suffix in enumerate((f"_l{number}", f"_l{number}_reverse")):
            states = [start[2 * number + way].tolist() for start in starts]
            outputs = []
            for one in reversed(signal) if way else signal:
                states = by_hand(layer, suffix, one, states)
                outputs.append(torch.tensor(states[0], dtype=torch.float64))
            both.append(outputs[::-1] if way else outputs)
            ends.append(states)
        signal = [torch.cat(pair) for pair in zip(*both, strict=True)]
    hx = [start.unsqueeze(1) for start in starts]
    given = tuple(hx) if parts == 2 else hx[0]
    out, last = layer(x.unsqueeze(0 if batch_first else 1), given)
    torch.testing.assert_close(out.squeeze(0 if batch_first else 1), torch.stack(signal))
    for part, got in enumerate(last if parts == 2 else (last,)):
        wanted = torch.tensor([end[part] for end in ends], dtype=torch.float64)
        torch.testing.assert_close(got[:, 0], wanted)
    unbatched, _ = layer(x, tuple(starts) if parts == 2 else starts[0])
    torch.testing.assert_close(unbatched, torch.stack(signal))


@pytest.mark.parametrize("kind", LAYERS)
def test_shapes_and_states_are_those_of_torch(kind: Any) -> None:
    for batch_first in (True, False):
        for ways in (True, False):
            old = kind(READ, WIDTH, 2, batch_first=batch_first, bidirectional=ways, dropout=0.5)
            new = normalised(old, 1.0)
            for x in (torch.randn(6, 7, READ), torch.randn(7, READ)):
                theirs, ours = old(x), new(x)
                flat = [
                    (t[0], *(t[1] if isinstance(t[1], tuple) else t[1:])) for t in (theirs, ours)
                ]
                assert [t.shape for t in flat[0]] == [t.shape for t in flat[1]]
            assert dict(old.named_parameters()).items() <= dict(new.named_parameters()).items()
            assert new.dropout == 0.5
            again = copy.deepcopy(new)
            again.load_state_dict(pickle.loads(pickle.dumps(new)).state_dict())
            torch.testing.assert_close(again.eval()(x)[0], new.eval()(x)[0], rtol=0, atol=0)
            again.reset_parameters()
            assert bool((again.norm_ih_l0 == 1.0).all())


@pytest.mark.parametrize("kind", [*LAYERS, *CELLS])
def test_the_contract_is_kept(kind: Any) -> None:
    model = (lambda: Steps(kind)) if kind in CELLS else (lambda: Net(kind, num_layers=2))
    check_remedy(
        remedy_of(NAME),
        model,
        batch(),
        optimizer=lambda m: torch.optim.Adam(m.parameters(), lr=1e-3),
    )


def test_in_mid_training_the_state_of_the_optimiser_stays() -> None:
    torch.manual_seed(0)
    model, data = Net(nn.LSTM).double(), batch()
    data = data[0].double(), data[1]
    optimizer = torch.optim.AdamW(
        [{"params": model.layer.parameters(), "lr": 1e-2}, {"params": model.head.parameters()}],
        lr=1e-3,
    )
    nn.functional.cross_entropy(model(data[0]), data[1]).backward()
    optimizer.step()
    model.layer.weight_hh_l0.requires_grad_(False)
    model.eval()
    treated = treat(model, NAME, data, optimizer=optimizer)
    layer: Any = treated.model.layer
    group = treated.optimizer.param_groups[0]
    assert group["lr"] == 1e-2
    assert {id(p) for p in layer.parameters()} == {id(p) for p in group["params"]}
    assert layer.weight_ih_l0 in treated.optimizer.state
    assert layer.norm_ih_l0 not in treated.optimizer.state
    assert layer.norm_ih_l0.dtype == torch.float64
    assert not layer.training
    assert not layer.weight_hh_l0.requires_grad
    nn.functional.cross_entropy(treated.model(data[0]), data[1]).backward()
    treated.optimizer.step()
    assert not bool((layer.norm_cell_l0 == 1.0).all())


def test_it_comes_after_what_sets_the_values_it_takes_over() -> None:
    torch.manual_seed(0)
    data = batch()
    both = treat(Net(nn.LSTM), [NAME, "forget-bias", "orthogonal-recurrence"], data).model
    layer: Any = both.layer
    assert isinstance(layer, LayerNormLSTM)
    forget = layer.weight_hh_l0[WIDTH : 2 * WIDTH]
    torch.testing.assert_close(forget @ forget.T, torch.eye(WIDTH), rtol=0, atol=1e-5)
    assert bool((layer.bias_ih_l0[WIDTH : 2 * WIDTH] >= 1.0).all())


def test_what_does_not_fit_is_refused_with_the_reason() -> None:
    def said(model: nn.Module) -> str:
        found = remedy_of(NAME).assess(case_of(model, batch()))
        assert isinstance(found, NotApplicable)
        return found.reason

    class Own(nn.GRU):
        def forward(self, input: Tensor, hx: Any = None) -> Any:
            return super().forward(0.5 * input, hx)

    class Projected(Net):
        def __init__(self) -> None:
            super().__init__(nn.LSTM, proj_size=2)
            self.head = nn.Linear(2, 4)

    class Scalar(Net):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x[..., :1])

    scalar, weighed = Scalar(nn.RNN), Net(nn.GRU)
    scalar.layer = nn.RNN(1, WIDTH, batch_first=True)
    parametrizations.weight_norm(weighed.layer, "weight_hh_l0")
    assert "packed sequences" in said(Packed(nn.GRU))
    assert "but the sign" in said(scalar)
    assert "proj_size" in said(Projected())
    assert "forward of its own" in said(Net(Own))
    assert "parametrised" in said(weighed)
    assert "no recurrent layer" in said(nn.Sequential(nn.Flatten(), nn.Linear(36, 4)))
    with pytest.raises(TypeError, match="takes no packed sequence"):
        LayerNormRNN(READ, WIDTH)(pack_sequence([torch.randn(3, READ)]))
    with pytest.raises(ValueError, match="has no proj_size"):
        LayerNormLSTM(READ, WIDTH, proj_size=2)
    with pytest.raises(ValueError, match="2D or 3D"):
        LayerNormRNN(READ, WIDTH)(torch.randn(READ))


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_a_gradient_lives_through_eighty_steps(kind: Any, scale: float) -> None:
    torch.manual_seed(0)
    network = Wide(kind)
    x, target = batch(80)
    data = (scale * x, target)
    before = unvanish.checkup(network, data, loss=nn.functional.cross_entropy)
    treated = treat(network, NAME, data, nn.functional.cross_entropy).model
    after = unvanish.checkup(treated, data, loss=nn.functional.cross_entropy)
    assert "UV301" in {finding.code for finding in before.diagnosis.findings}
    assert "UV301" not in {finding.code for finding in after.diagnosis.findings}


def test_the_gain_of_the_input_follows_from_the_length() -> None:
    plain = [input_gain("rnn_tanh", steps) for steps in (5, 50, 500, 5000)]
    assert plain == sorted(plain, reverse=True)
    assert plain[0] == 1.0
    assert plain[-1] < 0.5
    assert input_gain("rnn_relu", 100) < input_gain("rnn_tanh", 100)
    assert input_gain("lstm", 5000) == 1.0
