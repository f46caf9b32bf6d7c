"""The optimiser of a module in Lightning's style: its options, and what is returned with it."""

from __future__ import annotations

from pathlib import Path

import pytest

BASE = '''"""What stands for Lightning, which is not installed."""

import inspect

from torch import nn


class Attributes(dict):
    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class LightningModule(nn.Module):
    def save_hyperparameters(self):
        given = inspect.currentframe().f_back.f_locals
        kept = {k: v for k, v in given.items() if k not in ("self", "__class__")}
        self.hparams = Attributes(kept)
'''
TEXT = """import torch
import torch.nn.functional as F
from lightning_stand_in import LightningModule
from torch import nn


class Net(LightningModule):
    def __init__(self, lr=1e-3, eps=1.0):
        super().__init__()
        {keep}
        self.net = nn.Sequential(nn.Linear(20, 32), nn.Tanh(), nn.Linear(32, 3))

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, batch_idx):
        x, y = batch
        return F.cross_entropy(self(x), y)

    def configure_optimizers(self):
        {made}


def batch():
    inputs = torch.randn(64, 20)
    return inputs, inputs[:, :3].argmax(dim=1)
"""
HPARAMS = "self.save_hyperparameters()"
LINE = "opt = torch.optim.Adam(self.parameters(), lr=1e-3, eps=1.0)"
SCHEDULE = "schedule = torch.optim.lr_scheduler.StepLR(opt, 10)"
RETURNS = {
    "one": "return torch.optim.Adam(self.parameters(), lr=1e-3, eps=1.0)",
    "named": f"{LINE}\n        return opt",
    "list": f"{LINE}\n        return [opt]",
    "two lists": f"{LINE}\n        {SCHEDULE}\n        return [opt], [schedule]",
    "dict": f"{LINE}\n        {SCHEDULE}\n"
    '        return {"optimizer": opt, "lr_scheduler": {"scheduler": schedule}}',
    "dict of a call": 'return {"optimizer": torch.optim.Adam(self.parameters(), 1e-3, eps=1.0)}',
    "groups": "rest = [p for p in self.parameters() if p.ndim < 2]\n"
    "        wide = [p for p in self.parameters() if p.ndim > 1]\n"
    '        groups = [{"params": wide, "weight_decay": 0.1}, {"params": rest}]\n'
    "        return torch.optim.Adam(groups, lr=1e-3, eps=1.0)",
    "a method": "return self._made(1e-3)\n\n    def _made(self, lr, eps=1.0):\n"
    "        return torch.optim.Adam(self.parameters(), lr=lr, eps=eps)",
}
READ = {
    "attributes": ("self.lr = lr\n        self.eps = eps", "self.lr", "self.eps"),
    "in one line": ("self.lr, self.eps = lr, eps", "self.lr", "self.eps"),
    "a constant": ("self.lr = 1e-3\n        self.eps: float = 1.0", "self.lr", "self.eps"),
    "hyperparameters": (HPARAMS, "self.hparams.lr", "self.hparams.eps"),
    "by key": (HPARAMS, 'self.hparams["lr"]', 'self.hparams["eps"]'),
}


@pytest.fixture(autouse=True)
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lightning_stand_in.py").write_text(BASE)
    monkeypatch.syspath_prepend(str(tmp_path))


def script(made: str, keep: str = HPARAMS) -> str:
    return TEXT.replace("{keep}", keep).replace("{made}", made)


@pytest.mark.parametrize("made", RETURNS.values(), ids=RETURNS)
def test_an_option_is_written_whatever_is_returned(edited, made: str) -> None:
    found = edited(script(made), "lower-epsilon")
    assert len(found.diff) == 2
    assert "eps=0.0001" in found.diff[1]


@pytest.mark.parametrize("made", RETURNS.values(), ids=RETURNS)
def test_a_clip_and_a_warm_up_are_written_whatever_is_returned(edited, made: str) -> None:
    clipped = edited(script(made), "clip-norm").after
    assert "clip_grad_norm_(self.parameters(), max_norm=" in clipped
    assert ".register_step_pre_hook(clip)" in clipped
    assert "total_iters=2000)" in edited(script(made), "warm-up").after


@pytest.mark.parametrize(("keep", "lr", "eps"), READ.values(), ids=READ)
def test_an_option_that_init_was_given_is_written_there(edited, keep, lr, eps) -> None:
    made = f"return torch.optim.Adam(self.parameters(), lr={lr}, eps={eps})"
    found = edited(script(made, keep), "lower-epsilon", rate_factor=0.5)
    assert made in found.after
    added = "".join(line for line in found.diff if line.startswith("+"))
    assert "0.0001" in added
    assert "5e-4" in added


def test_an_option_that_is_read_elsewhere_too_is_refused(edited) -> None:
    made = (
        "return torch.optim.Adam(self.parameters(), lr=self.lr * 1.0, eps=self.eps)\n\n"
        "    def told(self):\n        return self.eps"
    )
    unsafe = edited(script(made, "self.lr, self.eps = lr, eps"), "lower-epsilon").unsafe
    assert "takes eps from self.eps" in unsafe


def test_an_argument_with_another_use_is_refused(edited) -> None:
    made = "return torch.optim.Adam(self.parameters(), lr=self.lr, eps=self.eps)"
    keep = "self.lr, self.eps = lr, eps\n        self.scale = 2.0 * eps"
    assert "takes eps from self.eps" in edited(script(made, keep), "lower-epsilon").unsafe
