"""A soft bound on what an exponential is given, written where it gets its name."""

from __future__ import annotations

import pytest

HEAD = """import torch
from torch import nn


def batch():
    return torch.randn(32, 4)


def loss(output, target=None):
    z, volume = output
    return (0.5 * z.square().sum(1) - volume).mean()


class Coupling(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 4))
        nn.init.normal_(self.net[2].weight, std=3.0)

    def forward(self, a, b):
{body}


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.couplings = nn.ModuleList(Coupling() for _ in range(4))

    def forward(self, x):
        a, b = x.chunk(2, 1)
        volume = 0.0
        for coupling in self.couplings:
            b, more = coupling(a, b)
            volume = volume + more
            a, b = b, a
        return torch.cat([a, b], 1), volume


def model():
    return Net()
"""
BODIES = {
    "unpacked": (
        """s, t = self.net(a).chunk(2, 1)
return b * torch.exp(s) + t, s.sum(1)""",
        "        s = 1.0 * torch.tanh(s / 1.0)",
    ),
    "counted first": (
        """t, s = self.net(a).split(2, 1)
volume = -s.sum(1)
b = (b - t) * (-s).exp()
return b, volume""",
        "        s = 1.0 * torch.tanh(s / 1.0)",
    ),
    "half of a variance": (
        """h = self.net(a)
v = h[:, :2]
std = (0.5 * v).exp()  # the deviation
return b * std + h[:, 2:], 0.5 * v.sum(1)""",
        "        v = 2.0 * torch.tanh(v / 2.0)",
    ),
    "a factor in what makes it": (
        """h = self.net(a)
s = 2.0 * h[:, :2]
return b * torch.exp(s) + h[:, 2:], s.sum(1)""",
        "        s = 1.0 * torch.tanh(s / 1.0)",
    ),
    "two multiples": (
        """v, t = self.net(a).chunk(2, 1)
b = b * torch.exp(v / 2)
b = b * torch.exp(v)
return b + t, 1.5 * v.sum(1)""",
        "        v = 0.71 * torch.tanh(v / 0.71)",
    ),
    "half by name": (
        """v, t = self.net(a).chunk(2, 1)
half = 0.5 * v
return b * half.exp() + t, 0.5 * v.sum(1)""",
        "        v = 2.0 * torch.tanh(v / 2.0)",
    ),
}


@pytest.mark.parametrize(("body", "line"), BODIES.values(), ids=BODIES)
def test_the_bound_stands_behind_the_name(edited, body: str, line: str) -> None:
    text = HEAD.format(body="\n".join(f"        {one}" for one in body.splitlines()))
    assert edited(text, "bound-exponent").diff == [f"+{line}"]


def test_what_has_no_name_is_bounded_in_its_place(edited) -> None:
    text = HEAD.format(body="        return b * torch.exp(self.net(a)[:, :2]), b.sum(1)")
    assert edited(text, "bound-exponent").diff == [
        "-        return b * torch.exp(self.net(a)[:, :2]), b.sum(1)",
        "+        return b * torch.exp(1.0 * torch.tanh(self.net(a)[:, :2] / 1.0)), b.sum(1)",
    ]


def test_two_in_one_line_are_refused(edited) -> None:
    text = HEAD.format(
        body="        s, t = self.net(a).chunk(2, 1)\n"
        "        return b * s.exp() * t.exp(), (s + t).sum(1)"
    )
    assert "calls exp 2 times" in edited(text, "bound-exponent").unsafe


VAE = """import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 16))
        nn.init.normal_(self.encoder[2].weight, std=8.0)
        self.decoder = nn.Linear(8, 16)

    def drawn(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        return mu + std * torch.randn_like(std)

    def forward(self, x):
        mu, lv = torch.chunk(self.encoder(x), 2, dim=-1)
        z = self.drawn(mu, {passed})
        return self.decoder(z), mu, lv


def model():
    return Net()


def loss(output, target):
    recon, mu, lv = output
    return (recon - target).square().mean() - 5e-4 * (1 + lv - mu**2 - lv.exp()).sum(1).mean()


def batch():
    x = torch.randn(64, 16)
    return x, x
"""


@pytest.mark.parametrize("passed", ["lv", "logvar=lv"])
def test_what_a_method_is_given_is_bounded_where_it_is_made(edited, passed: str) -> None:
    found = edited(VAE.format(passed=passed), "bound-exponent")
    assert found.diff == ["+        lv = 4.0 * torch.tanh(lv / 4.0)"]


def test_a_method_with_two_calls_is_refused(edited) -> None:
    text = VAE.format(passed="lv").replace(
        "return self.decoder(z)", "z = self.drawn(z, lv)\n        return self.decoder(z)"
    )
    assert "not give the network that was tested" in edited(text, "bound-exponent").unsafe
