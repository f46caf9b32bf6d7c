"""A number format for training, and the norms of PyTorch's transformer."""

from __future__ import annotations

import pytest

from unvanish.core.patches import Safety

HEAD = """import torch
from torch import nn

AUTOCAST = {autocast}  # speed


def batch():
    inputs = torch.randn(16, 5, 8)
    return inputs, inputs[:, 0, :3].argmax(dim=1)


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1)

"""
NET = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(8, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(torch.relu(self.body(x[:, 0])))
"""


@pytest.mark.parametrize(
    ("autocast", "becomes"),
    [('"float16"', '"bfloat16"'), ("'float16'", "'bfloat16'"), ("torch.float16", "torch.bfloat16")],
)
def test_the_recipe_and_its_loop_take_bfloat16(edited, autocast, becomes) -> None:
    loop = """

def train(model, inputs):
    with torch.autocast("cpu", dtype=torch.float16):
        return model(inputs)
"""
    found = edited(HEAD.format(autocast=autocast) + NET + loop, "bfloat16")
    assert f"+AUTOCAST = {becomes}  # speed" in found.diff
    assert '+    with torch.autocast("cpu", dtype=torch.bfloat16):' in found.diff


def test_a_format_that_is_computed_is_left(edited) -> None:
    text = HEAD.format(autocast='"float" + str(16)') + NET
    assert "cannot be followed" in edited(text, "bfloat16").unsafe


STACK = """
class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
{made}
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        return self.head(self.body(x).mean(1))
"""


@pytest.mark.parametrize(
    ("made", "layer", "stack"),
    [
        (
            "        layer = nn.TransformerEncoderLayer(width, 2, 16, 0.0, batch_first=True)\n"
            "        self.body = nn.TransformerEncoder(layer, 3)  # deep",
            "nn.TransformerEncoderLayer(width, 2, 16, 0.0, batch_first=True, norm_first=True)",
            "nn.TransformerEncoder(layer, 3, norm=nn.LayerNorm(width), "
            "enable_nested_tensor=False)  # deep",
        ),
        (
            "        layer = nn.TransformerEncoderLayer(\n"
            "            d_model=8, nhead=2, dropout=0.0, batch_first=True, norm_first=False\n"
            "        )\n"
            "        self.body = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)",
            "d_model=8, nhead=2, dropout=0.0, batch_first=True, norm_first=True",
            "nn.TransformerEncoder(layer, 3, enable_nested_tensor=False, norm=nn.LayerNorm(8))",
        ),
    ],
    ids=["positions", "keywords"],
)
def test_a_stack_that_begins_its_branches_with_a_norm(edited, made, layer, stack) -> None:
    found = edited(HEAD.format(autocast='""') + STACK.format(made=made), "pre-norm")
    assert layer in found.after
    assert stack in found.after


def test_blocks_of_ones_own_are_left(edited) -> None:
    text = """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)
        self.norm = nn.LayerNorm(8)

    def forward(self, x):
        return self.norm(x + self.b(torch.relu(self.a(x))))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 8)
        self.blocks = nn.Sequential(*(Block() for _ in range(3)))
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.blocks(self.first(x)).mean(1))


def model():
    return Net()
"""
    assert "moved by hand" in edited(HEAD.format(autocast='""') + text, "pre-norm").unsafe


CASTS = """import torch
import torch.nn.functional as F
from torch import nn


def batch():
    return torch.randn(16, 8), torch.randn(16, 2)


def loss(output, target):
    return 1e-8 * F.mse_loss(output, target)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(8, 8, bias=False), nn.Linear(8, 2, bias=False)
        self.dtype = torch.float16

    def forward(self, x):
        h = F.silu(F.linear({cast}, self.body.weight.half()))
        return (2.0 * F.linear(h, self.head.weight.to(self.dtype))).float()


def model():
    return Net()
"""


@pytest.mark.parametrize(
    ("cast", "becomes", "short"),
    [
        ("x.half()", "x.float()", "x.bfloat16()"),
        ("x.to(x.device, torch.half)", "x.to(x.device, torch.float32)",
         "x.to(x.device, torch.bfloat16)"),
        ("x.type(torch.float16)", "x.float()", "x.bfloat16()"),
        ("(x + 1.0).to(dtype=self.dtype)", "(x + 1.0).float()", "(x + 1.0).bfloat16()"),
        ("x.type_as(self.body.weight.half())", "x.float()", "x.bfloat16()"),
    ],
)  # fmt: skip
def test_casts_by_hand_are_written(edited, cast, becomes, short) -> None:
    text = CASTS.format(cast=cast)
    wide = edited(text, "float32-weights")
    assert f"+        h = F.silu(F.linear({becomes}, self.body.weight.float()))" in wide.diff
    assert "+        return (2.0 * F.linear(h, self.head.weight.float())).float()" in wide.diff
    assert wide.safety is Safety.CHANGES_FUNCTION
    narrow = edited(text, "bfloat16")
    assert f"+        h = F.silu(F.linear({short}, self.body.weight.bfloat16()))" in narrow.diff


def test_a_cast_whose_type_is_computed_is_left(edited) -> None:
    text = CASTS.format(cast='x.to(getattr(torch, "float" + str(16)))')
    text = text.replace("self.body.weight.half()", "\n            self.body.weight.half()")
    assert "cannot be followed" in edited(text, "float32-weights").unsafe
