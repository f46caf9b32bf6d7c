"""DeepSurv (Katzman 2018) for a synthetic ICU cohort.

columns: age [y], sex, heart rate [1/min], MAP [mmHg], platelets [1/uL], creatinine [mg/dL],
         CRP [mg/L], lactate [mmol/L], weight [g], troponin [ng/L]
"""
import numpy as np
import torch
import torch.nn as nn


def cohort(n, seed):
    r = np.random.default_rng(seed)
    age = r.normal(64, 14, n).clip(18, 98)
    sex = r.integers(0, 2, n)
    hr = r.normal(92, 18, n)
    map_ = r.normal(78, 13, n)
    plt = r.lognormal(np.log(210e3), 0.45, n)
    crea = r.lognormal(0.1, 0.55, n)
    crp = r.lognormal(3.9, 0.9, n)
    lac = r.lognormal(0.6, 0.6, n)
    kg = r.normal(79e3, 15e3, n)
    trop = r.lognormal(3.2, 1.2, n)
    risk = (
        0.9 * (age - 64) / 14
        + 0.8 * np.log(crea)
        + 1.1 * (np.log(lac) - 0.6) / 0.6
        - 0.5 * (map_ - 78) / 13
        + 0.5 * ((hr - 92) / 18) ** 2
        + 0.4 * (plt < 150e3)
    )
    t = r.exponential(np.exp(-risk) * 20)
    c = r.exponential(40, n)
    x = np.stack([age, sex, hr, map_, plt, crea, crp, lac, kg, trop], 1).astype(np.float32)
    y = np.stack([np.minimum(t, c), t <= c], 1).astype(np.float32)
    return torch.from_numpy(x), torch.from_numpy(y)


X, Y = cohort(3000, 2024)


class DeepSurv(nn.Module):
    def __init__(self, n_in=10, hidden=(64, 32)):
        super().__init__()
        layers = []
        for h in hidden:
            layers += [nn.Linear(n_in, h), nn.SELU()]
            n_in = h
        layers.append(nn.Linear(n_in, 1, bias=False))
        self.net = nn.Sequential(*layers)

    def forward(self, x):
        return self.net(x).squeeze(-1)


class CoxPH(nn.Module):
    """negative log partial likelihood (Breslow)"""

    def forward(self, log_risk, y):
        time, event = y[:, 0], y[:, 1]
        order = torch.argsort(time, descending=True)
        log_risk, event = log_risk[order], event[order]
        ll = log_risk - torch.logcumsumexp(log_risk, dim=0)
        return -(ll * event).sum() / event.sum().clamp(min=1)


def model():
    return DeepSurv()


def data():
    for i in torch.randperm(len(X)).split(150):
        yield X[i], Y[i]


criterion = CoxPH()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-4)
