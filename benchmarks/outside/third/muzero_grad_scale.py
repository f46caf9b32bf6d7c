"""MuZero-like unroll: the gradient is halved at every step of the learned dynamics (Appendix G), K = 24.

Only the final reward is known in this environment.
"""
import torch
from torch import nn

K = 24


def scale_gradient(tensor, scale):
    return tensor * scale + tensor.detach() * (1 - scale)


class Unrolled(nn.Module):
    def __init__(self, d=32):
        super().__init__()
        self.represent = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, d))
        self.action = nn.Embedding(4, d)
        self.dynamics = nn.Sequential(nn.Linear(d, d), nn.ReLU(), nn.Linear(d, d))
        nn.init.zeros_(self.dynamics[-1].weight)
        nn.init.zeros_(self.dynamics[-1].bias)
        self.reward = nn.Linear(d, 1)

    def forward(self, observation, actions):
        s = self.represent(observation)
        for k in range(actions.shape[1]):
            s = scale_gradient(s, 0.5)
            s = s + 0.05 * torch.tanh(self.dynamics(s + 0.1 * self.action(actions[:, k])))
        return self.reward(s).squeeze(1)


def batch(n=64):
    obs = torch.randn(n, 10)
    act = torch.randint(0, 4, (n, K))
    return (obs, act), torch.sin(2 * obs[:, 0]) * obs[:, 1].sign()


loss = nn.MSELoss()


def optimizer(net):
    return torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.9)


if __name__ == "__main__":
    net = Unrolled()
    opt = optimizer(net)
    for i in range(400):
        x, r = batch()
        l = loss(net(*x), r)
        opt.zero_grad()
        l.backward()
        opt.step()
    print(l.item())
