"""Networks behind `torch.compile`, and layers without weights yet, are cured as others are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.curing.networks import SOURCE
from torch import nn

import unvanish
from unvanish.core.cures import Origin
from unvanish.core.errors import UnvanishError
from unvanish.curing.loading import reloaded

COMPILED = SOURCE.replace("return Net()", 'return torch.compile(Net(), backend="eager")')
LAZY = SOURCE.replace("nn.Linear(8, ", "nn.LazyLinear(")
FINISHED = LAZY.replace("def model():\n    return Net()", "model = Net()")
QUICK: dict[str, Any] = {"budget": "5steps", "seeds": 1, "engine": "inline", "resume": False}


class Lazy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.LazyLinear(8) for _ in range(5))
        self.head = nn.LazyLinear(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = torch.sigmoid(layer(x))
        return self.head(x)


def rows() -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.randn(32, 8, generator=generator) for _ in range(8)]
    return [(x, (x[:, 0] > 0).long()) for x in drawn]


@pytest.mark.parametrize("source", [COMPILED, LAZY, FINISHED], ids=["compiled", "lazy", "finished"])
def test_every_arm_of_a_trial_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(source)
    cured = unvanish.cure("net.py", remedy="batch-norm", **QUICK)
    proof = cured.proof
    assert proof is not None
    assert [arm for arm in proof.arms if "batch-norm" in arm.name]
    assert not [run.failed for arm in proof.arms for run in arm.runs if run.failed]


@pytest.mark.parametrize("source", [COMPILED, LAZY], ids=["compiled", "lazy"])
def test_every_network_of_a_trial_has_weights_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(source)
    recipe = reloaded(Origin(target="net.py", seed=3))
    again, same, other = recipe.fresh(3), recipe.fresh(3), recipe.fresh(4)
    names = [name for name, _ in again.named_parameters()]
    assert names == [name for name, _ in recipe.model.named_parameters()]
    assert not any("_orig_mod" in name for name in names)
    for name, weight in again.named_parameters():
        torch.testing.assert_close(same.get_parameter(name), weight, rtol=0, atol=0)
        assert not torch.equal(other.get_parameter(name), weight)
        assert weight is not same.get_parameter(name)


def test_given_in_python() -> None:
    loss = nn.functional.cross_entropy
    plain = nn.Sequential(nn.Linear(8, 8), nn.Sigmoid(), nn.Linear(8, 2))
    wrapped = torch.compile(plain, backend="eager")
    for network in (Lazy, wrapped):
        cured = unvanish.cure(network, data=rows(), loss=loss, remedy="layer-norm", **QUICK)
        assert cured.proof is not None
    own = Lazy()
    with pytest.raises(UnvanishError, match="has no weights yet"):
        unvanish.cure(own, data=rows(), loss=loss, remedy="layer-norm", **QUICK)
    assert isinstance(own.head.weight, nn.UninitializedParameter)
