# spiking digits, rectangular surrogate gradient (width 1) around a threshold copied from 16-level pixels
import torch
from sklearn.datasets import load_digits
from torch import nn

bunch = load_digits()
PX = torch.tensor(bunch.data / 16, dtype=torch.float32)
LB = torch.tensor(bunch.target)


class Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, v):
        ctx.save_for_backward(v)
        return (v > 0).float()

    @staticmethod
    def backward(ctx, g):
        (v,) = ctx.saved_tensors
        return g * (v.abs() < 0.5).float()


class LIF(nn.Module):
    def __init__(self, n_in, n_out, threshold, beta=0.9):
        super().__init__()
        self.fc = nn.Linear(n_in, n_out)
        self.threshold, self.beta = threshold, beta

    def forward(self, spikes):
        v, out = 0.0, []
        for s in spikes:
            v = self.beta * v + self.fc(s)
            z = Spike.apply(v - self.threshold)
            v = v - z * self.threshold
            out.append(z)
        return torch.stack(out)


class SNN(nn.Module):
    def __init__(self, threshold=16.0, steps=12):
        super().__init__()
        self.steps = steps
        self.hidden = LIF(64, 128, threshold)
        self.readout = nn.Linear(128, 10)

    def forward(self, x):
        spikes = (torch.rand(self.steps, *x.shape) < x).float()
        return self.readout(self.hidden(spikes).mean(0))


def batch(n=64):
    i = torch.randint(0, len(PX), (n,))
    return PX[i], LB[i]


def optimizer(net):
    return torch.optim.Adam(net.parameters(), lr=2e-3)


def metric(net):
    with torch.no_grad():
        return (net(PX).argmax(1) == LB).float().mean().item()


if __name__ == "__main__":
    net = SNN()
    opt = optimizer(net)
    for _ in range(300):
        x, y = batch()
        l = nn.functional.cross_entropy(net(x), y)
        opt.zero_grad()
        l.backward()
        opt.step()
    print(l.item(), metric(net))
