"""Loops over time, and the walks that look for them: as long as the network, not as its ways."""

from __future__ import annotations

import time

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from unvanish.core.wiring import Wiring
from unvanish.observe import trace
from unvanish.treat import treat
from unvanish.treat.anatomy import activation_name
from unvanish.treat.connecting import paths_of
from unvanish.treat.exchanging import SQUASHING, places_of
from unvanish.treat.loops import in_time_loops
from unvanish.treat.surgery import CannotTreatError
from unvanish.treat.treatment import case_of

BATCH = torch.randn(8, 6, 4), torch.randint(3, (8,))
FORKS = 26
"""Forks one behind the other: 2^26 ways lead through them."""


class Recurrent(nn.Module):
    """A recurrent network, written out."""

    def __init__(self):
        super().__init__()
        self.enter, self.keep = nn.Linear(4, 5), nn.Linear(5, 5)
        self.head = nn.Linear(5, 3)

    def forward(self, x):
        state = torch.zeros(len(x), 5)
        for t in range(x.shape[1]):
            state = torch.tanh(self.enter(x[:, t]) + self.keep(state))
        return self.head(state)


class Again(nn.Module):
    """One layer, again and again on its own output: deep, and no loop over time."""

    def __init__(self, forks=1):
        super().__init__()
        self.enter, self.layer, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)
        self.forks = forks

    def forward(self, x):
        h = self.enter(x[:, 0])
        for _ in range(self.forks + 1):
            h = torch.tanh(self.layer(h))
            h = 0.5 * h + h.abs()
        return self.head(h)


class Fed(nn.Module):
    """A fixed point that is looked for step by step: no stream, and no branch beside it."""

    def __init__(self):
        super().__init__()
        self.enter, self.layer, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x):
        u = self.enter(x[:, 0])
        h = torch.zeros_like(u)
        for _ in range(6):
            h = torch.relu(self.layer(h) + u)
        return self.head(h)


class Shared(Fed):
    """Residual blocks that share their weights."""

    def forward(self, x):
        h = self.enter(x[:, 0])
        for _ in range(6):
            h = h + torch.relu(self.layer(h))
        return self.head(h)


class Forked(Again):
    """Forks without layers between two calls of one function, and an attention before them."""

    def forward(self, x):
        x = self.enter(x)
        x = (F.softmax(x @ x.transpose(1, 2), dim=-1) @ x)[:, 0]
        for _ in range(self.forks):
            x = 0.5 * x + x.abs()
        for _ in range(2):
            x = torch.tanh(self.layer(x))
            for _ in range(self.forks):
                x = 0.5 * x + x.abs()
        return self.head(x)


def look(model):
    return trace(model, BATCH, F.cross_entropy, batches=1, probe_steps=0)


def looping(model):
    recording = look(model)
    sites = [site for site in recording.signal_sites() if activation_name(site)]
    return len(in_time_loops(Wiring(recording), sites)), len(sites)


def test_a_loop_over_time_takes_new_signal_at_each_step():
    assert looping(Recurrent()) == (6, 6)
    assert looping(Again(3))[0] == 0  # deep, with shared weights


@pytest.mark.parametrize("network", [Again, Forked])
def test_forks_one_behind_the_other_are_walked_once(network):
    case = case_of(network(FORKS), BATCH, F.cross_entropy)
    start = time.process_time()
    places_of(case.anatomy, SQUASHING)
    assert time.process_time() - start < 2.0


def test_what_feeds_a_loop_is_no_skip():
    assert not paths_of(case_of(Fed(), BATCH, F.cross_entropy)).branches
    assert not paths_of(case_of(Recurrent(), BATCH, F.cross_entropy)).branches
    assert sum(b.calls for b in paths_of(case_of(Shared(), BATCH, F.cross_entropy)).branches) == 6
    for remedy in ("rezero", "layer-scale", "skip-init", "scaled-residual"):
        with pytest.raises(CannotTreatError, match="does not fit"):
            treat(Fed(), remedy, BATCH, F.cross_entropy)
        assert treat(Shared(), remedy, BATCH, F.cross_entropy).receipts[0].edits
