"""Deep equilibrium layer: no-grad fixed point iteration, then an implicit backward hook."""

import torch
from sklearn.datasets import load_digits
from torch import autograd, nn


class Cell(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.W = nn.Linear(d, d, bias=False)
        self.U = nn.Linear(64, d)
        nn.init.normal_(self.W.weight, std=0.5 / d**0.5)

    def forward(self, z, x):
        return torch.tanh(self.W(z) + self.U(x))


class DEQ(nn.Module):
    def __init__(self, d=64, iters=25):
        super().__init__()
        self.f = Cell(d)
        self.out = nn.Linear(d, 10)
        self.d, self.iters = d, iters

    def solve(self, g, z):
        for _ in range(self.iters):
            z = g(z)
        return z

    def forward(self, x):
        with torch.no_grad():
            z = self.solve(lambda z: self.f(z, x), torch.zeros(len(x), self.d))
        z = self.f(z, x)
        if torch.is_grad_enabled():
            z0 = z.clone().detach().requires_grad_()
            f0 = self.f(z0, x)

            def backward_hook(grad):
                return self.solve(
                    lambda y: autograd.grad(f0, z0, y, retain_graph=True)[0] + grad, grad
                )

            z.register_hook(backward_hook)
        return self.out(z)


def model():
    return DEQ()


def batch():
    x, y = load_digits(return_X_y=True)
    i = torch.randperm(len(y))[:100]
    return torch.tensor(x / 8 - 1)[i].float(), torch.tensor(y)[i]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
