#!/usr/bin/env python
# pricing/train_embeddings.py -- used car price model (entity embeddings + numeric block)
import logging

import numpy as np
import torch
import torch.nn as nn

log = logging.getLogger("pricing")

N_MAKES, N_REGIONS = 18, 9
SEED = 20


def load_frame(n=3000, seed=SEED):
    """Stand-in for the warehouse query."""
    rs = np.random.RandomState(seed)
    make_value = rs.normal(0, 0.45, N_MAKES)
    region_value = rs.normal(0, 0.15, N_REGIONS)
    make = rs.randint(0, N_MAKES, n)
    region = rs.randint(0, N_REGIONS, n)
    age = rs.gamma(3.0, 2.0, n).clip(0, 20)
    km = (age * rs.normal(14, 4, n)).clip(0.1, None)
    power = rs.normal(90, 25, n).clip(40, None)
    accidents = rs.binomial(2, 0.15, n)
    logp = (10.0 + make_value[make] + region_value[region] - 0.11 * age - 0.002 * km
            + 0.006 * (power - 90) - 0.2 * accidents + rs.normal(0, 0.08, n))
    num = np.stack([age, km, power, accidents], 1)
    return make, region, num, logp


make, region, num, logp = load_frame()
num = (num - num.mean(0)) / num.std(0)
price = (logp - logp.mean()) / logp.std()

CAT = torch.tensor(np.stack([make, region], 1))
NUM = torch.tensor(num, dtype=torch.float32)
Y = torch.tensor(price, dtype=torch.float32)
N_TRAIN = 2400


class PriceNet(nn.Module):
    def __init__(self, emb_dim=6, hidden=(64, 32), p=0.05):
        super().__init__()
        self.make = nn.Embedding(N_MAKES, emb_dim)
        self.region = nn.Embedding(N_REGIONS, emb_dim)
        layers, d = [], 2 * emb_dim + 4
        for h in hidden:
            layers += [nn.Linear(d, h), nn.BatchNorm1d(h), nn.ReLU(), nn.Dropout(p)]
            d = h
        layers.append(nn.Linear(d, 1))
        self.mlp = nn.Sequential(*layers)

    def forward(self, cat, num):
        x = torch.cat([self.make(cat[:, 0]), self.region(cat[:, 1]), num], dim=1)
        return self.mlp(x)


def model():
    return PriceNet()


def data():
    for i in torch.randperm(N_TRAIN).split(100):
        yield (CAT[i], NUM[i]), Y[i]


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
