import torch
from sklearn.datasets import load_digits
from torch import nn

pix, lab = load_digits(return_X_y=True)
pix, lab = torch.tensor(pix / 8 - 0.6, dtype=torch.float32), torch.tensor(lab)


class DeepRes(nn.Module):
    def __init__(self, depth=40, d=64):
        super().__init__()
        self.w1 = nn.ParameterList(
            nn.Parameter(torch.randn(d, d) * (2 / d) ** 0.5) for _ in range(depth)
        )
        self.w2 = nn.ParameterList(
            nn.Parameter(torch.randn(d, d) * (1 / d) ** 0.5) for _ in range(depth)
        )
        self.scale = depth**-0.5
        self.readout = nn.Linear(d, 10)

    def forward(self, x):
        for a, b in zip(self.w1, self.w2):
            x = x + self.scale * (x @ a).relu() @ b
        return self.readout(x)


def batch():
    i = torch.randint(len(pix), (64,))
    return pix[i], lab[i]


def optimizer(m):
    return torch.optim.SGD(m.parameters(), lr=0.01, momentum=0.9)
