# DeepSurv (Katzman 2018) on ICU table.  Columns come straight from the lab system.
#   age [y], platelets [1/ul], creatine kinase [U/l], ejection fraction [%], sodium [mmol/l],
#   creatinine [mg/dl], lactate [mmol/l], sofa [points]
import numpy as np
import torch
import torch.nn as nn

COLS = ["age", "platelets", "cpk", "ef", "sodium", "creatinine", "lactate", "sofa"]


def cohort(n, seed):
    r = np.random.RandomState(seed)
    age = r.normal(63, 12, n)
    plt = r.normal(260000, 90000, n).clip(2e4)
    cpk = r.lognormal(5.6, 1.0, n)
    ef = r.normal(40, 11, n).clip(12, 75)
    na = r.normal(137, 4, n)
    crea = r.lognormal(0.1, 0.45, n)
    lac = r.lognormal(0.5, 0.5, n)
    sofa = r.poisson(6, n)
    risk = (
        0.9 * (age - 63) / 12
        - 1.0 * (ef - 40) / 11
        + 1.0 * (np.log(crea) - 0.1) / 0.45
        + 0.8 * (sofa - 6) / 2.45
        + 0.5 * (np.log(lac) - 0.5) / 0.5
    )
    t_event = r.exponential(np.exp(-risk))
    t_cens = r.exponential(3.0, n)
    time, event = np.minimum(t_event, t_cens), (t_event <= t_cens)
    x = np.stack([age, plt, cpk, ef, na, crea, lac, sofa], 1)
    return torch.tensor(x, dtype=torch.float32), torch.tensor(np.stack([time, event], 1), dtype=torch.float32)


x_train, y_train = cohort(1500, 40)


def make_net(n_in=len(COLS), sizes=(48, 48)):
    net = []
    for s in sizes:
        net += [nn.Linear(n_in, s), nn.SELU(), nn.AlphaDropout(0.05)]
        n_in = s
    net.append(nn.Linear(n_in, 1, bias=False))
    return nn.Sequential(*net)


def model():
    return make_net()


def data():
    perm = torch.randperm(len(x_train))
    for b in range(0, len(perm) - 127, 128):
        sl = perm[b : b + 128]
        yield x_train[sl], y_train[sl]


def loss(log_h, y):
    """negative partial log likelihood (Breslow)"""
    time, event = y[:, 0], y[:, 1]
    order = torch.argsort(time, descending=True)
    lh = log_h.squeeze(1)[order]
    ev = event[order]
    return -((lh - torch.logcumsumexp(lh, 0)) * ev).sum() / ev.sum()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
