"""A momentum is written where the normalisation is made."""

from __future__ import annotations

import pytest

from unvanish.core.patches import Safety

NETWORK = """import torch
from functools import partial
from torch import nn

DECAY = 0.9997
{before}


def batch():
    return torch.randn(32, 12), torch.randint(0, 3, (32,))


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=1e-3)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        {options}
        self.layer = nn.Linear(12, 8)
        self.norm = {norm}
        self.last = nn.Linear(8, 3)

    def forward(self, x):
        return self.last(self.norm(self.layer(x)).relu())
"""


def script(norm: str, options: str = "pass", before: str = "") -> str:
    return NETWORK.format(norm=norm, options=options, before=before)


@pytest.mark.parametrize(
    ("norm", "options", "becomes"),
    [
        ("nn.BatchNorm1d(8, momentum=1 - DECAY)", "pass", "nn.BatchNorm1d(8, momentum=0.1)"),
        ("nn.BatchNorm1d(8, momentum=0.99, eps=1e-3)", "pass", "(8, momentum=0.1, eps=1e-3)"),
        ("nn.BatchNorm1d(8, 1e-3, 0.99)", "pass", "nn.BatchNorm1d(8, 1e-3, 0.1)"),
        ("nn.BatchNorm1d(8, 1e-3, momentum=0)", "pass", "nn.BatchNorm1d(8, 1e-3, momentum=0.1)"),
        (
            "nn.BatchNorm1d(8, **own)",
            "own = dict(eps=1e-3, momentum=1 - DECAY)",
            "own = dict(eps=1e-3, momentum=0.1)",
        ),
        (
            "nn.BatchNorm1d(8, **own)",
            'own = {"momentum": 1 - DECAY, "eps": 1e-3}',
            'own = {"momentum": 0.1, "eps": 1e-3}',
        ),
        (
            "nn.BatchNorm1d(8, **own, momentum=0.99)",
            'own = {"eps": 1e-3}',
            "nn.BatchNorm1d(8, **own, momentum=0.1)",
        ),
    ],
)
def test_where_it_is_said(edited, norm: str, options: str, becomes: str) -> None:
    found = edited(script(norm, options), "running-statistics")
    gone, come = found.diff
    assert gone[0] == "-"
    assert becomes in come
    assert found.safety is Safety.SAFE


def test_layers_that_one_line_makes(edited) -> None:
    text = script("nn.Sequential(*(nn.BatchNorm1d(8, momentum=0.99) for _ in range(3)))")
    assert "(nn.BatchNorm1d(8, momentum=0.1) for _ in" in edited(text, "running-statistics").diff[1]


@pytest.mark.parametrize(
    ("norm", "options", "before", "why"),
    [
        ("make(8)", "pass", "make = partial(nn.BatchNorm1d, momentum=0.99)", "momentum=0.1"),
        (
            "nn.BatchNorm1d(8, **options())",
            "pass",
            "def options():\n    return {'momentum': 0.99}",
            "momentum=0.1 where line 23 takes its options from",
        ),
        (
            "nn.Sequential(*(nn.BatchNorm1d(8, momentum=m) for m in (0.99, 0.05)))",
            "pass",
            "",
            "which stays",
        ),
    ],
)
def test_what_does_not_show_is_left_to_the_user(
    edited, norm: str, options: str, before: str, why: str
) -> None:
    assert why in edited(script(norm, options, before), "running-statistics").unsafe
