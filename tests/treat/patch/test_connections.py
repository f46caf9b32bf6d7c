"""Connections: in a loop, round modules of a list, with a factor, beside what reads the data."""

from __future__ import annotations

import pytest

HEAD = """import torch
from torch import nn


def batch():
    inputs = torch.randn(32, 6)
    return inputs, inputs[:, :3].argmax(dim=1)


def loss(output, target):
    return nn.functional.cross_entropy(output, target)

"""
ONE_LOOP = """
class Net(nn.Module):
    def __init__(self, sizes=({first}, 16, 16, 16, 16)):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        for layer in self.layers:
            x = {body}  # squash
        return self.head(x)
"""
FACTORY = """
def model(sizes=(6, 16, 16, 16, 16)):
    layers = []
    for a, b in zip(sizes, sizes[1:]):
        layers += [nn.Linear(a, b), nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(16, 3))
"""
APART = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(6, 16)
        self.layers = nn.ModuleList(nn.Linear(16, 16) for _ in range(4))
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        x = torch.{name}(self.first(x))
        for layer in self.layers:
            x = torch.{name}(layer(x))  # squash
        return self.head(x)
"""


@pytest.mark.parametrize(
    ("name", "body", "lines"),
    [
        (
            "residual",
            "torch.tanh(layer(x))",
            [
                "+            y = torch.tanh(layer(x))  # squash",
                "+            x = x + y if y.shape == x.shape else y",
            ],
        ),
        (
            "residual",
            "torch.sigmoid(layer(x))",
            [
                "+            y = torch.sigmoid(layer(x))  # squash",
                "+            x = x + y - 0.5 if y.shape == x.shape else y",
            ],
        ),
        (
            "scaled-residual",
            "layer(x).sigmoid()",
            [
                "+            y = layer(x).sigmoid()  # squash",
                "+            x = x + 0.57735 * (y - 0.5) if y.shape == x.shape else y",
            ],
        ),
    ],
)
def test_the_layer_that_reads_the_data_runs_in_the_same_loop(edited, name, body, lines) -> None:
    found = edited(HEAD + ONE_LOOP.format(first=6, body=body), name)
    assert [line for line in found.diff if line.startswith("+")] == lines


@pytest.mark.parametrize(
    ("remedy", "made"), [("rezero", "zeros(())"), ("layer-scale", "full((16,), 0.1)")]
)
def test_the_layer_that_reads_the_data_has_no_factor(edited, remedy, made) -> None:
    found = edited(HEAD + ONE_LOOP.format(first=6, body="torch.tanh(layer(x))"), remedy)
    assert [line for line in found.diff if line.startswith("+")] == [
        f"+        self.scales = nn.ParameterList(nn.Parameter(torch.{made}) for _ in "
        "self.layers[1:])",
        "+        for number, layer in enumerate(self.layers):",
        "+            y = torch.tanh(layer(x))  # squash",
        "+            x = x + self.scales[number - 1] * y if y.shape == x.shape else y",
    ]


def test_a_layer_without_a_factor_in_the_middle_is_refused(edited) -> None:
    text = ONE_LOOP.format(first=6, body="torch.tanh(layer(x))")
    text = text.replace("16, 16, 16, 16)", "16, 16, 12, 16)")
    assert "width" in edited(HEAD + text, "rezero").unsafe


def test_the_layer_that_reads_the_data_is_made_by_the_same_line(edited) -> None:
    found = edited(HEAD + FACTORY, "residual")
    assert "+        layers += [Residual(nn.Linear(a, b), nn.Tanh())]" in found.diff
    assert "+        return x + out if out.shape == x.shape else out" in found.diff


WIDE = HEAD.replace("32, 6", "32, 16") + ONE_LOOP.format(first=16, body="torch.tanh(layer(x))")
LOOP = """        for layer in self.layers:
            x = torch.tanh(layer(x))  # squash
"""


@pytest.mark.parametrize(
    ("loop", "lines"),
    [
        (
            LOOP,
            [
                "+            y = torch.tanh(layer(x))  # squash",
                "+            x = x + y if layer is not self.layers[0] else y",
            ],
        ),
        (
            "        for layer in self.layers: x = layer(x).tanh()\n",
            [
                "+        for layer in self.layers:",
                "+            y = layer(x).tanh()",
                "+            x = x + y if layer is not self.layers[0] else y",
            ],
        ),
        (
            """        for i, layer in enumerate(self.layers):
            # the layer
            x = layer(x)
            x = torch.sigmoid(x)
""",
            [
                "+            skip = x",
                "+            y = torch.sigmoid(x)",
                "+            x = skip + y - 0.5 if layer is not self.layers[0] else y",
            ],
        ),
    ],
)
def test_data_as_wide_as_the_layers_are_told_by_the_first_of_the_loop(edited, loop, lines) -> None:
    found = edited(WIDE.replace(LOOP, loop), "residual")
    assert [line for line in found.diff if line.startswith("+")] == lines


def test_factors_of_a_loop_that_counts_by_itself(edited) -> None:
    loop = LOOP.replace("layer in self.layers", "i, layer in enumerate(self.layers)")
    found = edited(WIDE.replace(LOOP, loop), "rezero")
    assert (
        "+            x = x + self.scales[i - 1] * y if layer is not self.layers[0] else y"
        in found.diff
    )
    counted = edited(
        (HEAD + APART.format(name="tanh")).replace(
            "for layer in self.layers", "for i, layer in enumerate(self.layers)"
        ),
        "rezero",
    )
    assert "+            x = x + self.scales[i] * torch.tanh(layer(x))  # squash" in counted.diff


def test_data_as_wide_as_the_layers_of_a_list_could_not_be_told(edited) -> None:
    text = HEAD.replace("32, 6", "32, 16") + FACTORY.replace("(6, 16", "(16, 16")
    assert "also makes 0, which stays" in edited(text, "residual").unsafe


def test_a_block_whose_parts_have_other_names_is_left(edited) -> None:
    loop = """        for layer in self.layers:
            h = layer(x)
            x = torch.tanh(h)
"""
    assert (
        "no statement of the form x = f(x)" in edited(WIDE.replace(LOOP, loop), "residual").unsafe
    )


def test_names_that_are_taken(edited) -> None:
    text = ONE_LOOP.format(first=6, body="torch.tanh(layer(x))")
    text = text.replace("        for layer", "        y = out = hidden = 0\n        for layer")
    assert "all stand for something" in edited(HEAD + text, "residual").unsafe


def test_another_function_and_a_connection_in_one_statement(edited) -> None:
    found = edited(HEAD + APART.format(name="sigmoid"), "relu", "residual")
    assert "+            x = x + torch.relu(layer(x))  # squash" in found.diff
    listed = edited(HEAD + FACTORY, "relu", "batch-norm", "residual")
    block = "Residual(nn.Linear(a, b), nn.BatchNorm1d(b), nn.ReLU())"
    assert f"+        layers += [{block}]" in listed.diff


@pytest.mark.parametrize(
    ("remedy", "made"), [("rezero", "zeros(())"), ("layer-scale", "full((16,), 0.1)")]
)
def test_a_trained_factor_for_every_block_of_a_loop(edited, remedy, made) -> None:
    found = edited(HEAD + APART.format(name="tanh"), remedy)
    assert [line for line in found.diff if line.startswith("+")] == [
        f"+        self.scales = nn.ParameterList(nn.Parameter(torch.{made}) for _ in self.layers)",
        "+        for layer, scale in zip(self.layers, self.scales):",
        "+            x = x + scale * torch.tanh(layer(x))  # squash",
    ]


def test_a_trained_factor_in_a_module_of_a_list(edited) -> None:
    text = """
def model():
    layers = [nn.Linear(6, 16), nn.Tanh()]
    for _ in range(4):
        layers += [nn.Linear(16, 16), nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(16, 3))
"""
    plain = edited(HEAD + text, "rezero")
    assert "+        self.scale = nn.Parameter(torch.zeros(()))" in plain.diff
    assert "+        layers += [Residual(nn.Linear(16, 16), nn.Tanh())]" in plain.diff
    long = edited(HEAD + text, "layer-scale")
    assert "+        self.scale = nn.Parameter(torch.full((channels,), 0.1))" in long.diff
    assert "+        layers += [Residual(16, nn.Linear(16, 16), nn.Tanh())]" in long.diff


def test_a_factor_without_a_loop_that_counts_is_left(edited) -> None:
    text = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x):
        x = torch.tanh(self.a(x))
        x = torch.tanh(self.b(x))
        return self.c(x)
"""
    assert "no loop counts them" in edited(HEAD + text, "rezero").unsafe
    assert "+        x = x + torch.tanh(self.b(x))" in edited(HEAD + text, "residual").diff


BLOCKS = """
class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.a = nn.Linear(width, width)
        self.b = nn.Linear(width, width)

    def forward(self, x):
{forward}


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(6, 16)
        self.blocks = nn.Sequential(*(Block(16) for _ in range(4)))
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        return self.head(self.blocks(torch.relu(self.first(x))))


def model():
    return Net()
"""
SUM = "        return x + self.b(torch.relu(self.a(x)))  # skip"


@pytest.mark.parametrize(
    ("remedy", "forward", "lines"),
    [
        (
            "rezero",
            SUM,
            [
                "+        self.scale = nn.Parameter(torch.zeros(()))",
                "+        return x + self.scale * self.b(torch.relu(self.a(x)))  # skip",
            ],
        ),
        (
            "layer-scale",
            SUM,
            [
                "+        self.scale = nn.Parameter(torch.full((16,), 0.1))",
                "+        return x + self.scale * self.b(torch.relu(self.a(x)))  # skip",
            ],
        ),
        (
            "scaled-residual",
            SUM,
            ["+        return x + 0.5 * self.b(torch.relu(self.a(x)))  # skip"],
        ),
        (
            "skip-init",
            "        out = self.b(torch.relu(self.a(x)))\n        out += x\n        return out",
            [
                "+        self.scale = nn.Parameter(torch.zeros(()))",
                "+        out = self.scale * out + x",
            ],
        ),
        (
            "rezero",
            "        x = x + self.a(x.tanh())\n        return x + self.b(x.tanh())",
            [
                "+        self.scale = nn.Parameter(torch.zeros(()))",
                "+        self.scale_2 = nn.Parameter(torch.zeros(()))",
                "+        x = x + self.scale * self.a(x.tanh())",
                "+        return x + self.scale_2 * self.b(x.tanh())",
            ],
        ),
    ],
)
def test_branches_that_are_added_already(edited, remedy, forward, lines) -> None:
    found = edited(HEAD + BLOCKS.format(forward=forward), remedy)
    assert [line for line in found.diff if line.startswith("+")] == lines


def test_branches_that_a_loop_adds(edited) -> None:
    text = APART.format(name="tanh").replace("x = torch.tanh(layer", "x = x + torch.tanh(layer")
    found = edited(HEAD + text, "rezero")
    assert "+            x = x + scale * torch.tanh(layer(x))  # squash" in found.diff


def test_a_sum_of_two_things_that_are_computed_is_left(edited) -> None:
    forward = "        return torch.add(x, self.b(torch.relu(self.a(x))))"
    assert "cannot be followed" in edited(HEAD + BLOCKS.format(forward=forward), "rezero").unsafe
