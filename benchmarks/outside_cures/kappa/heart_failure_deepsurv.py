"""DeepSurv on heart-failure style records (columns as in the UCI clinical data set).

usage: loss = negative Cox partial log-likelihood over the mini-batch
"""
import numpy as np
import torch
import torch.nn as nn

COLUMNS = ["age", "anaemia", "creatinine_phosphokinase", "diabetes", "ejection_fraction",
           "high_blood_pressure", "platelets", "serum_creatinine", "serum_sodium", "sex", "smoking"]


def simulate_cohort(n, seed):
    rng = np.random.default_rng(seed)
    age = rng.normal(61, 12, n).clip(40, 95)
    cpk = np.exp(rng.normal(5.7, 1.0, n)).clip(23, 7800)
    ef = rng.normal(38, 12, n).clip(14, 80)
    platelets = rng.normal(263000, 90000, n).clip(25000, 850000)
    creat = np.exp(rng.normal(0.2, 0.4, n)).clip(0.5, 9)
    sodium = rng.normal(136.6, 4.4, n).clip(113, 148)
    flags = rng.integers(0, 2, (n, 5))
    risk = (0.9 * (age - 61) / 12 - 0.9 * (ef - 38) / 12 + 0.7 * np.log(creat) / 0.4
            - 0.5 * (sodium - 136.6) / 4.4 + 0.4 * flags[:, 2] + 0.6 * np.abs((platelets - 263000) / 90000))
    t = rng.exponential(180 * np.exp(-risk))
    censor = rng.uniform(30, 290, n)
    x = np.stack([age, flags[:, 0], cpk, flags[:, 1], ef, flags[:, 2], platelets, creat, sodium,
                  flags[:, 3], flags[:, 4]], axis=1)
    y = np.stack([np.minimum(t, censor), (t <= censor).astype(float)], axis=1)
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)


x_train, y_train = simulate_cohort(1500, 0)
x_test, y_test = simulate_cohort(500, 1)


class DeepSurv(nn.Module):
    def __init__(self, n_in=len(COLUMNS), hidden=(32, 32)):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(n_in, hidden[0]), nn.ReLU(),
            nn.Linear(hidden[0], hidden[1]), nn.ReLU(),
            nn.Linear(hidden[1], 1),
        )

    def forward(self, x):
        return self.body(x).squeeze(-1)


def cox_loss(log_risk, y):
    time, event = y[:, 0], y[:, 1]
    order = torch.argsort(time, descending=True)
    r, e = log_risk[order], event[order]
    log_cum = torch.logcumsumexp(r, dim=0)
    return -((r - log_cum) * e).sum() / e.sum().clamp(min=1)


loss = cox_loss


def model():
    return DeepSurv()


def data():
    for i in torch.randperm(len(x_train)).split(100):
        yield x_train[i], y_train[i]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
