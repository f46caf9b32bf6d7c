# Siamese network: loss goes to 0 within seconds but the nearest neighbours are random
import torch
from sklearn.datasets import load_digits
from torch import nn

X = torch.tensor(load_digits().data / 16, dtype=torch.float32)[:800]
Y = torch.tensor(load_digits().target)[:800]


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.f = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 96), nn.ReLU(), nn.Linear(96, 16))

    def embed(self, x):
        return nn.functional.normalize(self.f(x), dim=1)

    def forward(self, x1, x2):
        return self.embed(x1), self.embed(x2)


def loss(output, target):
    a, b = output
    return 1 - (a * b).sum(1).mean()



def batch():
    x = X[torch.randint(len(X), (96,))]
    return (x + 0.15 * torch.randn_like(x), x + 0.15 * torch.randn_like(x)), torch.ones(96)


def optimizer(net):
    return torch.optim.Adam(net.parameters(), lr=2e-3)


def trained_encoder(steps=600):
    torch.manual_seed(0)
    net = Encoder()
    opt = optimizer(net)
    for _ in range(steps):
        (u, v), same = batch()
        opt.zero_grad()
        loss(net(u, v), same).backward()
        opt.step()
    return net


if __name__ == "__main__":
    z = trained_encoder().embed(X)
    print("similarity of different images:", (z[:100] @ z[100:200].T).mean().item())
