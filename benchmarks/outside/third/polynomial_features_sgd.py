# Polynomial regression: loss is inf at step 3 and nan afterwards
import torch
from torch import nn


def powers(x, degree=6):
    return torch.cat([x**k for k in range(1, degree + 1)], dim=1)


class PolyNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 1)

    def forward(self, feats):
        return self.linear(feats)


loss = nn.MSELoss()


def batch():
    x = torch.rand(64, 1) * 10 - 5
    return powers(x), torch.sin(x)


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=1e-3)


if __name__ == "__main__":
    model = PolyNet()
    opt = optimizer(model)
    for epoch in range(10):
        f, t = batch()
        l = loss(model(f), t)
        opt.zero_grad()
        l.backward()
        opt.step()
        print(epoch, l.item())
