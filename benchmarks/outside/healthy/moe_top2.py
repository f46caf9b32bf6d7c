import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn


class MoE(nn.Module):
    """Top-2 of 6 experts with a load-balancing term kept in self.aux."""

    def __init__(self, d, hidden, n_experts=6, k=2):
        super().__init__()
        self.router = nn.Linear(d, n_experts, bias=False)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(d, hidden), nn.ReLU(), nn.Linear(hidden, d))
            for _ in range(n_experts)
        )
        self.k = k
        self.aux = None

    def forward(self, x):
        probs = self.router(x).softmax(-1)
        top, idx = probs.topk(self.k, -1)
        top = top / top.sum(-1, keepdim=True)
        out = torch.zeros_like(x)
        for e, expert in enumerate(self.experts):
            rows, slot = torch.where(idx == e)
            if len(rows):
                out = out.index_add(0, rows, top[rows, slot, None] * expert(x[rows]))
        load = F.one_hot(idx[:, 0], len(self.experts)).float().mean(0)
        self.aux = len(self.experts) * (load * probs.mean(0)).sum()
        return x + out


class MoENet(nn.Module):
    def __init__(self, d=64):
        super().__init__()
        self.stem = nn.Linear(64, d)
        self.n1, self.m1 = nn.LayerNorm(d), MoE(d, 64)
        self.n2, self.m2 = nn.LayerNorm(d), MoE(d, 64)
        self.head = nn.Linear(d, 10)

    def forward(self, x):
        x = self.stem(x)
        x = self.m1(self.n1(x))
        x = self.m2(self.n2(x))
        return self.head(x), self.m1.aux + self.m2.aux


def model():
    return MoENet()


def loss(output, target):
    logits, aux = output
    return F.cross_entropy(logits, target) + 0.01 * aux


def batch():
    x, y = load_digits(return_X_y=True)
    i = torch.randperm(len(y))[:128]
    return torch.tensor(x)[i].float() / 8 - 1, torch.tensor(y)[i]


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=1e-3)
