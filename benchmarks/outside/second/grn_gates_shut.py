import torch
from sklearn.datasets import load_diabetes
from torch import nn

raw = load_diabetes()
inputs = torch.tensor(raw.data / raw.data.std(0), dtype=torch.float32)
target = torch.tensor((raw.target - raw.target.mean()) / raw.target.std(), dtype=torch.float32)


class GLU(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.value = nn.Linear(n_in, n_out)
        self.gate = nn.Linear(n_in, n_out)
        self.gate.bias.data.fill_(-13.0)

    def forward(self, x):
        return self.value(x) * self.gate(x).sigmoid()


class TabularTFT(nn.Module):
    """Gates let the network skip features it has no need of (after Lim et al.)."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(GLU(10, 32), nn.ELU(), GLU(32, 32), nn.ELU())
        self.head = nn.Linear(32, 1)

    def forward(self, x):
        return self.head(self.body(x))[:, 0]


def batch():
    return inputs, target


def optimizer(net):
    return torch.optim.Adam(net.parameters(), lr=3e-3)
