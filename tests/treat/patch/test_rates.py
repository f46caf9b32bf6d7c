"""A learning rate times a factor, wherever a file says it; other options of the optimiser."""

from __future__ import annotations

import pytest

NET = """import argparse
from dataclasses import dataclass

import torch
from torch import nn, optim


def batch():
    inputs = torch.randn(32, 6)
    return inputs, inputs[:, :3].argmax(dim=1)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(6, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(torch.relu(self.body(x)))
"""


@pytest.mark.parametrize(
    ("written", "factor", "removed", "added"),
    [
        (
            "def optimizer(model):\n    return optim.SGD(model.parameters(), lr=0.1)  # rate\n",
            0.1,
            "-    return optim.SGD(model.parameters(), lr=0.1)  # rate",
            "+    return optim.SGD(model.parameters(), lr=0.01)  # rate",
        ),
        (
            "def optimizer(model):\n    return optim.SGD(model.parameters(), 3e-4, momentum=0.9)\n",
            3.0,
            "-    return optim.SGD(model.parameters(), 3e-4, momentum=0.9)",
            "+    return optim.SGD(model.parameters(), 9e-4, momentum=0.9)",
        ),
        (
            "LR = 1e-3  # rate\n\ndef optimizer(model):\n"
            "    return optim.AdamW(model.parameters(), lr=LR)\n",
            0.1,
            "-LR = 1e-3  # rate",
            "+LR = 1e-4  # rate",
        ),
        (
            "LR = 1e-3\nFLOOR = LR / 10\n\ndef optimizer(model):\n"
            "    return optim.AdamW(model.parameters(), lr=LR)\n",
            0.1,
            "-    return optim.AdamW(model.parameters(), lr=LR)",
            "+    return optim.AdamW(model.parameters(), lr=0.0001)",
        ),
        (
            "def optimizer(model):\n    return optim.AdamW(model.parameters())\n",
            3.0,
            "-    return optim.AdamW(model.parameters())",
            "+    return optim.AdamW(model.parameters(), lr=0.003)",
        ),
        (
            "def optimizer(model, lr=2e-3):\n    return optim.AdamW(model.parameters(), lr=lr)\n",
            0.1,
            "-def optimizer(model, lr=2e-3):",
            "+def optimizer(model, lr=2e-4):",
        ),
        (
            "@dataclass\nclass Config:\n    lr: float = 0.01\n    depth: int = 3\n\n"
            "config = Config()\n\ndef optimizer(model):\n"
            "    return optim.SGD(model.parameters(), lr=config.lr)\n",
            0.1,
            "-    lr: float = 0.01",
            "+    lr: float = 0.001",
        ),
        (
            "optimizer = lambda model: optim.SGD(model.parameters(), lr=0.5)\n",
            0.1,
            "-optimizer = lambda model: optim.SGD(model.parameters(), lr=0.5)",
            "+optimizer = lambda model: optim.SGD(model.parameters(), lr=0.05)",
        ),
    ],
    ids=["keyword", "position", "constant", "used-twice", "unsaid", "default", "class", "lambda"],
)
def test_a_rate_is_written_where_it_is_said(edited, written, factor, removed, added) -> None:
    found = edited(f"{NET}\n{written}", "he", rate_factor=factor)
    rates = [line for line in found.diff if "init" not in line and "kaiming" not in line]
    assert removed in rates
    assert added in rates
    assert found.diff.count(added) == 1


def test_every_group_is_multiplied(edited) -> None:
    text = f"""{NET}
def optimizer(model):
    groups = [
        {{"params": model.body.parameters(), "lr": 1e-3}},  # body
        dict(params=model.head.parameters()),
    ]
    return optim.SGD(groups, lr=0.1)
"""
    found = edited(text, "he", rate_factor=0.3)
    assert '+        {"params": model.body.parameters(), "lr": 3e-4},  # body' in found.diff
    assert "+    return optim.SGD(groups, lr=0.03)" in found.diff


@pytest.mark.parametrize(
    "written",
    [
        "parser = argparse.ArgumentParser()\n"
        'parser.add_argument("--lr", type=float, default=0.1)\n'
        "args = parser.parse_args([])\n\n"
        "def optimizer(model):\n    return optim.SGD(model.parameters(), lr=args.lr)\n",
        "OPTIONS = dict(lr=0.1)\n\n"
        "def optimizer(model):\n    return optim.SGD(model.parameters(), **OPTIONS)\n",
        "def rate():\n    return 0.1\n\n"
        "def optimizer(model):\n    return optim.SGD(model.parameters(), lr=rate())\n",
    ],
    ids=["argparse", "starred", "called"],
)
def test_a_rate_that_cannot_be_followed_is_a_snippet(edited, written) -> None:
    found = edited(f"{NET}\n{written}", "he", rate_factor=0.1)
    assert found.unsafe
    assert 'group["lr"] *= 0.1' in found.patch.snippet


def test_a_group_that_is_missed_is_found_out(edited) -> None:
    text = f"""{NET}
def groups(model):
    return [
        {{"params": model.body.parameters(), "lr": 1e-3}},
        {{"params": model.head.parameters()}},
    ]


def optimizer(model):
    return optim.SGD(groups(model), lr=0.1)
"""
    unsafe = edited(text, "he", rate_factor=0.1).unsafe
    assert "two steps of its optimiser move body" in unsafe


def test_a_rate_that_a_remedy_writes_is_multiplied_once(edited) -> None:
    text = f"{NET}\ndef optimizer(model):\n    return optim.SGD(model.parameters(), lr=1e-5)\n"
    plain = edited(text, "learning-rate-range")
    found = edited(text, "learning-rate-range", rate_factor=0.1)
    rates = [
        float(line.partition("lr=")[2].rstrip(")"))
        for one in (plain, found)
        for line in one.diff
        if line.startswith("+")
    ]
    assert rates[1] == pytest.approx(0.1 * rates[0], rel=0.02)
    assert rates[0] > 1e-5


def test_decay_is_taken_off_every_group(edited) -> None:
    text = f"""{NET}
DECAY = 0.5


def optimizer(model):
    groups = [
        {{"params": model.body.parameters(), "weight_decay": 1.0}},
        {{"params": model.head.parameters()}},
    ]
    return optim.SGD(groups, lr=0.1, weight_decay=DECAY)
"""
    found = edited(text, "weight-decay-off")
    assert "+DECAY = 0.0" in found.diff
    assert '+        {"params": model.body.parameters(), "weight_decay": 0.0},' in found.diff
