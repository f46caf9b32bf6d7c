"""One PPO minibatch for a continuous action: clipped ratio, value loss, entropy bonus."""

import torch
from torch import nn
from torch.distributions import Normal


def layer_init(layer, std=2**0.5, bias=0.0):
    nn.init.orthogonal_(layer.weight, std)
    nn.init.constant_(layer.bias, bias)
    return layer


class ActorCritic(nn.Module):
    def __init__(self, obs=6, act=2):
        super().__init__()
        self.critic = nn.Sequential(
            layer_init(nn.Linear(obs, 64)),
            nn.Tanh(),
            layer_init(nn.Linear(64, 64)),
            nn.Tanh(),
            layer_init(nn.Linear(64, 1), std=1.0),
        )
        self.actor_mean = nn.Sequential(
            layer_init(nn.Linear(obs, 64)),
            nn.Tanh(),
            layer_init(nn.Linear(64, 64)),
            nn.Tanh(),
            layer_init(nn.Linear(64, act), std=0.01),
        )
        self.actor_logstd = nn.Parameter(torch.zeros(1, act))

    def forward(self, x, action):
        mean = self.actor_mean(x)
        d = Normal(mean, self.actor_logstd.exp().expand_as(mean))
        return d.log_prob(action).sum(1), d.entropy().sum(1), self.critic(x).squeeze(1)


TARGET = torch.tensor([[0.5, -0.3], [0.2, 0.1], [0, 0.6], [-0.4, 0], [0, 0], [0.1, -0.2]])


def batch(n=256):
    # rollout of the initial policy: mean 0, std 1
    obs = torch.randn(n, 6)
    action = torch.randn(n, 2)
    old_logp = Normal(0.0, 1.0).log_prob(action).sum(1)
    ret = -((action - obs @ TARGET) ** 2).sum(1)
    adv = (ret - ret.mean()) / (ret.std() + 1e-8)
    return (obs, action), (old_logp, adv, ret)


def loss(output, target):
    logp, entropy, value = output
    old, adv, ret = target
    ratio = (logp - old).exp()
    pg = torch.max(-adv * ratio, -adv * ratio.clamp(0.8, 1.2)).mean()
    return pg + 0.5 * ((value - ret) ** 2).mean() - 0.0 * entropy.mean()


def model():
    return ActorCritic()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-4, eps=1e-5)


CLIP_GRAD_NORM = 0.5
