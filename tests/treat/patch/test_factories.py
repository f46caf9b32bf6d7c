"""Functions that call functions: the start is written where the whole network is made."""

from __future__ import annotations

from pathlib import Path

import pytest

HEAD = """import torch
from torch import nn

"""
TAIL = """

def batch():
    inputs = torch.randn(64, 20)
    return inputs, inputs[:, :3].argmax(dim=1)


def loss(output, target):
    return nn.functional.cross_entropy(output, target)
"""
ONE_FOR_ALL = """
def dense(inputs, outputs):
    return nn.Linear(inputs, outputs)


def make_block(width):
    return nn.Sequential(dense(width, width), nn.Sigmoid())


def make_head(width):
    return nn.Sequential(dense(width, 3))


def build(width=20, depth=6):
    blocks = [make_block(width) for _ in range(depth)]
    network = nn.Sequential(*blocks, make_head(width))
    return network


def model():
    return build()


def evaluate(inputs):
    network = build()
    return network(inputs)
"""
TABLE = """
ACT = nn.Sigmoid
make_linear = lambda a, b: nn.Linear(a, b)
BLOCKS = {"dense": lambda a, b: nn.Sequential(make_linear(a, b), ACT())}


def stack(kind, sizes):
    return [BLOCKS[kind](a, b) for a, b in zip(sizes[:-1], sizes[1:])]


def build():
    return nn.Sequential(*stack("dense", [20] + [32] * 6), make_linear(32, 3))


model = build()
"""
PIECES = """
def unit(inputs, outputs):
    return nn.Linear(inputs, outputs), nn.Sigmoid()


def stage(inputs, outputs, depth):
    layers = list(unit(inputs, outputs))
    for _ in range(depth - 1):
        layers.extend(unit(outputs, outputs))
    return nn.Sequential(*layers)


def build():
    return nn.Sequential(stage(20, 32, 3), stage(32, 32, 4), nn.Linear(32, 3))


def model():
    return build()
"""
FILE = """
from nested_pieces import make_block, make_head


def build(width=20, depth=6):
    return nn.Sequential(*[make_block(width) for _ in range(depth)], make_head(width))


def model():
    return build()
"""
OTHER = """from torch import nn


def make_block(width, activation=None):
    pieces = [nn.Linear(width, width)]
    pieces.append(nn.Sigmoid() if activation is None else activation())
    return nn.Sequential(*pieces)


def make_head(width):
    return nn.Sequential(nn.Linear(width, 3))
"""


def added(diff: list[str]) -> list[str]:
    return [line[1:].strip() for line in diff if line.startswith("+")]


@pytest.mark.parametrize("text", [ONE_FOR_ALL, TABLE, PIECES])
def test_a_start_is_written_where_the_whole_network_is_made(edited, text: str) -> None:
    found = edited(HEAD + text + TAIL, "xavier")
    before, _, behind = found.after.partition("def build(")
    assert "xavier_uniform_(module.weight, gain=4)" in behind
    assert "xavier" not in before
    assert found.after.count(".modules()") == 1


def test_a_function_of_the_innermost_factory_and_a_start(edited) -> None:
    found = edited(HEAD + ONE_FOR_ALL + TAIL, "relu", "he")
    assert "return nn.Sequential(dense(width, width), nn.ReLU())" in added(found.diff)
    assert "for module in network.modules():" in added(found.diff)


def test_a_normalisation_of_pieces_that_are_handed_on(edited) -> None:
    found = edited(HEAD + PIECES + TAIL, "relu", "batch-norm")
    assert added(found.diff) == [
        "return nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU()"
    ]


def test_a_connection_round_pieces_that_are_handed_on(edited) -> None:
    found = edited(HEAD + PIECES.replace("Sigmoid", "Tanh") + TAIL, "residual")
    assert "return Residual(nn.Linear(inputs, outputs), nn.Tanh())," in added(found.diff)


def test_a_function_that_also_makes_what_stays_is_refused(edited) -> None:
    unsafe = edited(HEAD + ONE_FOR_ALL + TAIL, "relu", "batch-norm").unsafe
    assert "net.py:6 also makes 6.0, which stays" in unsafe


def test_the_parts_stand_in_another_file(
    edited, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nested_pieces.py").write_text(OTHER)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = edited(HEAD + FILE + TAIL, "relu", "he").patch
    assert found.agrees, found.unsafe
    texts = {Path(one.path).name: one.after for one in found.files}
    assert (
        "pieces.append(nn.ReLU() if activation is None else activation())"
        in (texts["nested_pieces.py"])
    )
    assert "kaiming_normal_(module.weight" in texts["net.py"].partition("def build(")[2]
