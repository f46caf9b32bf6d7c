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


class Opened(nn.Module):
    """Products of zeros that belong to no layer: a chain of matrices, vectors, rows of a table."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        shapes = {"chain": [(6, 5), (5, 5), (5, 4)], "vectors": [(4,), (4,)], "rows": [(9, 8)] * 2}
        self.zeros = nn.ParameterList(nn.Parameter(torch.zeros(s)) for s in shapes[kind])
        self.layer = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "rows":
            at = (x[:, :2].abs() * 3).long().clamp(max=8)
            picked = self.zeros[0][at[:, 0]] * self.zeros[1][at[:, 1]]
            return torch.cat([picked.sum(1, keepdim=True), x[:, :3]], dim=1)
        if self.kind == "vectors":
            out = torch.tanh(self.layer(x))
            for factor in self.zeros:
                out = factor * out
            return out
        for factor in self.zeros:
            x = x @ factor
        return x


@pytest.mark.parametrize(
    ("kind", "places"),
    [
        ("chain", ("zeros.0", "zeros.1")),
        ("vectors", ("zeros.0",)),
        ("rows", ("zeros.0",)),
    ],
)
def test_all_zeros_on_a_way_but_the_last_are_drawn(kind, places):
    torch.manual_seed(0)
    batch = (torch.randn(64, 6), torch.randint(0, 4, (64,)))
    loss = nn.CrossEntropyLoss()
    net = treat(Opened(kind), "break-symmetry", batch, loss).model
    assert tuple(n for n, p in net.named_parameters() if "zeros" in n and p.any()) == places
    loss(net(batch[0]), batch[1]).backward()
    assert net.zeros[-1].grad.any()
    checked = checkup(net, batch, loss=loss).diagnosis
    assert "UV104" not in {finding.code for finding in checked.findings}


def test_of_a_product_within_one_layer_and_a_head_the_head_stays_zero():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 5), Square(5), nn.Linear(5, 4))
    for name, p in net.named_parameters():
        if name != "0.weight":
            nn.init.zeros_(p)
    batch = (torch.randn(64, 6), torch.randint(0, 4, (64,)))
    treated = treat(net, "break-symmetry", batch, nn.CrossEntropyLoss()).model
    assert treated[1].weight.any()
    assert not treated[2].weight.any()


class Square(nn.Bilinear):
    def __init__(self, width: int) -> None:
        super().__init__(width, width, width)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x, x)


def test_a_vector_of_zeros_passes_on_what_it_meets():
    batch = (torch.randn(64, 6), torch.randint(0, 4, (64,)))
    net = treat(Opened("vectors"), "break-symmetry", batch, nn.CrossEntropyLoss()).model
    torch.testing.assert_close(net.zeros[0].detach(), torch.ones(4))
