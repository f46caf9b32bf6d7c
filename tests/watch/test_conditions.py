"""One of several processes says so."""

from __future__ import annotations

import torch
from torch import nn

from unvanish.watch import observe


def test_figures_of_one_process_of_several_are_called_so(monkeypatch):
    for name, value in (("is_initialized", True), ("get_world_size", 2)):
        monkeypatch.setattr(torch.distributed, name, lambda value=value: value)
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with observe(model, optimizer) as watch:
        for _ in range(2):
            optimizer.zero_grad()
            model(torch.ones(2, 3)).sum().backward()
            optimizer.step()
    conditions = watch.recording.conditions
    assert conditions.world_size == 2
    assert any("one of them" in each for each in conditions.unwatched)


def test_a_single_process_has_nothing_to_say():
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with observe(model, optimizer) as watch:
        model(torch.ones(2, 3)).sum().backward()
        optimizer.step()
    assert watch.recording.conditions.world_size == 1
    assert not watch.recording.conditions.unwatched
