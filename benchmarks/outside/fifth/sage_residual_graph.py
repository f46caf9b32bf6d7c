import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(8)
N = 200
COMM = torch.randint(0, 5, (N,))
P = torch.where(COMM[:, None] == COMM[None], 0.15, 0.01)
A = (torch.rand(N, N) < P).float().triu(1)
A = A + A.t()
A = A / A.sum(1, keepdim=True).clamp(min=1)
NODE = F.one_hot(COMM, 5).float() + 1.2 * torch.randn(N, 5)


class Sage(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.me, self.them, self.norm = nn.Linear(d, d), nn.Linear(d, d, bias=False), nn.LayerNorm(d)

    def forward(self, h):
        return h + F.relu(self.norm(self.me(h) + self.them(A @ h)))


class Net(nn.Module):
    def __init__(self, d=32):
        super().__init__()
        self.inp = nn.Linear(5, d)
        self.layers = nn.ModuleList([Sage(d) for _ in range(4)])
        self.cls = nn.Linear(d, 5)

    def forward(self, x):
        h = self.inp(x)
        for layer in self.layers:
            h = layer(h)
        return self.cls(h)


def batch():
    return NODE, COMM


def loss(out, y):
    return F.cross_entropy(out, y)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3, weight_decay=5e-4)
