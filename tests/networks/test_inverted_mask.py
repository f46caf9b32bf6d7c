"""A pooling query that sees the padding in place of the tokens."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import unvanish
from unvanish.core.findings import Cause, Severity


class Pooled(nn.Module):
    """A learned query over embedded tokens, those after the end masked, or all but those."""

    def __init__(self, *, inverted: bool) -> None:
        super().__init__()
        self.inverted = inverted
        self.embed = nn.Embedding(12, 16, padding_idx=0)
        self.mix = nn.Linear(16, 16)
        self.query = nn.Parameter(0.02 * torch.randn(1, 1, 16))
        self.attend = nn.MultiheadAttention(16, 2, batch_first=True)
        self.head = nn.Linear(16, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        padding = tokens == 0
        states = self.mix(self.embed(tokens))
        query = self.query.expand(len(tokens), -1, -1)
        mask = ~padding if self.inverted else padding
        pooled, _ = self.attend(query, states, states, key_padding_mask=mask, need_weights=False)
        answer: Tensor = self.head(pooled[:, 0])
        return answer


def batches() -> list[tuple[Tensor, Tensor]]:
    kind = torch.randint(2, (256,))
    tokens = torch.randint(1, 6, (256, 12)) + 6 * kind[:, None] * (torch.rand(256, 12) < 0.5)
    tokens[:, 8:] = 0
    return list(zip(tokens.split(64), kind.split(64), strict=True))


@pytest.mark.parametrize("inverted", [True, False])
def test_a_mask_that_leaves_the_tokens_out_is_found(inverted: bool) -> None:
    torch.manual_seed(0)
    model = Pooled(inverted=inverted)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    report = unvanish.checkup(model, data=batches(), loss="cross_entropy", optimizer=optimizer)
    found = [f for f in report.findings if f.severity is not Severity.NOTE]
    if not inverted:
        assert not found
        return
    assert [(f.code, f.causes[0]) for f in found] == [("UV103", Cause.SOFTMAX_SATURATION)]
