"""The last function of a network is taken out, in several styles, or stays where it is shared."""

from __future__ import annotations

import pytest

from unvanish.core.patches import Safety

HEAD = """import torch
import torch.nn.functional as F
from torch import nn


def batch():
    inputs = torch.randn(32, 6)
    return inputs, inputs[:, :3].argmax(dim=1)


def loss(output, target):
    return F.cross_entropy(output, target)


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1)

"""
CLASS = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(6, 8)
        self.head = nn.Linear(8, 3)
        self.act = nn.Softmax(dim=1)  # probabilities

    def forward(self, x):
        x = torch.relu(self.body(x))
{end}
"""
LISTED = """
def model():
    return nn.Sequential(
        nn.Linear(6, 8),  # in
        nn.ReLU(),
        nn.Linear(8, 3),  # out
        nn.Softmax(dim=1),  # probabilities
    )
"""


def test_the_element_of_a_list_goes_with_its_line_and_its_comment_only(edited) -> None:
    found = edited(HEAD + LISTED, "drop-inner-softmax")
    assert found.diff == ["-        nn.Softmax(dim=1),  # probabilities"]
    assert found.safety is Safety.CHANGES_FUNCTION


@pytest.mark.parametrize(
    ("end", "removed", "added"),
    [
        (
            "        return torch.softmax(self.head(x), dim=1)  # sure",
            "-        return torch.softmax(self.head(x), dim=1)  # sure",
            "+        return self.head(x)  # sure",
        ),
        (
            "        return F.softmax(\n            self.head(x), dim=1\n        )",
            "-        return F.softmax(",
            "+        return self.head(x)",
        ),
        (
            "        return self.head(x).softmax(-1)",
            "-        return self.head(x).softmax(-1)",
            "+        return self.head(x)",
        ),
        (
            "        x = self.head(x)\n        x = F.softmax(x, dim=1)\n        return x",
            "-        x = F.softmax(x, dim=1)",
            "",
        ),
        (
            "        return self.act(self.head(x))",
            "-        self.act = nn.Softmax(dim=1)  # probabilities",
            "+        self.act = nn.Identity()  # probabilities",
        ),
        (
            "        return F.softmax(self.head(x) if x is not None else x, dim=1) + 0.0",
            "-        return F.softmax(self.head(x) if x is not None else x, dim=1) + 0.0",
            "+        return (self.head(x) if x is not None else x) + 0.0",
        ),
    ],
    ids=["torch", "lines", "method", "statement", "module", "operand"],
)
def test_the_end_of_a_forward(edited, end, removed, added) -> None:
    found = edited(HEAD + CLASS.format(end=end), "drop-inner-softmax")
    assert removed in found.diff
    assert [line for line in found.diff if line.startswith("+")] == ([added] if added else [])


def test_the_end_of_a_list_that_is_built_up(edited) -> None:
    text = """
def model():
    layers = []
    for a, b in [(6, 8), (8, 8)]:
        layers += [nn.Linear(a, b), nn.ReLU()]
    layers.append(nn.Linear(8, 3))
    layers.append(nn.Softmax(dim=1))
    return nn.Sequential(*layers)
"""
    found = edited(HEAD + text, "drop-inner-softmax")
    assert found.diff == ["-    layers.append(nn.Softmax(dim=1))"]


def test_a_line_of_several_elements_keeps_its_comma(edited) -> None:
    text = """
def model():
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3), nn.Softmax(dim=1))
"""
    found = edited(HEAD + text, "drop-inner-softmax")
    assert "+    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))" in found.diff


def test_logarithms_where_the_loss_wants_them(edited) -> None:
    text = HEAD.replace("F.cross_entropy", "F.nll_loss")
    end = "        return torch.softmax(self.head(x), dim=1)"
    found = edited(text + CLASS.format(end=end), "drop-inner-softmax")
    assert "+        return F.log_softmax(self.head(x), dim=-1)" in found.diff
    listed = edited(text + LISTED, "drop-inner-softmax")
    assert "+        nn.LogSoftmax(dim=-1),  # probabilities" in listed.diff


def test_a_line_that_also_makes_a_function_that_stays(edited) -> None:
    text = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3)])

    def forward(self, x):
        for layer in self.layers:
            x = torch.softmax(layer(x), dim=1)
        return x
"""
    assert "which stays" in edited(HEAD + text, "drop-inner-softmax").unsafe


def test_a_function_that_is_looked_up_is_left(edited) -> None:
    text = 'ENDS = {"p": torch.softmax}\n' + CLASS.format(
        end='        return ENDS["p"](self.head(x), 1)'
    )
    assert "cannot be followed" in edited(HEAD + text, "drop-inner-softmax").unsafe


SCORES = """import torch
import torch.nn.functional as F
from torch import nn


def batch():
    inputs = torch.randn(32, 6)
    return inputs, (inputs[:, :1] > 0).float()


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(6, 8)
        self.head = nn.Linear(8, 1)

    def forward(self, x):
        return torch.sigmoid(self.head(torch.tanh(self.body(x))))  # sure


"""


@pytest.mark.parametrize(
    ("written", "becomes"),
    [
        (
            "def loss(output, target):\n    return F.mse_loss(output, target)  # squared\n",
            "+    return F.binary_cross_entropy_with_logits(output, target)  # squared",
        ),
        ("loss = nn.MSELoss()  # squared\n", "+loss = nn.BCEWithLogitsLoss()  # squared"),
        ('loss = "mse_loss"\n', '+loss = "binary_cross_entropy_with_logits"'),
        ("loss = F.l1_loss\n", "+loss = F.binary_cross_entropy_with_logits"),
    ],
    ids=["function", "criterion", "name", "reference"],
)
def test_a_loss_of_scores(edited, written, becomes) -> None:
    found = edited(SCORES + written, "logits-loss")
    assert becomes in found.diff
    assert "+        return self.head(torch.tanh(self.body(x)))  # sure" in found.diff


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("def loss(output, target):\n    return ((output - target) ** 2).mean()\n", "in no places"),
        (
            "def loss(output, target):\n    return 3 * F.mse_loss(output, target)\n\n"
            "other = nn.MSELoss()\n",
            "in 2 places",
        ),
    ],
    ids=["by hand", "twice"],
)
def test_a_loss_that_cannot_be_told(edited, written, why) -> None:
    assert why in edited(SCORES + written, "logits-loss").unsafe
