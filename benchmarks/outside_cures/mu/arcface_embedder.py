# ArcFace head (Deng et al. 2019) over a small embedder. s and m are the paper's.
import math
import torch
import torch.nn as nn
import torch.nn.functional as F

IDS, DIM = 12, 48
_gen = torch.Generator().manual_seed(77)
FACES = torch.randn(IDS, 10, generator=_gen)
LIFT = torch.randn(10, DIM, generator=_gen)


def crop(n, seed):
    g = torch.Generator().manual_seed(seed)
    who = torch.randint(0, IDS, (n,), generator=g)
    z = FACES[who] + 0.6 * torch.randn(n, 10, generator=g)
    return torch.tanh(z @ LIFT * 0.4) + 0.15 * torch.randn(n, DIM, generator=g), who


class ArcFace(nn.Module):
    def __init__(self, s=64.0, m=0.5, d=32):
        super().__init__()
        self.s, self.m = s, m
        self.body = nn.Sequential(
            nn.Linear(DIM, 96, bias=False), nn.BatchNorm1d(96), nn.PReLU(),
            nn.Linear(96, 96, bias=False), nn.BatchNorm1d(96), nn.PReLU(),
            nn.Linear(96, d, bias=False), nn.BatchNorm1d(d, affine=False),
        )
        self.centres = nn.Parameter(torch.randn(IDS, d) * 0.01)

    def embed(self, x):
        return F.normalize(self.body(x))

    def cosines(self, x):
        return self.embed(x) @ F.normalize(self.centres).t()

    def forward(self, x, who):
        cos = self.cosines(x).clamp(-1 + 1e-6, 1 - 1e-6)
        sin = (1 - cos ** 2).sqrt()
        with_margin = cos * math.cos(self.m) - sin * math.sin(self.m)
        # beyond pi - m the angle would wrap round
        with_margin = torch.where(cos > -math.cos(self.m), with_margin, cos - math.sin(self.m) * self.m)
        hot = F.one_hot(who, IDS).bool()
        return self.s * torch.where(hot, with_margin, cos)


x_train, id_train = crop(2400, seed=1)


def model():
    return ArcFace()


def data():
    for i in torch.randperm(len(x_train)).split(64)[:-1]:
        yield {"x": x_train[i], "who": id_train[i]}, id_train[i]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=5e-4)
