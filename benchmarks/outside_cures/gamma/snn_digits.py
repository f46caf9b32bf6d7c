import torch
from sklearn.datasets import load_digits
from torch import nn

# Leaky integrate-and-fire network, surrogate gradient (Neftci et al. 2019)

TIMESTEPS = 12
BETA = 0.8
THRESHOLD = 1.0
SLOPE = 100.0


class Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, v):
        ctx.save_for_backward(v)
        return (v > 0).float()

    @staticmethod
    def backward(ctx, grad):
        (v,) = ctx.saved_tensors
        return grad / (SLOPE * v.abs() + 1.0) ** 2


class LIF(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.fc = nn.Linear(n_in, n_out, bias=False)
        nn.init.normal_(self.fc.weight, std=0.01)

    def forward(self, spikes, v):
        v = BETA * v + self.fc(spikes)
        out = Spike.apply(v - THRESHOLD)
        return out, v - THRESHOLD * out.detach()


class SNN(nn.Module):
    def __init__(self, hidden=100):
        super().__init__()
        self.l1 = LIF(64, hidden)
        self.l2 = LIF(hidden, hidden)
        self.readout = nn.Linear(hidden, 10)

    def forward(self, x):
        v1 = v2 = torch.zeros(len(x), self.l1.fc.out_features)
        total = 0
        for _ in range(TIMESTEPS):
            s1, v1 = self.l1(x, v1)
            s2, v2 = self.l2(s1, v2)
            total = total + self.readout(s2)
        return total / TIMESTEPS


def model():
    return SNN()


bunch = load_digits()
pixels = torch.tensor(bunch.data, dtype=torch.float32) / 16
target = torch.tensor(bunch.target)


def data():
    for b in torch.randperm(1300).split(100):
        yield pixels[b], target[b]


criterion = nn.CrossEntropyLoss()


def loss(output, y):
    return criterion(output, y)


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)


def metric(model):
    model.eval()
    with torch.no_grad():
        return (model(pixels[1300:1500]).argmax(1) == target[1300:1500]).float().mean().item()


GOAL = 0.75
HIGHER_IS_BETTER = True
