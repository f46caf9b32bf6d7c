"""Recurrences of equal units and tables of zeros are opened; healthy ones are refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from unvanish import checkup
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.registry import remedy_of
from unvanish.treat.treatment import case_of, treat


class Reader(nn.Module):
    def __init__(self, kind, value: float | None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.cell, self.out = kind(3, 6, batch_first=True), nn.Linear(6, 4)
        for name, p in self.cell.named_parameters():
            if value is not None:
                nn.init.constant_(p, 0.0 if "bias" in name else value)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.cell(x)[0][:, -1])


class Pairs(nn.Module):
    def __init__(self, both: bool) -> None:
        super().__init__()
        self.a, self.b = nn.Embedding(9, 16, padding_idx=0), nn.Embedding(9, 16)
        nn.init.zeros_(self.b.weight)
        if both:
            nn.init.zeros_(self.a.weight)

    def forward(self, x: Tensor) -> Tensor:
        return (self.a(x[:, 0]) * self.b(x[:, 1])).sum(1)


def assessed(net: nn.Module, batch, loss=None):
    case = case_of(net, batch, loss, diagnosis=checkup(net, batch, loss=loss).diagnosis)
    return remedy_of("break-symmetry").assess(case)


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_equal_units_of_a_recurrence_are_drawn_gate_by_gate_and_others_are_not(kind):
    batch = (torch.randn(16, 5, 3), torch.randint(0, 4, (16,)))
    net = Reader(kind, 0.1)
    found = assessed(net, batch)
    assert not isinstance(found, NotApplicable)
    assert {"cell.weight_ih_l0", "cell.weight_hh_l0"} <= set(found.places)
    cell = treat(net, found, batch).model.cell
    for gate in cell.weight_hh_l0.detach().split(6):
        torch.testing.assert_close(gate @ gate.T, torch.eye(6), atol=1e-5, rtol=0.0)
    assert len(cell.weight_ih_l0.detach().unique(dim=0)) == len(cell.weight_ih_l0)
    assert not cell.bias_ih_l0.any()
    assert isinstance(assessed(Reader(kind, None), batch), NotApplicable)


def test_one_of_two_zero_tables_is_drawn_and_a_zero_with_a_partner_stays():
    batch = (torch.randint(0, 9, (64, 2)), torch.randint(0, 2, (64,)).float())
    loss = nn.BCEWithLogitsLoss()
    found = assessed(Pairs(both=True), batch, loss)
    assert not isinstance(found, NotApplicable)
    assert found.places == ("a.weight",)
    net = treat(Pairs(both=True), found, batch, loss).model
    assert float(net.a.weight[1:].detach().std()) == pytest.approx(0.25, rel=0.25)
    assert not net.a.weight[0].any()
    assert not net.b.weight.any()
    loss(net(batch[0]), batch[1]).backward()
    assert net.b.weight.grad.any()
    assert isinstance(assessed(Pairs(both=False), batch, loss), NotApplicable)
