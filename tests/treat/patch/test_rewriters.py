"""What each kind of edit writes, and what it refuses to follow."""

from __future__ import annotations

from pathlib import Path

import pytest

from unvanish import fix

HEAD = """import torch
import torch.nn.functional as F
from torch import nn
"""
TAIL = """

def batch():
    inputs = torch.randn(32, 16)
    return inputs, inputs[:, :3].argmax(dim=1)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3, eps=0.1)  # large
"""
LOOP = """

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(16, 24)
        self.layers = nn.ModuleList(nn.Linear(24, 24) for _ in range(12))
        self.head = nn.Linear(24, 3)

    def forward(self, x):
        x = {first}
        for layer in self.layers:
            x = {body}
        return self.head(x)
"""


@pytest.fixture
def diff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)

    def made(text: str, *remedies: str) -> str:
        (tmp_path / "net.py").write_text(HEAD + text + TAIL)
        found = fix("net.py", remedy=remedies)
        assert found.patch is not None
        if not found.patch.files:
            return f"unsafe: {found.patch.unsafe}"
        assert found.patch.agrees
        return "\n".join(found.patch.files[0].diff())

    return made


def loop(first: str, body: str) -> str:
    return LOOP.format(first=first, body=body)


@pytest.mark.parametrize(
    ("written", "becomes"),
    [
        ("torch.sigmoid(layer(x))", "torch.relu(layer(x))"),
        ("F.sigmoid(layer(x))", "F.relu(layer(x))"),
        ("layer(x).sigmoid()", "layer(x).relu()"),
        ("layer(x).sigmoid_()", "layer(x).relu()"),
        ("nn.functional.tanh(layer(x))", "F.relu(layer(x))"),
    ],
)
def test_a_function_is_exchanged_in_the_style_of_the_file(diff, written, becomes) -> None:
    text = diff(loop("torch.relu(self.first(x))", written), "relu")
    assert f"+            x = {becomes}" in text


def test_a_function_with_an_argument(diff) -> None:
    text = diff(loop("F.relu(self.first(x))", "F.relu(layer(x))"), "leaky-relu")
    assert "+            x = F.leaky_relu(layer(x)" in text


def test_a_parameter_cannot_be_kept_in_a_call(diff) -> None:
    text = diff(loop("F.relu(self.first(x))", "F.relu(layer(x))"), "prelu")
    assert "unsafe:" in text


def test_a_function_that_stays_is_not_exchanged_with_the_others(diff) -> None:
    text = """
def build():
    act = nn.Sigmoid()
    body = [layer for _ in range(8) for layer in (nn.Linear(16, 16), nn.Sigmoid())]
    return nn.Sequential(*body, nn.Linear(16, 3), act)
"""
    found = diff(text, "relu")
    assert (
        "+    body = [layer for _ in range(8) for layer in (nn.Linear(16, 16), nn.ReLU())]" in found
    )
    assert "-    act" not in found


def test_a_connection(diff) -> None:
    text = diff(loop("torch.tanh(self.first(x))", "torch.tanh(layer(x))"), "residual")
    assert "+            x = x + torch.tanh(layer(x))" in text


def test_a_connection_round_modules_of_a_list(diff) -> None:
    text = """
def build():
    body = [layer for _ in range(9) for layer in (nn.Linear(16, 16), nn.Tanh())]
    return nn.Sequential(nn.Linear(16, 16), nn.Tanh(), *body, nn.Linear(16, 3))
"""
    found = diff(text, "scaled-residual")
    assert "for layer in (Residual(nn.Linear(16, 16), nn.Tanh()))" not in found
    listed = """
def build():
    body = [nn.Linear(16, 24), nn.Tanh()]
    for _ in range(9):
        body += [nn.Linear(24, 24), nn.Tanh()]
    return nn.Sequential(*body, nn.Linear(24, 3))
"""
    found = diff(listed, "residual")
    assert "+        body += [Residual(nn.Linear(24, 24), nn.Tanh())]" in found
    assert "+        return x + self.layers(x)" in found


def test_gates_that_keep_a_memory(diff) -> None:
    text = """

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(1, 12, batch_first=True)
        self.head = nn.Linear(12, 3)

    def forward(self, x):
        return self.head(self.lstm(x.unsqueeze(-1))[0][:, -1])
"""
    found = diff(text, "forget-bias")
    assert "+            for name, bias in self.lstm.named_parameters():" in found
    assert "+                    bias[units : 2 * units] = " in found
    assert ".uniform_(1, 15).log()" in diff(text, "chrono")


def test_a_connection_round_a_sigmoid_takes_its_mean_away(diff) -> None:
    text = diff(loop("torch.sigmoid(self.first(x))", "torch.sigmoid(layer(x))"), "residual")
    assert "+            x = x + torch.sigmoid(layer(x)) - 0.5" in text


def test_a_normalisation_round_a_layer_and_in_a_list(diff) -> None:
    text = diff(loop("F.relu(self.first(x))", "F.relu(layer(x))"), "batch-norm")
    assert "+        self.first = nn.Sequential(nn.Linear(16, 24), nn.BatchNorm1d(24))" in text
    listed = """
def build():
    body = [layer for _ in range(8) for layer in (nn.Linear(16, 16), nn.ReLU())]
    return nn.Sequential(*body, nn.Linear(16, 3))
"""
    assert "(nn.Linear(16, 16), nn.BatchNorm1d(16), nn.ReLU())" in diff(listed, "batch-norm")


def test_one_line_that_makes_layers_which_stay(diff) -> None:
    text = """
def build():
    widths = [16] * 9 + [3]
    layers = [nn.Linear(a, b) for a, b in zip(widths, widths[1:])]
    body = [module for layer in layers[:-1] for module in (layer, nn.ReLU())]
    return nn.Sequential(*body, layers[-1])
"""
    assert "unsafe: " in diff(text, "batch-norm")


def test_an_option_of_the_optimiser(diff) -> None:
    text = diff(loop("F.relu(self.first(x))", "F.relu(layer(x))"), "lower-epsilon")
    line = next(line for line in text.splitlines() if line.startswith("+    return"))
    assert "eps=" in line
    assert "eps=0.1" not in line
    assert line.endswith("# large")


@pytest.mark.parametrize("name", ["xavier", "critical", "lecun"])
def test_starts_of_tanh(diff, name) -> None:
    text = diff(loop("torch.tanh(self.first(x))", "torch.tanh(layer(x))"), name)
    assert "nn.init." in text or text.startswith("unsafe: ")


def test_an_activation_that_is_looked_up_is_found_where_it_is_named_once(diff) -> None:
    text = """
FUNCTIONS = {"squash": torch.sigmoid}
""" + loop("FUNCTIONS['squash'](self.first(x))", "FUNCTIONS['squash'](layer(x))")
    assert '+FUNCTIONS = {"squash": torch.relu}' in diff(text, "relu")


SINGULAR = """

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(16, 24)
        self.head = nn.Linear(24, 3)

    def forward(self, x):
        h = self.first(x)
        h = h * (h > 0)
        return self.head({body})
"""


@pytest.mark.parametrize(
    ("body", "written"),
    [
        ("torch.log(h)", "torch.log(h.clamp_min("),
        ("h.sqrt()", "h.clamp_min("),
        ("(h + 0.0) ** 0.5", "(h + 0.0).clamp_min("),
        ("1 / h", "1 / h.clamp_min("),
        ("torch.log1p(h - 1.0)", "torch.log1p((h - 1.0).clamp_min(-0.99"),
        ("self.first(x) / -h", "unsafe"),
        ("torch.log(h) + h.log()", "unsafe"),
    ],
)
def test_a_floor_is_written_where_the_call_stands(diff, body: str, written: str) -> None:
    assert written in diff(SINGULAR.format(body=body), "guard-singularity")


def test_softplus_is_written_for_the_relu_that_makes_the_zeros(diff) -> None:
    body = "torch.log(torch.relu(self.first(x)))"
    text = diff(SINGULAR.format(body=body), "positive-output")
    assert "torch.log(F.softplus(self.first(x)))" in text


def test_the_item_goes_and_the_list_is_stacked(diff) -> None:
    body = "torch.tensor([v.item() for v in h.mean(1)])[:, None].expand(-1, 24)"
    text = diff(SINGULAR.format(body=body), "reattach")
    assert "torch.stack([v for v in h.mean(1)])" in text
