"""Scores are divided where their softmax is taken, however it is called."""

from __future__ import annotations

import pytest

from unvanish.core.patches import Safety

SCRIPT = """import torch
import torch.nn.functional as F
from torch import nn


def batch():
    inputs = torch.randn(32, 6, 16)
    return inputs, inputs[:, 0, :3].argmax(dim=1)


def loss(output, target):
    return nn.functional.cross_entropy(output, target)


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.query = nn.Linear(16, 16, bias=False)
        self.key = nn.Linear(16, 16, bias=False)
        self.value = nn.Linear(16, 16)
        self.choose = nn.Softmax(dim=-1)
        self.head = nn.Linear(16, 3)
        for layer in (self.query, self.key):
            nn.init.normal_(layer.weight, std={size})

    def forward(self, x):
        q, k = self.query(x[:, 0]), self.key(x)
        scores = (q.unsqueeze(1) * k).sum(-1)
        {line}
        return self.head((weights.unsqueeze(-1) * self.value(x)).sum(1))
"""
LINES = {
    "weights = torch.softmax(scores, dim=1)": "weights = torch.softmax(scores / {n}, dim=1)",
    "weights = F.softmax(input=scores, dim=1)": "weights = F.softmax(input=scores / {n}, dim=1)",
    "weights = scores.softmax(-1)  # a row": "weights = (scores / {n}).softmax(-1)  # a row",
    "weights = (scores + 0.0).softmax(-1)": "weights = ((scores + 0.0) / {n}).softmax(-1)",
    "weights = self.choose(scores)": "weights = self.choose(scores / {n})",
    "weights = torch.softmax(scores - 1.0, 1)": "weights = torch.softmax((scores - 1.0) / {n}, 1)",
}


@pytest.mark.parametrize("line", LINES)
def test_scores_are_divided_where_the_softmax_is_taken(edited, line: str) -> None:
    found = edited(SCRIPT.format(size=0.3, line=line), "attention-scale")
    assert found.diff == [f"-        {line}", f"+        {LINES[line].format(n='4.0')}"]
    assert found.safety is Safety.CHANGES_FUNCTION


def test_far_larger_scores_are_divided_by_their_spread(edited) -> None:
    line = "weights = torch.softmax(scores, dim=1)"
    found = edited(SCRIPT.format(size=2.0, line=line), "attention-scale")
    assert found.diff[0] == f"-        {line}"
    divisor = found.diff[1].removeprefix("+        weights = torch.softmax(scores / ")
    assert float(divisor.removesuffix(", dim=1)")) > 50.0


def test_weights_that_are_to_start_smaller_are_left_to_the_user(edited) -> None:
    line = "weights = torch.softmax((k @ q.unsqueeze(-1) / 4.0).squeeze(-1), dim=1)"
    found = edited(SCRIPT.format(size=4.0, line=line), "attention-scale")
    assert "yours to choose" in found.unsafe
