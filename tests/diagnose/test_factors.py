"""Which operation lost the gradient: the parts add up and blame the right one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import unvanish
from unvanish.core.findings import Cause, Finding
from unvanish.core.glossary import Quantity
from unvanish.core.records import Site
from unvanish.diagnose.factors import LossFactors, loss_factors
from unvanish.diagnose.propagation import propagation_flow
from unvanish.testing import recording_of


class Stack(nn.Module):
    """Twelve He-initialised layers with a step of choice after each ReLU."""

    def __init__(self, after: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        torch.set_num_threads(1)
        self.after = after
        self.layers = nn.ModuleList(nn.Linear(64, 64) for _ in range(12))
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight)
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.relu(layer(x))
            if self.after == "scale":
                x = 0.2 * x
            elif self.after == "twice":
                x = torch.sigmoid(torch.tanh(x))
            elif self.after == "round":
                x = torch.round(x)
        return self.head(x)


def checked(after: str) -> tuple[Finding, LossFactors]:
    batch = torch.randn(64, 64), torch.randint(0, 10, (64,))
    report = unvanish.checkup(Stack(after), batch, select=["UV101"])
    (found,) = report.findings
    flow = propagation_flow(report.recording)
    assert flow is not None
    return found, loss_factors(report.recording, flow, flow.levels[0])


def test_a_scaling_step_is_named_and_the_weights_are_not() -> None:
    found, factors = checked("scale")
    assert found.causes[0] is Cause.DEPTH_WITHOUT_SKIP
    assert Cause.INIT_TOO_SMALL not in found.causes
    assert "mul took 8.4 (x0.2 each time)" in factors.summary
    assert found.notes[0].startswith("mul at ")


def test_two_activations_in_a_row_are_both_on_the_bill() -> None:
    found, factors = checked("twice")
    assert found.causes[0] is Cause.ACTIVATION_SLOPE
    assert "sigmoid took" in factors.summary
    assert found.notes[0].startswith("sigmoid never passes more than 0.25")


def test_what_the_ledger_shows_is_no_note_as_well() -> None:
    found, factors = checked("scale")
    assert factors.summary
    assert factors.summary not in found.notes


def test_a_step_without_slope_is_no_dead_unit() -> None:
    found, _ = checked("round")
    assert found.measured == float("inf")
    assert found.causes[0] is Cause.ACTIVATION_SLOPE
    assert "round" in found.notes[0]
    assert "has slope zero everywhere" in found.notes[0]


@pytest.mark.parametrize("after", ["scale", "twice"])
def test_the_parts_add_up_to_the_whole(after: str) -> None:
    found, factors = checked(after)
    numbers = [
        float(word.split()[0])
        for word in factors.summary.replace("gave back ", "took -").split("took ")[1:]
    ]
    assert sum(numbers) == pytest.approx(found.measured, abs=0.3)  # small parts are left out


def test_a_step_that_is_neither_layer_nor_activation_may_be_missing() -> None:
    """Losses of activations without a recorded slope are no other step's."""
    quantities = (Quantity.LOG10_ACTIVATION_GRAD_RMS, Quantity.LOG10_PROBE_GRAD_RMS)
    sites = [
        Site(
            index=0,
            path=f"layers.{i}",
            op="tanh" if i % 2 else "linear",
            depth=i // 2 + 1,
            weights=() if i % 2 else (f"layers.{i}.weight",),
            size=64,
            can_saturate=bool(i % 2),
            slope_cap=1.0 if i % 2 else float("nan"),
        )
        for i in range(13)
    ]
    grads = [-0.5 * (12 - i) for i in range(13)]
    recording = recording_of(*sites, profiles=dict.fromkeys(quantities, grads))
    flow = propagation_flow(recording)
    assert flow is not None
    factors = loss_factors(recording, flow, flow.levels[0])
    assert "tanh took" in factors.summary
    assert factors.help
