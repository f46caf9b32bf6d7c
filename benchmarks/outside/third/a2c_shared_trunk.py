import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Categorical


def ortho(layer, gain):
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


class ActorCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(ortho(nn.Linear(6, 64), 2**0.5), nn.Tanh(), ortho(nn.Linear(64, 64), 2**0.5), nn.Tanh())
        self.pi = ortho(nn.Linear(64, 3), 0.01)
        self.v = ortho(nn.Linear(64, 1), 1.0)

    def forward(self, obs):
        h = self.trunk(obs)
        return self.pi(h), self.v(h).squeeze(-1)


def loss(output, obs):
    logits, value = output
    dist = Categorical(logits=logits)
    action = dist.sample()
    best = obs[:, :3].argmax(1)
    reward = (action == best).float() + 0.1 * torch.randn(len(obs))
    advantage = (reward - value).detach()
    policy_loss = -(dist.log_prob(action) * advantage).mean()
    return policy_loss + 0.5 * F.mse_loss(value, reward) - 0.01 * dist.entropy().mean()


CLIP_GRAD_NORM = 0.5


def batch():
    obs = torch.randn(128, 6)
    return obs, obs


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3, eps=1e-5)
