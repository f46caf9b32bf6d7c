"""A look through further batches for one whose gradient is no number."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import unvanish


class Twin(nn.Module):
    """The distance of two inputs behind one layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return (self.layer(left) - self.layer(right)).square().sum(1).sqrt()


def pairs(count: int, same: int | None) -> list[tuple[tuple[Tensor, Tensor], Tensor]]:
    """Batches of 8 pairs; in one of them a pair of equals."""
    generator = torch.Generator().manual_seed(0)
    made = []
    for number in range(count):
        left, right = (torch.randn(8, 4, generator=generator) for _ in range(2))
        if number == same:
            right[0] = left[0]
        made.append(((left, right), torch.rand(8, generator=generator)))
    return made


def look(batches: list, model: nn.Module | None = None) -> unvanish.Report:
    torch.manual_seed(0)
    return unvanish.checkup(model or Twin(), data=batches, loss=nn.functional.mse_loss)


@pytest.mark.parametrize("same", [5, 40])
def test_the_batch_that_fails_is_looked_at(same: int) -> None:
    report = look(pairs(60, same))
    (finding,) = (f for f in report.findings if f.code == "UV403")
    assert "sqrt backwards" in finding.message
    assert any(f"the one {same} after it" in said for said in report.recording.context.inferred)


@pytest.mark.parametrize("same", [None, 80])
def test_nothing_is_said_of_batches_that_are_fine_or_were_not_reached(same: int | None) -> None:
    report = look(pairs(90, same))
    assert not [f for f in report.findings if f.code == "UV403"]
    assert not any("was looked at" in said for said in report.recording.context.inferred)


def test_without_such_a_step_no_further_batch_is_drawn() -> None:
    drawn = []

    def batches():
        for number in range(50):
            drawn.append(number)
            yield torch.randn(8, 4), torch.randn(8, 3)

    look(batches(), nn.Linear(4, 3))
    assert len(drawn) <= 4


def test_the_model_is_left_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    unvanish.checkup(
        model,
        data=[(torch.ones(8, 4) + n, torch.rand(8, 4)) for n in range(9)],
        loss=lambda o, t: (o - t).norm(),
    )
    torch.set_rng_state(state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
