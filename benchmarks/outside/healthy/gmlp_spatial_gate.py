"""gMLP: spatial gating units that start as the identity (weights near zero, bias one)."""

import torch
from sklearn.datasets import load_digits
from torch import nn


class SpatialGatingUnit(nn.Module):
    def __init__(self, d_ffn, seq_len):
        super().__init__()
        self.norm = nn.LayerNorm(d_ffn)
        self.spatial_proj = nn.Conv1d(seq_len, seq_len, kernel_size=1)
        nn.init.uniform_(self.spatial_proj.weight, -1e-3, 1e-3)
        nn.init.constant_(self.spatial_proj.bias, 1.0)

    def forward(self, x):
        u, v = x.chunk(2, dim=-1)
        return u * self.spatial_proj(self.norm(v))


class gMLPBlock(nn.Module):  # noqa: N801
    def __init__(self, d_model=48, d_ffn=96, seq_len=16):
        super().__init__()
        self.norm = nn.LayerNorm(d_model)
        self.proj1 = nn.Linear(d_model, d_ffn * 2)
        self.proj2 = nn.Linear(d_ffn, d_model)
        self.sgu = SpatialGatingUnit(d_ffn, seq_len)

    def forward(self, x):
        return x + self.proj2(self.sgu(nn.functional.gelu(self.proj1(self.norm(x)))))


class gMLP(nn.Module):  # noqa: N801
    def __init__(self, depth=4):
        super().__init__()
        self.patch = nn.Linear(4, 48)
        self.model = nn.Sequential(*[gMLPBlock() for _ in range(depth)])
        self.head = nn.Linear(48, 10)

    def forward(self, x):
        p = nn.functional.unfold(x, 2, stride=2).transpose(1, 2)
        return self.head(self.model(self.patch(p)).mean(1))


def model():
    return gMLP()


def data():
    d = load_digits()
    ds = torch.utils.data.TensorDataset(
        torch.tensor(d.images, dtype=torch.float32)[:, None] / 8 - 1, torch.tensor(d.target)
    )
    return torch.utils.data.DataLoader(ds, batch_size=64, shuffle=True)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
