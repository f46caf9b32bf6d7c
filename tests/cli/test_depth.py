"""`unvanish depth`: the page, the JSON, wrong use."""

import json

import pytest
from click.testing import CliRunner

from unvanish.cli import app

NET = """
import torch
from torch import nn

def model(depth=10):
    layers = [part for _ in range(depth) for part in (nn.Linear(8, 8), nn.Sigmoid())]
    return nn.Sequential(*layers, nn.Linear(8, 2))

def data():
    random = torch.Generator().manual_seed(0)
    for _ in range(6):
        x = torch.randn(32, 8, generator=random)
        yield x, (x[:, 0] > 0).long()

def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=0.02)
"""


@pytest.fixture
def target(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(NET)
    return str(path)


def run(*args):
    return CliRunner().invoke(app, ("depth", *args, "--engine", "inline"))


def test_the_page(target):
    result = run(target, "--factors", "0.1", "--steps", "60")
    assert result.exit_code == 1, result.output
    words = " ".join(result.stdout.split())
    for part in ("Deeper is worse", "10 blocks of Linear, Sigmoid", "as it is", "He, Zhang"):
        assert part in words
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_the_json(target):
    result = run(target, "--factors", "0.5,0.51", "--steps", "2", "--format", "json")
    assert result.exit_code == 3, result.output
    document = json.loads(result.stdout)
    assert document["trend"] == "inconclusive"
    assert [twin["blocks"] for twin in document["twins"]] == [5, 10, 5]
    assert len(document["twins"][0]["losses"]) == 3
    assert document["twins"][0]["deeper_against_shallower"]["confidence"] == 0.95
    assert "comes to 5 blocks as well" in document["twins"][2]["refused"]


def test_a_network_without_blocks(tmp_path):
    path = tmp_path / "small.py"
    path.write_text(NET.replace("depth=10", "depth=1"))
    result = run(str(path))
    assert result.exit_code == 3
    assert "Could not be tried" in result.stdout


@pytest.mark.parametrize("factors", ["1", "0", "-2", "half", ",", "nan"])
def test_wrong_factors(target, factors):
    result = run(target, "--factors", factors)
    assert result.exit_code == 2
    assert "0.25,0.5" in result.output


def test_a_network_without_data(tmp_path):
    path = tmp_path / "bare.py"
    path.write_text(NET.partition("def data")[0])
    result = run(str(path), "--input-shape", "8", "--classes", "2")
    assert result.exit_code == 2
    assert "no data to train on" in result.output
