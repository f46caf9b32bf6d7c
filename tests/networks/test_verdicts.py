"""Real networks of known health: the sick are found with their cause, the healthy left alone."""

from __future__ import annotations

import pytest
import torch
from tests.networks.zoo import HEALTHY, SICK

import unvanish


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_network_is_left_in_peace(name: str, seed: int) -> None:
    torch.manual_seed(seed)
    model, batch = HEALTHY[name]()
    report = unvanish.checkup(model, batch)
    assert report.worst == "clear", [f.message for f in report.findings]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", SICK)
def test_a_sick_network_is_found_with_its_cause(name: str, seed: int) -> None:
    torch.manual_seed(seed)
    make, code, cause = SICK[name]
    report = unvanish.checkup(*make())
    found = {finding.code: finding for finding in report.findings}
    assert code in found
    assert found[code].causes[0] == cause
    assert found[code].sites
    assert report.exit_code() == 1


@pytest.mark.parametrize("scale", [1e-6, 1e4])
def test_the_scale_of_the_loss_is_no_verdict(scale: float) -> None:
    torch.manual_seed(0)
    model, batch = HEALTHY["relu 10, he"]()

    def loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return scale * torch.nn.functional.cross_entropy(output, target)

    report = unvanish.checkup(model, batch, loss=loss, select=["UV1", "UV2", "UV5"])
    assert report.worst == "clear"


def test_a_converged_network_is_clear() -> None:
    torch.manual_seed(0)
    model, batch = HEALTHY["relu 5, torch's default"]()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(300):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(batch[0]), batch[1]).backward()
        optimizer.step()
    report = unvanish.checkup(model, batch, optimizer=optimizer)
    assert report.recording.context.loss_value < 1e-2
    assert report.worst == "clear", [f.message for f in report.findings]


def test_fifty_thousand_classes_are_clear() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(16, 16), torch.nn.ReLU(), torch.nn.Linear(16, 50_000)
    )
    batch = torch.randn(8, 16), torch.randint(0, 50_000, (8,))
    assert unvanish.checkup(model, batch, probe_steps=1).worst == "clear"
