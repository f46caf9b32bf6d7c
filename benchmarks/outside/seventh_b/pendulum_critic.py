"""
Critic of a SAC/TD3-like agent. Port of the Brax/JAX version.
"""
import torch
from torch import nn

MAX_SPEED, MAX_TORQUE = 8.0, 2.0


class Critic(nn.Module):
    def __init__(self, obs_dim: int = 3, act_dim: int = 1, hidden: int = 64):
        super().__init__()
        self.q = nn.Sequential(
            nn.Linear(obs_dim + act_dim, hidden), nn.LayerNorm(hidden), nn.Tanh(),
            nn.Linear(hidden, hidden), nn.ReLU(),
            nn.Linear(hidden, 1),
        )

    def forward(self, obs, act):
        return self.q(torch.cat([obs, act], -1)).squeeze(-1)


def rollout_return(th, w, u, horizon=100):
    """Monte Carlo return of the first action followed by a damping controller"""
    ret = torch.zeros_like(th)
    for t in range(horizon):
        a = (u if t == 0 else -0.5 * w).clamp(-MAX_TORQUE, MAX_TORQUE)
        ang = (th + torch.pi) % (2 * torch.pi) - torch.pi
        ret = ret - (ang ** 2 + 0.1 * w ** 2 + 0.001 * a ** 2)
        w = (w + (15.0 * torch.sin(th) + 3.0 * a) * 0.05).clamp(-MAX_SPEED, MAX_SPEED)
        th = th + w * 0.05
    return ret


def batch(n=128):
    th = (torch.rand(n) * 2 - 1) * torch.pi
    w = torch.rand(n) * 2 - 1
    u = (torch.rand(n) * 2 - 1) * MAX_TORQUE
    obs = torch.stack([th.cos(), th.sin(), w], -1)
    return (obs, u[:, None] / MAX_TORQUE), rollout_return(th, w, u)


def loss(q, ret):
    return nn.functional.smooth_l1_loss(q, ret)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-4)
