"""Parameters whose gradient passes 16 bits, because the forward pass casts."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from unvanish import trace


class Casting(nn.Module):
    """Float32 weights whose layers compute in another type."""

    def __init__(self, dtype=torch.float16, *, skip=False):
        super().__init__()
        self.dtype, self.skip = dtype, skip
        self.entry, self.body, self.head = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 2)

    def layer(self, part, x):
        return F.linear(x.to(self.dtype), part.weight.to(self.dtype), part.bias.to(self.dtype))

    def forward(self, x):
        h = self.entry(x)
        branch = torch.tanh(self.layer(self.body, h)).float()
        return self.head(h + branch if self.skip else branch)


def small(scale):
    return lambda output, target: scale * F.mse_loss(output, target)


def parameters(model, loss="mse_loss", **settings):
    torch.manual_seed(1)
    batch = torch.randn(16, 8), torch.randn(16, 2)
    recording = trace(model, batch, loss, batches=1, probe_steps=0, **settings)
    return {p.name: p for p in recording.parameters}


def network(*args, **kwargs):
    torch.manual_seed(0)
    return Casting(*args, **kwargs)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_what_lies_behind_a_cast_is_carried_in_its_type(dtype):
    found = parameters(network(getattr(torch, dtype)))
    assert {name: p.carried_in for name, p in found.items() if "weight" in name} == {
        "entry.weight": dtype,
        "body.weight": dtype,
        "head.weight": "",
    }
    assert found["entry.weight"].lost_fraction < 0.01
    assert math.isnan(found["head.weight"].lost_fraction)


def test_a_way_in_float32_beside_the_cast_brings_the_gradient_whole():
    found = parameters(network(skip=True), small(1e-7))
    assert found["entry.weight"].carried_in == ""
    assert found["body.weight"].carried_in == "float16"
    assert found["body.weight"].lost_fraction > 0.9


def test_what_is_lost_is_what_float64_has_and_the_run_has_not():
    for scale, least, most in ((1.0, 0.0, 0.01), (1e-4, 0.0, 0.9), (1e-8, 1.0, 1.0)):
        lost = parameters(network(), small(scale))["entry.weight"].lost_fraction
        assert least <= lost <= most
    bfloat = parameters(network(torch.bfloat16), small(1e-8))["entry.weight"]
    assert bfloat.lost_fraction < 0.01


class Lookup(Casting):
    """Casts for the forward pass alone: a table in half, a norm in float32."""

    def forward(self, x):
        with torch.no_grad():
            nearest = (x.half() @ self.entry.weight.half().T).argmax(1)
        h = self.entry(x) + self.entry.bias[nearest, None]
        norm = h.float() * h.float().square().mean(-1, keepdim=True).rsqrt()
        return self.head(norm.type_as(h))


def test_casts_that_no_gradient_passes_do_not_count():
    torch.manual_seed(0)
    found = parameters(Lookup())
    assert {p.carried_in for p in found.values()} == {""}


def test_weights_of_16_bits_are_not_narrowed():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 2)).bfloat16()
    batch = torch.randn(16, 8).bfloat16(), torch.randn(16, 2).bfloat16()
    recording = trace(model, batch, "mse_loss", batches=1, probe_steps=0)
    assert {p.carried_in for p in recording.parameters} == {""}
