# -*- coding: utf-8 -*-
"""DeepSurv on the heart failure cohort (Cox partial likelihood with a small network).

Columns as in the hospital export:
    age [y], ejection_fraction [%], serum_creatinine [mg/dl], serum_sodium [mEq/l],
    platelets [kiloplatelets/ml], cpk [mcg/l], anaemia {0,1}, smoking {0,1}
"""
import numpy as np
import torch
import torch.nn as nn

COLUMNS = ["age", "ejection_fraction", "serum_creatinine", "serum_sodium", "platelets", "cpk", "anaemia", "smoking"]


def cohort(n, seed):
    """Synthetic cohort with the ranges and the known risk factors of the published one."""
    rng = np.random.RandomState(seed)
    age = rng.normal(61, 12, n).clip(35, 95)
    ef = rng.normal(38, 11, n).clip(14, 75)
    creat = np.exp(rng.normal(0.15, 0.45, n))
    sodium = rng.normal(136.6, 4.2, n)
    platelets = rng.normal(263_000, 95_000, n).clip(25_000, 850_000)
    cpk = np.exp(rng.normal(5.6, 1.1, n))
    anaemia = (rng.rand(n) < 0.43).astype(float)
    smoking = (rng.rand(n) < 0.32).astype(float)
    risk = (
        1.1 * (age - 61) / 12
        - 1.0 * (ef - 38) / 11
        + 1.2 * np.log(creat)
        - 0.5 * (sodium - 136.6) / 4.2
        + 0.5 * anaemia
        + 0.4 * smoking * (age > 61)
    )
    death = rng.exponential(np.exp(-risk) * 300)
    censor = rng.uniform(30, 900, n)
    time = np.minimum(death, censor)
    event = (death <= censor).astype("float32")
    x = np.stack([age, ef, creat, sodium, platelets, cpk, anaemia, smoking], 1).astype("float32")
    return torch.from_numpy(x), torch.from_numpy(np.stack([time, event], 1).astype("float32"))


def cox_ph_loss(log_hazard, target):
    """Negative log partial likelihood, Breslow ties, risk set = the batch."""
    time, event = target[:, 0], target[:, 1]
    order = torch.argsort(time, descending=True)
    h = log_hazard.squeeze(-1)[order]
    e = event[order]
    return -((h - torch.logcumsumexp(h, dim=0)) * e).sum() / e.sum().clamp(min=1)


class DeepSurv(nn.Module):
    def __init__(self, n_in=len(COLUMNS), width=32):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(n_in, width),
            nn.SELU(),
            nn.Linear(width, width),
            nn.SELU(),
            nn.Linear(width, 1, bias=False),
        )

    def forward(self, x):
        return self.net(x)


x_train, y_train = cohort(1200, seed=0)


def model():
    return DeepSurv()


def data():
    perm = torch.randperm(len(x_train))
    for i in perm.split(100):
        yield x_train[i], y_train[i]


def loss(output, target):
    return cox_ph_loss(output, target)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
