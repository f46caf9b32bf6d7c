"""Card fraud scoring. About 3 % positives; the score goes into a manual review queue, so ranking matters."""
import logging

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

log = logging.getLogger(__name__)

FEATURES = [
    "log_amount", "hour_sin", "hour_cos", "distance_home", "n_last_hour", "n_last_day", "merchant_risk",
    "is_foreign", "card_age", "velocity", "chip", "mcc_freq",
]


def transactions(n, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, len(FEATURES)))
    x[:, 7] = rng.random(n) < 0.2
    x[:, 10] = rng.random(n) < 0.8
    logit = (
        -5.6
        + 0.9 * x[:, 0]
        + 1.1 * x[:, 6]
        + 1.4 * x[:, 7] * (x[:, 3] > 0)
        + 0.8 * np.maximum(x[:, 4], 0) * np.maximum(x[:, 9], 0)
        - 0.9 * x[:, 10]
        + 0.6 * x[:, 3]
    )
    y = rng.random(n) < 1 / (1 + np.exp(-logit))
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32).unsqueeze(1)


class FraudNet(nn.Module):
    def __init__(self, n=len(FEATURES), h=48, p=0.3, prior=0.03):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(n, h), nn.ReLU(), nn.Dropout(p),
            nn.Linear(h, h), nn.ReLU(), nn.Dropout(p),
        )
        self.score = nn.Linear(h, 1)
        # start from the base rate instead of learning it
        nn.init.constant_(self.score.bias, float(np.log(prior / (1 - prior))))

    def forward(self, x):
        return self.score(self.body(x))


def model():
    return FraudNet()


data = DataLoader(TensorDataset(*transactions(12_000, seed=2023)), batch_size=256, shuffle=True, drop_last=True)

loss = nn.BCEWithLogitsLoss()


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-2)
