# keyword spotting on log-mel features (power_to_db, top_db=80)
import torch
from torch import nn

torch.manual_seed(21)
N, BANDS = 1600, 40
WORD = torch.randint(0, 6, (N,))
centre = 5 + 6 * WORD[:, None].float() + torch.randn(N, 1)
MEL = -65 + 30 * torch.exp(-((torch.arange(BANDS) - centre) ** 2) / 30) + 5 * torch.randn(N, BANDS)
MEL = MEL.clamp(-80, 0)


class KeywordNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.ModuleList([nn.Linear(BANDS, 64), nn.Linear(64, 64), nn.Linear(64, 32)])
        self.cls = nn.Linear(32, 6)

    def forward(self, x):
        for f in self.fc:
            x = f(x).clamp(min=0)
        return self.cls(x)


def loss(scores, word):
    return nn.functional.cross_entropy(scores, word)


def batch():
    i = torch.randint(0, N, (64,))
    return MEL[i], WORD[i]


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
