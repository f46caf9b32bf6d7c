"""Insurance claims per policy, most of them zero: Poisson regression with a small net."""
import torch
from torch import nn

coef = torch.tensor([0.8, -0.6, 0.4, 0.0, 0.5, -0.3])


class ClaimsNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, x):
        return nn.functional.softplus(self.body(x)).squeeze(1)  # a rate is positive


def batch(n=256):
    x = torch.randn(n, 6)
    rate = torch.exp(-2.5 + x @ coef)
    return x, torch.poisson(rate)


loss = nn.PoissonNLLLoss()


def optimizer(net):
    return torch.optim.Adam(net.parameters(), lr=2e-3)


if __name__ == "__main__":
    net = ClaimsNet()
    opt = optimizer(net)
    for i in range(500):
        x, y = batch()
        l = loss(net(x), y)
        opt.zero_grad(); l.backward(); opt.step()
    print("mean nll", l.item())
