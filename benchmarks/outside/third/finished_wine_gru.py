# resume file: the model below is already trained (takes two seconds), we only look at it before shipping
import torch
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler
from torch import nn

_w = load_wine()
FX = torch.tensor(StandardScaler().fit_transform(_w.data), dtype=torch.float32)
FY = torch.tensor(_w.target)


class FeatureGRU(nn.Module):
    """reads the 13 measurements one after the other"""

    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(1, 24, batch_first=True)
        self.out = nn.Linear(24, 3)

    def forward(self, x):
        return self.out(self.gru(x.unsqueeze(-1))[0].mean(1))


def batch():
    i = torch.randint(0, len(FX), (64,))
    return FX[i], FY[i]


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=3e-3)


def trained():
    torch.manual_seed(1)
    m = FeatureGRU()
    o = torch.optim.Adam(m.parameters(), lr=1e-2)
    for _ in range(400):
        x, y = batch()
        o.zero_grad()
        nn.functional.cross_entropy(m(x), y).backward()
        o.step()
    return m


def metric(m):
    with torch.no_grad():
        return (m(FX).argmax(1) == FY).float().mean().item()


if __name__ == "__main__":
    print("accuracy", metric(trained()))
