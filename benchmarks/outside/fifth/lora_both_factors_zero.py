import torch
from sklearn.datasets import load_digits
from torch import nn

X, Y = load_digits(return_X_y=True)
X = torch.tensor(X / 16 - 0.3, dtype=torch.float32)
Y = torch.tensor(Y)


class LoRALinear(nn.Module):
    def __init__(self, base: nn.Linear, rank: int = 8, alpha: float = 16.0):
        super().__init__()
        self.base = base
        for p in base.parameters():
            p.requires_grad = False
        self.A = nn.Parameter(torch.zeros(rank, base.in_features))
        self.B = nn.Parameter(torch.zeros(base.out_features, rank))
        self.scale = alpha / rank

    def forward(self, x):
        return self.base(x) + self.scale * (x @ self.A.T @ self.B.T)


class Adapted(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1 = LoRALinear(nn.Linear(64, 64))
        self.l2 = LoRALinear(nn.Linear(64, 64))
        self.l3 = LoRALinear(nn.Linear(64, 10))

    def forward(self, x):
        return self.l3(torch.relu(self.l2(torch.relu(self.l1(x)))))


def loss(out, y):
    return nn.functional.cross_entropy(out, y)


def batch():
    i = torch.randint(0, len(X), (64,))
    return X[i], Y[i]


def optimizer(model):
    return torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=3e-3)
