"""Where the samples stand is written where the layer is made."""

from __future__ import annotations

import pytest

from unvanish.core.patches import Safety

NETWORK = """import torch
from torch import nn

OWN = dict(batch_first=False)


def batch():
    return torch.randn(16, 9, 8), torch.randint(0, 3, (16,))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = {body}
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        {forward}
        return self.head(x[:, 0])
"""

RECURRENT = "x, _ = self.body(x)"
ENCODER = "x = self.body(x)"


@pytest.mark.parametrize(
    ("body", "forward", "becomes"),
    [
        ("nn.LSTM(8, 8)", RECURRENT, "nn.LSTM(8, 8, batch_first=True)"),
        ("nn.GRU(8, 8, batch_first=False)", RECURRENT, "nn.GRU(8, 8, batch_first=True)"),
        ("nn.RNN(input_size=8, hidden_size=8)", RECURRENT, "hidden_size=8, batch_first=True)"),
        (
            "nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16), 2, None, False)",
            ENCODER,
            "nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)",
        ),
    ],
)
def test_where_it_is_said(edited, body: str, forward: str, becomes: str) -> None:
    found = edited(NETWORK.format(body=body, forward=forward), "batch-first")
    assert becomes in found.diff[-1]
    assert found.safety is not Safety.SAFE


def test_what_comes_from_elsewhere_is_left_to_the_user(edited) -> None:
    found = edited(NETWORK.format(body="nn.LSTM(8, 8, **OWN)", forward=RECURRENT), "batch-first")
    assert "options from elsewhere" in found.unsafe
