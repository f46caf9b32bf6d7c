"""Networks behind a wrapper, layers without weights yet, layers whose weight is parametrised."""

from __future__ import annotations

from pathlib import Path

import pytest

from unvanish import fix
from unvanish.core.errors import UnvanishError
from unvanish.treat.patch.rewriters import REWRITERS
from unvanish.treat.patch.work import Work

HEAD = """import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm


def batch():
    inputs = torch.randn(48, 12)
    return inputs, inputs[:, :3].argmax(dim=1)


def loss(output, target):
    return nn.functional.cross_entropy(output, target)


class Net(nn.Module):
    def __init__(self, depth=12):
        super().__init__()
        self.layers = nn.ModuleList({layer} for _ in range(depth))
        self.head = {head}

    def forward(self, x):
        for layer in self.layers:
            x = torch.sigmoid(layer(x))
        return self.head(x)


def model():
    return {made}
"""
LAYER, OUT = "nn.Linear(12, 12)", "nn.Linear(12, 3)"


@pytest.mark.parametrize(
    ("layer", "head", "made"),
    [
        (LAYER, OUT, 'torch.compile(Net(), backend="eager")'),
        ("nn.LazyLinear(12)", "nn.LazyLinear(3)", "Net()"),
        (f"weight_norm({LAYER})", OUT, "Net()"),
    ],
    ids=["compiled", "lazy", "parametrised"],
)
def test_it_is_written_and_checks_clear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layer: str, head: str, made: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(HEAD.format(layer=layer, head=head, made=made))
    found = fix("net.py", remedy="batch-norm", write=True)
    assert found.patch is not None
    assert found.patch.agrees, found.patch.unsafe
    text = Path("net.py").read_text()
    assert f"nn.ModuleList(nn.Sequential({layer}, nn.BatchNorm1d(12)) for _ in range(" in text
    assert found.after is not None
    assert not [f.code for f in found.after.findings if f.code in ("UV101", "UV103")]


def test_a_layer_that_a_library_made_is_a_snippet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = HEAD.format(layer=LAYER, head=OUT, made="Net()")
    stack = "nn.TransformerEncoder(nn.TransformerEncoderLayer(12, 2, 16, batch_first=True), 2)"
    text = text.replace(f"nn.ModuleList({LAYER} for _ in range(depth))", stack)
    loop = "        for layer in self.layers:\n            x = torch.sigmoid(layer(x))\n"
    text = text.replace(loop, "        x = self.layers(x[:, None])[:, 0]\n")
    Path("net.py").write_text(text)
    found = fix("net.py", remedy="layer-norm")
    assert found.patch is not None
    assert "by no call of a torch.nn class" in found.patch.unsafe
    assert "unvanish.treat(" in found.patch.snippet


def test_a_remedy_that_does_not_fit_is_named_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(HEAD.format(layer=LAYER, head=OUT, made="Net()"))
    with pytest.raises(UnvanishError, match=r"^he does not fit this network"):
        fix("net.py", remedy="he")


def test_source_that_a_rewriter_was_not_made_for_is_a_snippet(
    edited, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Work) -> None:
        raise KeyError("nowhere")

    monkeypatch.setitem(REWRITERS, "batch-norm", fail)
    found = edited(HEAD.format(layer=LAYER, head=OUT, made="Net()"), "batch-norm")
    assert found.unsafe == "writing batch-norm failed: KeyError: 'nowhere'"


def test_what_fits_by_its_finding_alone_is_chosen_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(
        """import torch
from torch import nn


def batch():
    at = torch.randint(0, 9, (64, 2))
    return at, at.float().prod(1) / 40


def loss(output, target):
    return nn.functional.mse_loss(output, target)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = (nn.Parameter(torch.zeros(9, 4)) for _ in range(2))

    def forward(self, at):
        return (self.a[at[:, 0]] * self.b[at[:, 1]]).sum(1)
"""
    )
    found = fix("net.py", write=True)
    assert found.chosen is not None
    assert found.chosen.name == "break-symmetry"
    assert found.after is not None
    assert not [f.code for f in found.after.findings if f.code in ("UV104", "UV502")]
