# LIF network, constant current input, 10 steps.
import torch
from torch import nn
from sklearn.datasets import load_digits


class Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u):
        ctx.save_for_backward(u)
        return (u > 0).float()

    @staticmethod
    def backward(ctx, grad):
        u, = ctx.saved_tensors
        return grad * (u.abs() < 0.5).float()


class LIF(nn.Module):
    def __init__(self, beta=0.9, v_th=20.0):
        super().__init__()
        self.beta, self.v_th = beta, v_th

    def forward(self, i, v):
        v = self.beta * v + i
        s = Spike.apply(v - self.v_th)
        return s, v - s.detach() * self.v_th


class SNN(nn.Module):
    def __init__(self, T=10):
        super().__init__()
        self.T = T
        self.fc1, self.lif1 = nn.Linear(64, 96), LIF()
        self.fc2, self.lif2 = nn.Linear(96, 48), LIF()
        self.read = nn.Linear(48, 10)

    def forward(self, x):
        v1 = v2 = 0.0
        acc = 0.0
        cur = self.fc1(x)
        for _ in range(self.T):
            s1, v1 = self.lif1(cur, v1)
            s2, v2 = self.lif2(self.fc2(s1), v2)
            acc = acc + self.read(s2)
        return acc / self.T


D = load_digits()
PX, LB = torch.tensor(D.data, dtype=torch.float32) / 16, torch.tensor(D.target)


def batch():
    i = torch.randint(0, len(PX), (64,))
    return PX[i], LB[i]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
