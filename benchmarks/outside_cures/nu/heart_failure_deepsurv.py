"""DeepSurv (Katzman et al.) for the heart failure registry. Input: columns as exported."""
import torch
from torch import nn

torch_gen = torch.Generator().manual_seed(77)
COLUMNS = ["age", "ejection_fraction", "creatinine", "sodium", "platelets", "cpk", "diabetes", "smoker", "sbp"]


def _n(n, mean, sd):
    return mean + sd * torch.randn(n, generator=torch_gen)


def registry(n):
    age = _n(n, 61, 12)
    ef = _n(n, 38, 11).clamp(14, 80)
    creat = _n(n, 0.1, 0.45).exp()
    sodium = _n(n, 136.6, 4.4)
    platelets = _n(n, 263_000, 97_000).clamp(25_000)  # per microlitre
    cpk = _n(n, 5.6, 1.0).exp()
    diab = (torch.rand(n, generator=torch_gen) < 0.4).float()
    smoke = (torch.rand(n, generator=torch_gen) < 0.3).float()
    sbp = _n(n, 128, 18)
    X = torch.stack([age, ef, creat, sodium, platelets, cpk, diab, smoke, sbp], 1)
    risk = (
        0.9 * (age - 61) / 12
        - 1.0 * (ef - 38) / 11
        + 1.2 * creat.log()
        + 0.5 * diab * (sbp - 128) / 18
        + 0.4 * smoke
        - 0.4 * (sodium - 136.6) / 4.4
    )
    t = -torch.rand(n, generator=torch_gen).log() / (0.01 * risk.exp())
    c = -torch.rand(n, generator=torch_gen).log() / 0.006
    return X, torch.stack([torch.minimum(t, c), (t <= c).float()], 1)


X_TRAIN, Y_TRAIN = registry(2000)
X_VAL, Y_VAL = registry(600)


class DeepSurv(nn.Module):
    def __init__(self, hidden=(64, 64, 32), drop=0.1):
        super().__init__()
        dims = [len(COLUMNS), *hidden]
        layers = []
        for a, b in zip(dims[:-1], dims[1:]):
            layers += [nn.Linear(a, b), nn.Tanh(), nn.Dropout(drop)]
        layers.append(nn.Linear(dims[-1], 1, bias=False))
        self.net = nn.Sequential(*layers)

    def forward(self, x):
        return self.net(x).squeeze(-1)


def cox_loss(log_risk, y):
    """negative partial log likelihood, Breslow"""
    time, event = y[:, 0], y[:, 1]
    order = torch.argsort(time, descending=True)
    h, e = log_risk[order], event[order]
    return -((h - torch.logcumsumexp(h, 0)) * e).sum() / e.sum().clamp(min=1)


loss = cox_loss


def model():
    return DeepSurv()


def data():
    for idx in torch.randperm(len(X_TRAIN)).split(200):
        yield X_TRAIN[idx], Y_TRAIN[idx]


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=1e-3)
