"""T-maze with a memory agent, imitation phase (before the actor-critic takes over).

The cue is visible in the first observation only. Then comes the corridor, with noisy
observations, and at the junction the expert turns left, right, up or down by the cue.
"""
import torch
from torch import nn

CORRIDOR = 14
CUES = 4


def rollouts(n, seed):
    g = torch.Generator().manual_seed(seed)
    cue = torch.randint(0, CUES, (n,), generator=g)
    obs = 0.2 * torch.randn(n, CORRIDOR, CUES + 2, generator=g)
    obs[:, 0, :CUES] += nn.functional.one_hot(cue, CUES)
    obs[:, :, CUES] += torch.linspace(0, 1, CORRIDOR)  # how far we are
    obs[:, -1, CUES + 1] += 1.0  # junction
    return obs, cue


OBS, ACT = rollouts(1500, seed=10)
VAL_OBS, VAL_ACT = rollouts(400, seed=11)


class MemoryAgent(nn.Module):
    def __init__(self, hidden=32, bptt=1):
        super().__init__()
        self.bptt = bptt  # graph is kept for this many steps, saves memory on the cluster
        self.hidden = hidden
        self.encoder = nn.ModuleDict({"obs": nn.Linear(CUES + 2, hidden)})
        self.core = nn.GRUCell(hidden, hidden)
        self.policy = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, CUES))

    def forward(self, obs):
        h = obs.new_zeros(obs.shape[0], self.hidden)
        for t in range(obs.shape[1]):
            if t % self.bptt == 0:
                h = h.detach()
            h = self.core(torch.relu(self.encoder["obs"](obs[:, t])), h)
        return self.policy(h)


def model():
    return MemoryAgent()


def data():
    for i in torch.randperm(len(OBS)).split(60):
        yield {"obs": OBS[i]}, ACT[i]


loss = "cross_entropy"


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)


def metric(model):
    with torch.no_grad():
        return (model(obs=VAL_OBS).argmax(-1) == VAL_ACT).float().mean().item()


GOAL = 0.8
HIGHER_IS_BETTER = True
