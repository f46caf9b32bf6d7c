"""multi layer perceptron as in the 1960s book"""
import torch
from torch import nn

torch.manual_seed(2)
P = torch.rand(2000, 2) * 4 - 2
ring = P.norm(dim=1)
C = ((ring > 0.8) & (ring < 1.6)).float().unsqueeze(1)


class Step(nn.Module):
    def forward(self, v):
        return torch.sign(v)


class StepNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(2, 12), Step(), nn.Linear(12, 12), Step())
        self.out = nn.Linear(12, 1)

    def forward(self, x):
        return self.out(self.body(x))


loss = nn.BCEWithLogitsLoss()


def batch():
    i = torch.randint(0, 2000, (128,))
    return P[i], C[i]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)
