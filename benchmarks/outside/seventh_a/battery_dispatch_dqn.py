"""Charge / idle / discharge a home battery: Q network with frozen target copy, batch from a replay buffer."""
import copy
import torch
from torch import nn

GAMMA = 0.9


class QNet(nn.Module):
    def __init__(self, n_obs=5, n_act=3, h=64):
        super().__init__()
        trunk = nn.Sequential(nn.Linear(n_obs, h), nn.ReLU(), nn.Linear(h, h), nn.ReLU())
        self.trunk = trunk
        self.value = nn.Linear(h, 1)
        self.advantage = nn.Linear(h, n_act)

    def forward(self, s):
        z = self.trunk(s)
        a = self.advantage(z)
        return self.value(z) + a - a.mean(1, keepdim=True)


target_net = QNet()
for p in target_net.parameters():
    p.requires_grad = False

gen = torch.Generator().manual_seed(77)
N = 4000
S = torch.rand(N, 5, generator=gen) * 2 - 1            # price, soc, solar, sin h, cos h
A = torch.randint(0, 3, (N,), generator=gen)
move = A.float() - 1
R = move * S[:, 0] - 0.3 * (move * S[:, 1] < -0.5).float() + 0.2 * S[:, 2]
S2 = S.clone()
S2[:, 1] = (S[:, 1] - 0.2 * move).clamp(-1, 1)
S2[:, 0] = (0.7 * S[:, 0] + 0.3 * S[:, 3])


def batch():
    i = torch.randint(0, N, (128,))
    with torch.no_grad():
        y = R[i] + GAMMA * target_net(S2[i]).max(1).values
    return S[i], torch.stack([A[i].float(), y], 1)


def loss(q, target):
    a, y = target[:, 0].long(), target[:, 1]
    return nn.functional.smooth_l1_loss(q.gather(1, a[:, None]).squeeze(1), y)


def make_agent():
    return QNet()


def optimizer(model):
    return torch.optim.RMSprop(model.parameters(), lr=5e-4)
