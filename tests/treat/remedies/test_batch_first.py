"""Layers that run along the batch are told where the samples stand."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from unvanish import treat
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.registry import remedy_of
from unvanish.treat.treatment import case_of

STEPS = 12


class Reader(nn.Module):
    """Reads a sequence, and says whether the sum of its first feature is positive."""

    def __init__(self, *, batch_first: bool = False) -> None:
        super().__init__()
        self.rnn = nn.LSTM(4, 16, batch_first=batch_first)
        self.head = nn.Linear(16, 2)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


def batch(samples: int = 256):
    torch.manual_seed(1)
    x = torch.randn(samples, STEPS, 4)
    return x, (x[:, :, 0].sum(1) > 0).long()


def right_after_training(model: nn.Module) -> float:
    x, y = batch()
    torch.manual_seed(2)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(150):
        chosen = torch.randperm(len(x))[:64]
        optimizer.zero_grad()
        F.cross_entropy(model(x[chosen]), y[chosen]).backward()
        optimizer.step()
    model.eval()
    return float((model(x).argmax(1) == y).float().mean())


def reader(**settings) -> Reader:
    torch.manual_seed(0)
    return Reader(**settings)


def test_it_learns_what_it_did_not() -> None:
    treated = treat(reader(), "batch-first", batch(), "cross_entropy")
    assert treated.model.rnn.batch_first
    assert right_after_training(treated.model) > 0.9
    assert right_after_training(reader()) < 0.7


def test_all_attentions_are_told() -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16)
    body = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
    model = nn.Sequential(nn.Linear(4, 8), body, nn.AdaptiveAvgPool1d(1), nn.Flatten())
    x, _ = batch(24)
    treated = treat(model, "batch-first", (x, torch.randint(0, STEPS, (24,))), "cross_entropy")
    attentions = [m for m in treated.model.modules() if isinstance(m, nn.MultiheadAttention)]
    assert len(attentions) == 3
    assert all(attention.batch_first for attention in attentions)


def test_a_softmax_is_told_its_dimension() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.Softmax(0))
    data = (batch()[0][:, 0], torch.randint(0, 3, (256,)))
    treated = treat(model, "batch-first", data, lambda out, y: F.nll_loss(out.log(), y))
    assert treated.model[1].dim == -1
    assert torch.allclose(treated.model(data[0]).sum(1), torch.ones(256))


@pytest.mark.parametrize("how", ["right", "torn", "own"])
def test_what_it_does_not_fit(how) -> None:
    class Torn(Reader):
        def forward(self, x):
            return self.head(self.rnn(x.view(STEPS, -1, 4))[0][-1])

    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.lift, self.head = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x):
            return self.head((torch.softmax(self.lift(x), 0) * x).sum(1))

    model = {"right": lambda: Reader(batch_first=True), "torn": Torn, "own": Own}[how]()
    said = remedy_of("batch-first").assess(case_of(model, batch(), "cross_entropy"))
    assert isinstance(said, NotApplicable)
    assert {"right": "runs along", "torn": "torn", "own": "code of your own"}[how] in said.reason
