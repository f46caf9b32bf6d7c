"""Learned simulator: predict where a Lorenz trajectory is after 60 of our own small steps.

The network is its own integrator: state <- state + net(state), unrolled, loss at the end.
"""
import torch
from torch import nn

STEPS = 60


def lorenz(state):
    x, y, z = state.unbind(-1)
    return torch.stack([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z], -1)


def simulate(state, steps, dt=0.005):
    for _ in range(steps):
        k1 = lorenz(state)
        k2 = lorenz(state + dt / 2 * k1)
        state = state + dt * k2
    return state


class Simulator(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1 = nn.Linear(3, 64)
        self.l2 = nn.Linear(64, 3)
        nn.init.orthogonal_(self.l1.weight, gain=1.0)
        nn.init.orthogonal_(self.l2.weight, gain=1.0)
        self.step_size = 1.0

    def forward(self, s):
        for _ in range(STEPS):
            s = s + self.step_size * self.l2(torch.relu(self.l1(s)))
        return s


def batch():
    start = simulate(torch.randn(64, 3) * 5 + torch.tensor([0.0, 0.0, 25.0]), 100)
    end = simulate(start, STEPS // 4)
    mu, sd = torch.tensor([0.0, 0.0, 24.0]), torch.tensor([8.0, 9.0, 8.5])
    return (start - mu) / sd, (end - mu) / sd


def loss(a, b):
    return nn.functional.mse_loss(a, b)


def optimizer(net):
    return torch.optim.Adam(net.parameters(), lr=1e-3)


if __name__ == "__main__":
    sim = Simulator()
    opt = optimizer(sim)
    for i in range(300):
        a, b = batch()
        value = loss(sim(a), b)
        opt.zero_grad()
        value.backward()
        opt.step()
        if i % 30 == 0:
            print(i, value.item())
