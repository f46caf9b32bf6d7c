"""The step that standardises data: before a layer of a list, in a forward, before a loop."""

from __future__ import annotations

import pytest

HEAD = """import torch
from torch import nn


def batch():
    inputs = torch.arange({n}) + 40 * torch.randn(64, {n}) + 100
    return inputs, inputs[:, :3].argmax(dim=1)


def loss(output, target):
    return nn.functional.cross_entropy(output, target)

"""
SEQUENTIAL = """
def model():
    return nn.Sequential(
        # data comes in here
        nn.Linear(6, 8),
        nn.Tanh(),
        nn.Linear(8, 3),
    )
"""
FORWARD = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(6, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(torch.tanh(self.body({given})))  # scores
"""
LOOP = """
class Net(nn.Module):
    def __init__(self, widths=(6, 8, 8, 3)):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, widths[1:]))

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = torch.tanh(layer(x))
        return self.layers[-1](x)
"""


def test_a_module_at_the_head_of_a_list(edited) -> None:
    found = edited(HEAD.format(n=6) + SEQUENTIAL, "standardise-input")
    assert "+        Standardise(MEAN, DEVIATION)," in found.diff
    assert (
        "        # data comes in here\n        Standardise(MEAN, DEVIATION),\n        nn.Linear"
        in found.after
    )
    assert not [line for line in found.diff if line.startswith("-")]


@pytest.mark.parametrize(
    ("given", "becomes"),
    [("x", "(x - self.mean) / "), ("x / 2 + 1", "((x / 2 + 1) - self.mean) / ")],
)
def test_an_argument_in_a_forward(edited, given, becomes) -> None:
    found = edited(HEAD.format(n=6) + FORWARD.format(given=given), "standardise-input")
    assert f"self.body({becomes}" in found.after
    assert ")))  # scores" in found.after
    assert 'self.register_buffer("mean", torch.tensor(' in found.after


def test_a_statement_before_a_loop(edited) -> None:
    found = edited(HEAD.format(n=6) + LOOP, "standardise-input")
    added = [line for line in found.diff if line.startswith("+")]
    assert added[-1].startswith("+        x = (x - self.mean) / ")
    assert not [line for line in found.diff if line.startswith("-")]


def test_all_layers_made_by_one_line(edited) -> None:
    text = """
def model(widths=(6, 8, 8)):
    layers = []
    for a, b in zip(widths, widths[1:]):
        layers += [nn.Linear(a, b), nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(8, 3))
"""
    found = edited(HEAD.format(n=6) + text, "standardise-input")
    assert "nn.Sequential(Standardise(MEAN, DEVIATION), *layers, nn.Linear(8, 3))" in found.after


IMAGES = """import torch
from torch import nn


def batch():
    inputs = 255 * torch.rand(16, {channels}, 8, 8)
    return inputs, (inputs.mean((1, 2, 3)) > 127).long()


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d({channels}, 4, 3)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        return self.head(torch.relu(self.conv(x)).mean((2, 3)))
"""


def test_one_channel_needs_two_numbers(edited) -> None:
    found = edited(IMAGES.format(channels=1), "standardise-input")
    assert len(found.diff) == 2
    assert "register_buffer" not in found.after


def test_channels_are_shaped_for_the_image(edited) -> None:
    found = edited(IMAGES.format(channels=3), "standardise-input")
    assert ".reshape(-1, 1, 1))" in found.after


def test_an_offset_is_told_to_a_part_of_the_deviation(edited) -> None:
    text = HEAD.format(n=6).replace("40 *", "0.5 *").replace("+ 100", "+ 123456")
    found = edited(text + SEQUENTIAL, "standardise-input")
    assert "12345" in found.after.partition("class Standardise")[2]


def test_many_features_are_not_written_out(edited) -> None:
    text = HEAD.format(n=80) + SEQUENTIAL.replace("(6, 8)", "(80, 8)")
    assert "80 features, too many" in edited(text, "standardise-input").unsafe


def test_a_layer_called_by_a_helper_is_left(edited) -> None:
    text = FORWARD.replace("self.body({given})", "run(self.body, x)")
    helper = "\ndef run(layer, x):\n    return layer(x)\n"
    unsafe = edited(HEAD.format(n=6) + helper + text, "standardise-input").unsafe
    assert "cannot be followed" in unsafe


def test_a_file_with_one_class_and_no_factory_still_names_its_network(edited) -> None:
    text = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))

    def forward(self, x):
        return self.layers(x)
"""
    found = edited(HEAD.format(n=6) + text, "standardise-input")
    assert "nn.Sequential(Standardise(MEAN, DEVIATION), nn.Linear(6, 8)" in found.after


def test_names_that_the_file_has_already(edited) -> None:
    text = "MEAN = 3\n" + SEQUENTIAL
    assert "its own MEAN" in edited(HEAD.format(n=6) + text, "standardise-input").unsafe
