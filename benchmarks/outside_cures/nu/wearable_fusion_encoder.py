"""Activity recognition from a wrist device: accelerometer + gyroscope + pulse, fused by a transformer encoder.

Rewritten without nn.TransformerEncoder so that we can export the attention maps.
"""
import math

import torch
import torch.nn as nn

WINDOW, CLASSES = 20, 6
SENSORS = {"acc": 3, "gyro": 3, "ppg": 1}


def make_windows(n, seed):
    """Three postures (where gravity points on the wrist), each at rest or busy."""
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(CLASSES, (n,), generator=g)
    posture, busy = y % 3, y // 3
    t = torch.arange(WINDOW) / WINDOW
    freq = (1.0 + 3.0 * busy + 0.5 * torch.rand(n, generator=g))[:, None]
    phase = 2 * math.pi * torch.rand(n, 1, generator=g)
    axis = torch.randn(n, 3, generator=g)
    axis = axis / axis.norm(dim=1, keepdim=True)
    arg = 2 * math.pi * freq * t + phase
    gravity = torch.eye(3)[posture][:, None]
    acc = 0.5 * torch.sin(arg)[..., None] * axis[:, None] + 0.7 * gravity
    gyro = 0.3 * freq[..., None] * torch.cos(arg)[..., None] * axis[:, None].roll(1, -1)
    ppg = torch.sin(2 * math.pi * (1.2 + 0.5 * busy[:, None]) * t + 3 * phase)[..., None]
    noise = lambda v: v + 0.3 * torch.randn(v.shape, generator=g)
    return {"acc": noise(acc), "gyro": noise(gyro), "ppg": noise(ppg)}, y


class SelfAttention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        att = torch.softmax(q @ k.transpose(-2, -1), dim=-1)
        self.last_attention = att.detach()
        return self.proj((att @ v).transpose(1, 2).reshape(b, t, d))


class EncoderLayer(nn.Module):
    def __init__(self, dim, heads, ff):
        super().__init__()
        self.att = SelfAttention(dim, heads)
        self.ff = nn.Sequential(nn.Linear(dim, ff), nn.ReLU(), nn.Linear(ff, dim))
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)

    def forward(self, x):
        x = self.norm1(x + self.att(x))
        return self.norm2(x + self.ff(x))


class FusionEncoder(nn.Module):
    def __init__(self, dim=48, heads=4, depth=8):
        super().__init__()
        self.stems = nn.ModuleDict({k: nn.Linear(c, dim) for k, c in SENSORS.items()})
        self.position = nn.Parameter(torch.randn(WINDOW, dim))
        self.layers = nn.ModuleList(EncoderLayer(dim, heads, 2 * dim) for _ in range(depth))
        self.head = nn.Linear(dim, CLASSES)
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.xavier_uniform_(p)
        self.scale = math.sqrt(dim)

    def forward(self, acc, gyro, ppg):
        x = self.stems["acc"](acc) + self.stems["gyro"](gyro) + self.stems["ppg"](ppg)
        x = x * self.scale + self.position
        for layer in self.layers:
            x = layer(x)
        return self.head(x.mean(1))


X, Y = make_windows(1600, seed=21)


def model():
    return FusionEncoder()


def data():
    for i in torch.randperm(len(Y)).split(32):
        yield {k: v[i] for k, v in X.items()}, Y[i]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=4e-3, betas=(0.9, 0.98), eps=1e-9)
