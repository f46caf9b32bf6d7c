"""A short training of a copy where little gradient reaches the early layers."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

import unvanish


def stack(depth: int, activation: type[nn.Module], width: int = 64) -> nn.Sequential:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Linear(width, width), activation()]
    return nn.Sequential(*layers, nn.Linear(width, 4))


def batches(count: int = 3, width: int = 64) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    inputs = [torch.randn(32, width, generator=generator) for _ in range(count)]
    return [(x, (x[:, 0] > 0).long() + 2 * (x[:, 1] > 0).long()) for x in inputs]


def look(model: nn.Module, data: list, rate: float = 3e-3) -> unvanish.Recording:
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    report = unvanish.checkup(
        model, data=data, loss=nn.functional.cross_entropy, optimizer=optimizer
    )
    return report.recording


def test_a_network_that_learns_all_the_same_has_learnt_its_batches() -> None:
    run = look(stack(10, nn.ReLU), batches()).training
    assert run is not None
    assert run.loss_after < 0.5 * run.loss_mismatched
    assert run.loss_after < run.loss_before


def test_a_network_that_is_stuck_answers_every_input_alike() -> None:
    run = look(stack(5, nn.Sigmoid), batches(), rate=1e-4).training
    assert run is not None
    assert run.loss_after > 0.9 * run.loss_mismatched


def test_nothing_is_trained_without_reason_or_without_a_second_batch() -> None:
    assert look(stack(3, nn.ReLU), batches()).training is None
    assert look(stack(10, nn.ReLU), batches(1)).training is None
    uneven = [(x[: 30 + n], y[: 30 + n]) for n, (x, y) in enumerate(batches())]
    assert look(stack(10, nn.ReLU), uneven).training is None


def test_it_can_be_saved_and_opened(tmp_path: Path) -> None:
    recording = look(stack(10, nn.ReLU), batches())
    recording.save(tmp_path / "look.json")
    assert unvanish.Recording.load(tmp_path / "look.json").training == recording.training
