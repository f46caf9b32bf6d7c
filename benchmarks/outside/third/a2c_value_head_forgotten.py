"""Actor-critic on a contextual task; separate modules, one optimiser ... that knows the actor only."""
import torch
import torch.nn.functional as F
from torch import nn


class ActorCritic(nn.Module):
    def __init__(self, obs=6, actions=3):
        super().__init__()
        self.actor = nn.Sequential(nn.Linear(obs, 64), nn.Tanh(), nn.Linear(64, actions))
        self.critic = nn.Sequential(nn.Linear(obs, 64), nn.Tanh(), nn.Linear(64, 1))

    def forward(self, s):
        return self.actor(s), self.critic(s).squeeze(1)


_w = torch.randn(6, 3, generator=torch.Generator().manual_seed(9))


def batch(n=128):
    s = torch.randn(n, 6)
    a = torch.randint(0, 3, (n,))
    best = (s @ _w).argmax(1)
    reward = (a == best).float() + 2.0 * torch.sin(s[:, 0])
    return s, torch.stack([a.float(), reward], 1)


def loss(out, data):
    logits, value = out
    a, r = data[:, 0].long(), data[:, 1]
    logp = F.log_softmax(logits, 1)
    chosen = logp.gather(1, a[:, None]).squeeze(1)
    ratio = chosen.exp() * 3  # behaviour policy was uniform
    advantage = (r - value).detach()
    entropy = -(logp.exp() * logp).sum(1).mean()
    return -(ratio * advantage).mean() + 0.5 * F.mse_loss(value, r) - 0.01 * entropy


def optimizer(net):
    return torch.optim.Adam(net.actor.parameters(), lr=3e-3)


def metric(net):
    """error of the value function over the variance of the reward"""
    s, d = batch(4000)
    with torch.no_grad():
        return (F.mse_loss(net(s)[1], d[:, 1]) / d[:, 1].var()).item()


HIGHER_IS_BETTER = False

if __name__ == "__main__":
    net = ActorCritic()
    opt = optimizer(net)
    for i in range(400):
        s, d = batch()
        l = loss(net(s), d)
        opt.zero_grad()
        l.backward()
        opt.step()
    print("critic error", metric(net))
