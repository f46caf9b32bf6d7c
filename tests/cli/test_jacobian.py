"""`unvanish jacobian`: the page, the JSON, one message for wrong use."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from unvanish.cli import app

NET = """
import torch
from torch import nn

def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))

def batch():
    return torch.randn(5, 6), torch.randint(3, (5,))
"""


@pytest.fixture
def target(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(NET)
    return str(path)


def run(*args):
    return CliRunner().invoke(app, ("jacobian", *args))


def test_the_page(target):
    result = run(target, "--top", "2")
    assert result.exit_code == 0, result.output
    for word in ("From the input to the output", "mean s^2", "spread", "largest s", "6 entries in"):
        assert word in " ".join(result.stdout.split())


def test_the_json_from_layer_to_layer(target):
    result = run(target, "--start", "0", "--end", "1", "--format", "json", "--top", "1")
    document = json.loads(result.stdout)
    assert (document["inputs"], document["outputs"], document["samples"]) == (8, 8, 5)
    assert document["method"] == "double backward"
    assert 0 < document["largest"] <= 1.0  # the slopes of tanh


def test_without_singular_values(target):
    result = run(target, "--top", "0")
    assert "largest s" not in result.stdout


def test_a_module_that_does_not_exist(target):
    result = run(target, "--start", "3.weight")
    assert result.exit_code == 2
    assert "no module '3.weight'" in result.stderr
    assert "Traceback" not in result.output
