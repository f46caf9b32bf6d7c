"""Leaky integrate-and-fire classifier of moving bars seen by a 1-d retina."""
import torch
from torch import nn


class FastSigmoidSpike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, v):
        ctx.save_for_backward(v)
        return (v > 0).float()

    @staticmethod
    def backward(ctx, g):
        v, = ctx.saved_tensors
        return g * (v.abs() < 0.5).float()


spike = FastSigmoidSpike.apply


class LIFLayer(nn.Module):
    def __init__(self, n_in, n_out, beta=0.8, threshold=10.0):
        super().__init__()
        self.fc = nn.Linear(n_in, n_out)
        self.beta, self.threshold = beta, threshold

    def forward(self, seq):
        v, out = 0.0, []
        for x in seq:
            v = self.beta * v + self.fc(x)
            s = spike(v - self.threshold)
            v = v - s * self.threshold
            out.append(s)
        return torch.stack(out)


class RetinaSNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1 = LIFLayer(20, 64)
        self.l2 = LIFLayer(64, 64)
        self.readout = nn.Linear(64, 3)

    def forward(self, x):
        s = self.l2(self.l1(x.transpose(0, 1)))
        return self.readout(s.mean(0))


def batch(n=64, T=16):
    y = torch.randint(0, 3, (n,))          # left, right, still
    pos = torch.randint(0, 20, (n,))
    x = (torch.rand(n, T, 20) < 0.05).float()
    step = torch.tensor([-1, 1, 0])[y]
    for t in range(T):
        x[torch.arange(n), t, (pos + step * t) % 20] = 1.0
    return x, y


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
