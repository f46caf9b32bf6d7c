"""Whether answers depend on the other samples of the batch, and where they are mixed."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from unvanish.core.incidents import Crossing
from unvanish.observe import trace

SAMPLES, STEPS, FEATURES = 12, 7, 6


class Reader(nn.Module):
    """Reads a sequence, and answers with two scores."""

    def __init__(self, part: nn.Module, how: str = "last") -> None:
        super().__init__()
        self.part, self.how = part, how
        self.head = nn.Linear(FEATURES, 2)

    def forward(self, x):
        if self.how == "view":
            return self.head(self.part(x.view(STEPS, -1, FEATURES))[0][-1])
        if self.how == "transpose":
            return self.head(self.part(x.transpose(0, 1))[0][-1])
        if isinstance(self.part, nn.MultiheadAttention):
            return self.head(self.part(x, x, x)[0][:, 0])
        out = self.part(x)
        return self.head((out[0] if isinstance(out, tuple) else out)[:, -1])


def batch(target: torch.Tensor | None = None):
    torch.manual_seed(1)
    return torch.randn(SAMPLES, STEPS, FEATURES), (
        torch.randint(0, 2, (SAMPLES,)) if target is None else target
    )


def crossing(model: nn.Module, data=None, loss=F.cross_entropy) -> Crossing | None:
    torch.manual_seed(0)
    return trace(model, data or batch(), loss, probe_steps=0).crossing


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_a_recurrence_along_the_batch(kind) -> None:
    found = crossing(Reader(kind(FEATURES, FEATURES)))
    assert found is not None
    assert found.op in {"lstm", "gru", "rnn_tanh"}
    assert found.path == "part"
    assert found.shape == (SAMPLES, STEPS, FEATURES)
    assert (found.changed, found.others) == (SAMPLES - 1, SAMPLES - 1)
    assert found.share > 0.0
    assert not found.is_torn
    assert not found.is_single


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("both", [False, True])
def test_a_recurrence_along_the_sequence(kind, both) -> None:
    model = Reader(
        kind(
            FEATURES,
            FEATURES // 2 if both else FEATURES,
            2,
            batch_first=True,
            bidirectional=both,
            dropout=0.5,
        )
    )
    assert crossing(model) == Crossing(others=SAMPLES - 1, changed=0, share=0.0)


def test_attention_along_the_batch_and_along_the_sequence() -> None:
    found = crossing(Reader(nn.MultiheadAttention(FEATURES, 2)))
    assert found is not None
    assert (found.op, found.path) == ("multi_head_attention_forward", "part")
    right = crossing(Reader(nn.MultiheadAttention(FEATURES, 2, batch_first=True)))
    assert right == Crossing(others=SAMPLES - 1, changed=0, share=0.0)


@pytest.mark.parametrize("batch_first", [False, True])
def test_an_encoder_of_pytorch(batch_first) -> None:
    layer = nn.TransformerEncoderLayer(FEATURES, 2, 8, batch_first=batch_first)
    found = crossing(Reader(nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)))
    assert found is not None
    assert (found.path == "part.layers.0.self_attn") is not batch_first
    assert (found.changed > 0) is not batch_first


def test_time_first_by_transpose_is_right_and_by_view_is_torn() -> None:
    right = crossing(Reader(nn.GRU(FEATURES, FEATURES), "transpose"))
    assert right == Crossing(others=SAMPLES - 1, changed=0, share=0.0)
    torn = crossing(Reader(nn.GRU(FEATURES, FEATURES), "view"))
    assert torn is not None
    assert torn.is_torn
    assert torn.op == "gru"


def test_a_softmax_over_the_batch() -> None:
    model = nn.Sequential(nn.Linear(FEATURES, 3), nn.Softmax(dim=0))
    torch.manual_seed(2)
    data = (torch.randn(SAMPLES, FEATURES), torch.randint(0, 3, (SAMPLES,)))
    found = crossing(model, data, lambda out, y: F.nll_loss(torch.log(out), y))
    assert found is not None
    assert (found.op, found.path) == ("softmax", "1")
    model[1].dim = -1
    right = crossing(model, data, lambda out, y: F.nll_loss(torch.log(out), y))
    assert right == Crossing(others=SAMPLES - 1, changed=0, share=0.0)


def test_rows_of_a_table_as_sequences_of_one_step() -> None:
    class Rows(nn.Module):
        def __init__(self):
            super().__init__()
            self.part, self.head = nn.LSTM(FEATURES, 8), nn.Linear(8, 1)

        def forward(self, x):
            return self.head(self.part(x[:, None])[0][:, 0])

    torch.manual_seed(2)
    found = crossing(Rows(), (torch.randn(SAMPLES, FEATURES), torch.randn(SAMPLES, 1)), F.mse_loss)
    assert found is not None
    assert found.is_single


def test_a_sequence_that_stands_first_with_a_target_for_each_step_is_not_asked() -> None:
    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.part, self.head = nn.LSTM(FEATURES, 8), nn.Linear(8, 1)

        def forward(self, x):
            return self.head(self.part(x)[0])[..., 0]

    torch.manual_seed(2)
    data = (torch.randn(SAMPLES, STEPS, FEATURES), torch.randn(SAMPLES, STEPS))
    assert crossing(Tagger(), data, F.mse_loss) is None


def test_similarities_and_norms_of_a_batch_are_made_to_mix() -> None:
    class Pairs(nn.Module):
        def __init__(self):
            super().__init__()
            self.part = nn.GRU(FEATURES, 8, batch_first=True)

        def forward(self, x):
            z = self.part(x)[0][:, -1]
            return z @ z.T

    found = crossing(Pairs(), (batch()[0], torch.arange(SAMPLES)))
    assert found is not None
    assert found.changed
    assert found.op == ""
    normed = nn.Sequential(nn.Linear(FEATURES, 8), nn.BatchNorm1d(8), nn.Softmax(-1))
    torch.manual_seed(2)
    data = (torch.randn(SAMPLES, FEATURES), torch.randint(0, 8, (SAMPLES,)))
    assert crossing(normed, data) == Crossing(others=SAMPLES - 1, changed=0, share=0.0)


def test_what_is_not_asked() -> None:
    assert crossing(nn.Sequential(nn.Flatten(), nn.Linear(STEPS * FEATURES, 2))) is None
    alike = (torch.ones(SAMPLES, STEPS, FEATURES), torch.zeros(SAMPLES, dtype=torch.long))
    assert crossing(Reader(nn.LSTM(FEATURES, FEATURES)), alike) is None


def test_as_many_steps_as_samples_may_be_either_way_round() -> None:
    torch.manual_seed(2)
    data = (torch.randn(STEPS, STEPS, FEATURES), torch.randint(0, 2, (STEPS,)))
    assert crossing(Reader(nn.LSTM(FEATURES, FEATURES)), data) is None


def test_a_network_that_goes_on_from_where_it_was_is_not_asked() -> None:
    class Carrying(nn.Module):
        def __init__(self):
            super().__init__()
            self.part, self.head = nn.GRU(FEATURES, 8, batch_first=True), nn.Linear(8, 2)
            self.state = None

        def forward(self, x):
            out, state = self.part(x, self.state)
            self.state = state.detach()
            return self.head(out[:, -1])

    model = Carrying()
    assert crossing(model) is None
    assert model.state is None


class Nodes(nn.Module):
    """Attention among the nodes of one graph, written in several ways."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.lift, self.score, self.head = nn.Linear(FEATURES, 8), nn.Linear(8, 2), nn.Linear(8, 2)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=how != "rows")
        ring = torch.eye(SAMPLES) + torch.eye(SAMPLES).roll(1, 0) + torch.eye(SAMPLES).roll(-1, 0)
        self.register_buffer("near", ring)

    def forward(self, x):
        h = self.lift(x)
        if self.how == "edges":
            left, right = self.score(h).unbind(-1)
            scores = (left[:, None] + right).masked_fill(self.near == 0.0, -1e9)
            return self.head(scores.softmax(-1) @ h)
        if self.how == "context":
            return self.head(h + (self.score(h).softmax(0)[:, :1] * h).sum(0))
        if self.how == "heads":
            parts = h.view(1, SAMPLES, 2, 4).transpose(1, 2)
            mixed = F.scaled_dot_product_attention(parts, parts, parts)
            return self.head(mixed.transpose(1, 2).reshape(SAMPLES, 8))
        rows = h[:, None] if self.how == "rows" else h[None]
        return self.head(self.attention(rows, rows, rows)[0].reshape(SAMPLES, 8))


@pytest.mark.parametrize("how", ["edges", "context", "heads", "rows", "batch"])
def test_nodes_of_a_graph_are_made_to_see_each_other(how) -> None:
    torch.manual_seed(2)
    data = (torch.randn(SAMPLES, FEATURES), torch.randint(0, 2, (SAMPLES,)))
    found = crossing(Nodes(how), data)
    assert found is not None
    assert found.changed
    assert found.op == ""
