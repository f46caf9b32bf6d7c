# Deep equilibrium model (Bai, Kolter, Koltun 2019) on three spiral arms
import torch
import torch.nn as nn


def spirals(n=256):
    y = torch.randint(0, 3, (n,))
    r = torch.rand(n) ** 0.5
    phi = 5.0 * r + y * 2 * torch.pi / 3 + 0.1 * torch.randn(n)
    return torch.stack([r * phi.cos(), r * phi.sin()], 1) * 2, y


class Cell(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.U = nn.Linear(2, d)
        self.W = nn.Linear(d, d, bias=False)
        nn.init.orthogonal_(self.W.weight, 0.7)

    def forward(self, z, x):
        return torch.tanh(self.W(z) + self.U(x))


class DEQ(nn.Module):
    def __init__(self, d=24, iters=20):
        super().__init__()
        self.f = Cell(d)
        self.iters = iters
        self.read = nn.Linear(d, 3)

    def solve(self, x):
        z = torch.zeros(x.shape[0], self.read.in_features)
        with torch.no_grad():
            for _ in range(self.iters):
                z_new = self.f(z, x)
                if (z_new - z).abs().max() < 1e-4:
                    break
                z = z_new
        return z

    def forward(self, x):
        z = self.solve(x)
        return self.read(z)


def batch():
    return spirals()


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
