"""Every known false alarm, on a real network with real steps: nothing above a note."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import unvanish
from unvanish.core.findings import Severity

WIDTH = 32


def plain(depth=3, act=nn.ReLU):
    layers = [nn.Linear(16, WIDTH), act()]
    for _ in range(depth - 1):
        layers += [nn.Linear(WIDTH, WIDTH), act()]
    for layer in layers:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return nn.Sequential(*layers, nn.Linear(WIDTH, 4))


def labelled(samples=128, features=16):
    x = torch.randn(samples, features)
    return x, (x @ torch.randn(features, 4)).argmax(1)


def trained(model, batch, steps=400, rate=1e-2):
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(batch[0]), batch[1]).backward()
        optimizer.step()
    return model


def converged():
    batch = labelled()
    return trained(plain(), batch), batch, F.cross_entropy


def scaled_loss():
    return plain(), labelled(), lambda out, y: 1e-6 * F.cross_entropy(out, y)


def summed_loss():
    return plain(), labelled(), lambda out, y: F.cross_entropy(out, y, reduction="sum")


def small_batch():
    return plain(), labelled(8), F.cross_entropy


def large_batch():
    return plain(), labelled(2048), F.cross_entropy


def tiny_batch():
    return plain(), labelled(2), F.cross_entropy


def many_classes():
    model = nn.Sequential(nn.Embedding(50_000, 16), nn.Flatten(), nn.Linear(64, 50_000))
    return model, (torch.randint(50_000, (16, 4)), torch.randint(50_000, (16,))), F.cross_entropy


def rescaled_layers():
    model = plain()
    with torch.no_grad():
        for parameter in model[0].parameters():
            parameter.mul_(1000.0)
        model[2].weight.div_(1000.0)
    return model, labelled(), F.cross_entropy


def weights_before_a_norm():
    model = nn.Sequential(
        nn.Linear(16, WIDTH), nn.BatchNorm1d(WIDTH), nn.ReLU(), nn.Linear(WIDTH, 4)
    )
    with torch.no_grad():
        model[0].weight.mul_(100.0)
    return model, labelled(), F.cross_entropy


def bias_before_batchnorm():
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, bias=True), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 4)
    )
    return model, (torch.randn(32, 1, 8, 8), torch.randint(4, (32,))), F.cross_entropy


class Residual(nn.Module):
    def __init__(self, zero):
        super().__init__()
        self.branch = nn.Sequential(
            nn.LayerNorm(16), nn.Linear(16, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 16)
        )
        if zero:
            nn.init.zeros_(self.branch[-1].weight)

    def forward(self, x):
        return x + self.branch(x)


def zero_residual_branches():
    model = nn.Sequential(*[Residual(zero=True) for _ in range(4)], nn.Linear(16, 4))
    return model, labelled(), F.cross_entropy


def zero_head():
    model = plain()
    nn.init.zeros_(model[-1].weight)
    return model, labelled(), F.cross_entropy


class LowRank(nn.Module):
    def __init__(self, layer, rank=4):
        super().__init__()
        self.layer = layer.requires_grad_(False)
        self.down = nn.Linear(layer.in_features, rank, bias=False)
        self.up = nn.Linear(rank, layer.out_features, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x):
        return self.layer(x) + self.up(self.down(x))


def lora():
    base = plain()
    model = nn.Sequential(*[LowRank(m) if isinstance(m, nn.Linear) else m for m in base])
    return model, labelled(), F.cross_entropy


def frozen_backbone():
    model = plain()
    for layer in model[:-1]:
        layer.requires_grad_(False)
    return model, labelled(), F.cross_entropy


class Encoder(nn.Module):
    def __init__(self, layers, *, norm_first):
        super().__init__()
        one = nn.TransformerEncoderLayer(
            WIDTH, 4, 64, dropout=0.1, batch_first=True, norm_first=norm_first
        )
        self.embed = nn.Linear(16, WIDTH)
        self.encoder = nn.TransformerEncoder(one, layers, enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, 4)

    def forward(self, x):
        return self.head(self.encoder(self.embed(x)).mean(1))


def attention_with_its_biases():
    """The bias of the keys has no gradient by symmetry; `out_proj` is used by name only."""
    return Encoder(2, norm_first=True), sequences(), F.cross_entropy


def post_norm_at_moderate_depth():
    return Encoder(6, norm_first=False), sequences(), F.cross_entropy


def sequences():
    return torch.randn(32, 10, 16), torch.randint(4, (32,))


def untouched_rows():
    model = nn.Sequential(nn.Embedding(5000, 16), nn.Flatten(), nn.Linear(160, 4))
    return model, (torch.randint(5000, (32, 10)), torch.randint(4, (32,))), F.cross_entropy


def relu_sparsity():
    return plain(5), labelled(256), F.cross_entropy


class Auxiliary(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.aux = plain(), nn.Linear(4, 7)

    def forward(self, x):
        out = self.body(x)
        return out, self.aux(out)


def unused_auxiliary_head():
    return Auxiliary(), labelled(), lambda out, y: F.cross_entropy(out[0], y)


class Momentum(nn.Module):
    def __init__(self):
        super().__init__()
        self.online = plain()
        self.predictor = nn.Linear(4, 4)
        self.target = copy.deepcopy(self.online).requires_grad_(False)

    def forward(self, x):
        noisy = x + 0.1 * torch.randn_like(x)
        return self.predictor(self.online(noisy)), self.target(x).detach()


def momentum_target():
    return Momentum(), (torch.randn(64, 16), None), lambda out, _: -F.cosine_similarity(*out).mean()


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.strong, self.weak, self.head = plain(), plain(), nn.Linear(4, 4)

    def forward(self, x):
        return self.head(self.strong(x) + 1e-3 * self.weak(x))


def uneven_branches():
    return Branches(), labelled(), F.cross_entropy


def warm_up():
    model = plain()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=1e-3, total_iters=100)
    return model, labelled(), F.cross_entropy, optimizer


class Binary(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(16, 64), nn.Linear(64, 4)

    def forward(self, x):
        h = torch.tanh(self.first(x))
        return self.second(h + (h.sign() - h).detach())


def straight_through():
    return Binary(), labelled(), F.cross_entropy


def dropout():
    model = plain()
    return nn.Sequential(*model[:2], nn.Dropout(0.7), *model[2:]), labelled(), F.cross_entropy


class Chrono(nn.Module):
    """Gates that start open for 200 steps: a forget bias of ln u, an input bias of -ln u."""

    def __init__(self, hidden=32):
        super().__init__()
        self.cell, self.head = nn.LSTM(2, hidden, batch_first=True), nn.Linear(hidden, 1)
        spread = torch.log(torch.empty(hidden).uniform_(1, 199))
        with torch.no_grad():
            self.cell.bias_hh_l0.zero_()
            self.cell.bias_ih_l0[:hidden] = -spread
            self.cell.bias_ih_l0[hidden : 2 * hidden] = spread

    def forward(self, x):
        return self.head(self.cell(x)[0][:, -1])


def gates_open_for_long():
    values, marks = torch.rand(16, 200), torch.zeros(16, 200)
    marks[:, 5] = marks[:, 120] = 1.0
    batch = torch.stack([values, marks], -1), (values * marks).sum(1, keepdim=True)
    return Chrono(), batch, F.mse_loss


CASES = [
    gates_open_for_long,
    converged,
    scaled_loss,
    summed_loss,
    small_batch,
    large_batch,
    tiny_batch,
    many_classes,
    rescaled_layers,
    weights_before_a_norm,
    bias_before_batchnorm,
    zero_residual_branches,
    zero_head,
    lora,
    frozen_backbone,
    attention_with_its_biases,
    post_norm_at_moderate_depth,
    untouched_rows,
    relu_sparsity,
    unused_auxiliary_head,
    momentum_target,
    uneven_branches,
    warm_up,
    straight_through,
    dropout,
]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_a_known_false_alarm_is_not_raised(case, seed):
    torch.manual_seed(seed)
    model, batch, loss, *rest = case()
    optimizer = (
        rest[0]
        if rest
        else torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    )
    report = unvanish.checkup(model, batch, loss=loss, optimizer=optimizer)
    loud = [f"{f.code} {f.message}" for f in report.findings if f.severity is not Severity.NOTE]
    assert not loud
    assert math.isfinite(report.recording.context.loss_value)
