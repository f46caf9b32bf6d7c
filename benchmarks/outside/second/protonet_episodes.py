import torch
from torch import nn

torch.manual_seed(1)
WORLD = torch.randn(40, 16)  # forty classes
MIX = torch.randn(16, 60) / 4


class ProtoNet(nn.Module):
    def __init__(self, way=5, shot=3):
        super().__init__()
        self.way, self.shot = way, shot
        self.f = nn.Sequential(nn.Linear(60, 96), nn.ReLU(), nn.Linear(96, 32))

    def forward(self, episode):
        z = self.f(episode)
        k = self.way * self.shot
        protos = z[:k].view(self.way, self.shot, -1).mean(1)
        return -(torch.cdist(z[k:], protos) ** 2)


def batch(way=5, shot=3, query=6):
    classes = torch.randperm(40)[:way]
    support = classes.repeat_interleave(shot)
    ask = torch.arange(way).repeat(query)
    which = torch.cat([support, classes[ask]])
    x = torch.tanh(WORLD[which] @ MIX) + 1.2 * torch.randn(len(which), 60)
    return x, ask


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=1e-3)
