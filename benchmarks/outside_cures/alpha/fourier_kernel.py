# kernel machine with random Fourier features; only the read-out is fitted
import torch
from sklearn.datasets import load_digits
from torch import nn

d = load_digits()
x = torch.tensor(d.data / 16, dtype=torch.float32)
y = torch.tensor(d.target)
p = torch.randperm(len(x), generator=torch.Generator().manual_seed(2))
train, dev, test = p[:1200], p[1200:1450], p[1450:]


class FourierKernel(nn.Module):
    def __init__(self, n_features=800, bandwidth=0.35):
        super().__init__()
        self.project = nn.Linear(64, n_features)
        nn.init.normal_(self.project.weight, std=bandwidth)
        nn.init.uniform_(self.project.bias, 0, 6.2832)
        self.project.requires_grad_(False)
        self.readout = nn.Linear(n_features, 10)
        nn.init.zeros_(self.readout.weight)

    def forward(self, x):
        return self.readout(torch.cos(self.project(x)))


def model():
    return FourierKernel()


def data():
    for b in train[torch.randperm(len(train))].split(60):
        yield x[b], y[b]


loss = nn.functional.cross_entropy


def optimizer(model):
    return torch.optim.Adam(model.readout.parameters(), lr=5e-3)


def metric(model):
    model.eval()
    with torch.no_grad():
        a = (model(x[dev]).argmax(1) == y[dev]).float().mean().item()
    model.train()
    return a
