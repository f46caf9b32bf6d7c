# FM does not beat logistic regression, V.grad is all zeros
import torch
from torch import nn


class FactorizationMachine(nn.Module):
    def __init__(self, n=16, k=6):
        super().__init__()
        self.w0 = nn.Parameter(torch.zeros(1))
        self.w = nn.Linear(n, 1, bias=False)
        self.V = nn.Parameter(torch.zeros(n, k))

    def forward(self, x):
        s1 = (x @ self.V).pow(2)
        s2 = x.pow(2) @ self.V.pow(2)
        return self.w0 + self.w(x).squeeze(1) + 0.5 * (s1 - s2).sum(1)


criterion = nn.BCEWithLogitsLoss()


def batch(n=128):
    x = torch.randint(0, 2, (n, 16)).float() * 2 - 1
    click = (x[:, 0] * x[:, 1] + x[:, 2] * x[:, 3] + 0.5 * x[:, 4] * x[:, 5] > 0).float()
    return x, click


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)


if __name__ == "__main__":
    fm = FactorizationMachine()
    opt = optimizer(fm)
    for _ in range(600):
        x, c = batch()
        loss = criterion(fm(x), c)
        opt.zero_grad()
        loss.backward()
        opt.step()
    print(loss.item(), fm.V.grad.abs().max().item())
