"""Deep Cox model for the heart-failure cohort (synthetic stand-in until the ethics board has decided).

Columns: age [y], ejection fraction [%], serum creatinine [mg/dl], serum sodium [mmol/l],
platelets [1/ul], CPK [U/l], systolic pressure [mmHg], diabetes, smoking
Outcome: follow-up [days], event (1 = died, 0 = censored)
"""
import numpy as np
import torch
from torch import nn

COLUMNS = ["age", "ef", "creatinine", "sodium", "platelets", "cpk", "sbp", "diabetes", "smoking"]


def cohort(n, seed):
    r = np.random.default_rng(seed)
    age = r.normal(61, 12, n).clip(30, 95)
    ef = r.normal(38, 12, n).clip(14, 75)
    crea = np.exp(r.normal(0.2, 0.4, n))
    sodium = r.normal(136.6, 4.4, n)
    plate = r.normal(263_000, 97_000, n).clip(25_000, 850_000)
    cpk = np.exp(r.normal(5.7, 1.1, n))
    sbp = r.normal(125, 18, n)
    diab, smoke = r.binomial(1, 0.42, n), r.binomial(1, 0.32, n)
    eta = (
        0.06 * (age - 61) - 0.07 * (ef - 38) + 1.6 * np.log(crea) - 0.12 * (sodium - 136.6)
        + 0.0007 * (sbp - 125) ** 2 + 0.7 * diab * smoke
    )
    t = r.exponential(400 * np.exp(-eta))
    c = r.uniform(60, 900, n)
    x = np.stack([age, ef, crea, sodium, plate, cpk, sbp, diab, smoke], 1)
    y = np.stack([np.minimum(t, c), (t <= c)], 1)
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)


class RiskNet(nn.Module):
    def __init__(self, n_in=len(COLUMNS), hidden=32):
        super().__init__()
        self.fc1 = nn.Linear(n_in, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.log_hazard = nn.Linear(hidden, 1, bias=False)

    def forward(self, patient):
        h = torch.relu(self.fc1(patient))
        h = torch.relu(self.fc2(h))
        return self.log_hazard(h).squeeze(-1)


class CoxPartialLikelihood(nn.Module):
    """negative log partial likelihood (Breslow), risk sets taken within the batch"""

    def __init__(self, limit=12.0):
        super().__init__()
        self.limit = limit

    def forward(self, log_hazard, outcome):
        time, event = outcome.unbind(1)
        order = torch.argsort(time, descending=True)
        # exp() overflowed in the first runs
        lh = log_hazard[order].clamp(-self.limit, self.limit)
        event = event[order]
        log_risk = torch.log(torch.cumsum(torch.exp(lh), 0))
        return -((lh - log_risk) * event).sum() / event.sum().clamp(min=1)


def model():
    return RiskNet()


_x, _y = cohort(2400, seed=3)
data = [(_x[i:i + 80], _y[i:i + 80]) for i in range(0, 2400, 80)]
loss = CoxPartialLikelihood()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
