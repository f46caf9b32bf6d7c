"""
Used car pricing, v2 of the notebook turned into a module.

Entity embeddings for the categorical columns, z-scored numeric columns, one MLP on top.
"""
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

BRANDS = ["fiat", "dacia", "vw", "toyota", "audi", "bmw", "volvo", "tesla"]
FUELS = ["petrol", "diesel", "hybrid", "electric"]


@dataclass
class Config:
    batch_size: int = 128
    lr: float = 1e-3
    hidden: tuple = (64, 64)
    emb_dims: dict = field(default_factory=lambda: {"brand": 6, "fuel": 3})


cfg = Config()


def listings(n: int, seed: int):
    rng = np.random.default_rng(seed)
    brand = rng.integers(0, len(BRANDS), n)
    fuel = rng.integers(0, len(FUELS), n)
    age = rng.gamma(3.0, 2.2, n)
    km = np.clip(age * rng.normal(14_000, 4_000, n), 100, None)
    power = rng.normal(95, 25, n).clip(40, 220) + 8 * brand
    new_price = (9_000 + 4_200 * brand) * (1 + 0.12 * fuel) * (power / 110) ** 0.6
    price = new_price * np.exp(-0.09 * age - km / 260_000) * rng.lognormal(0, 0.06, n)
    num = np.stack([age, km, power], 1)
    return np.stack([brand, fuel], 1), num, price


class CarDataset(Dataset):
    # statistics of the training export, frozen for serving
    MEAN = np.array([6.6, 92_000.0, 123.0])
    STD = np.array([3.8, 60_000.0, 31.0])

    def __init__(self, n, seed):
        cat, num, price = listings(n, seed)
        self.cat = torch.as_tensor(cat)
        self.num = torch.as_tensor((num - self.MEAN) / self.STD, dtype=torch.float32)
        self.price = torch.as_tensor(price, dtype=torch.float32).unsqueeze(1)

    def __len__(self):
        return len(self.price)

    def __getitem__(self, i):
        return (self.cat[i], self.num[i]), self.price[i]


class PriceNet(nn.Module):
    def __init__(self, cfg: Config):
        super().__init__()
        self.brand = nn.Embedding(len(BRANDS), cfg.emb_dims["brand"])
        self.fuel = nn.Embedding(len(FUELS), cfg.emb_dims["fuel"])
        dims = [sum(cfg.emb_dims.values()) + 3, *cfg.hidden]
        layers = []
        for a, b in zip(dims, dims[1:]):
            layers += [nn.Linear(a, b), nn.ReLU()]
        self.mlp = nn.Sequential(*layers)
        self.out = nn.Linear(dims[-1], 1)

    def forward(self, cat, num):
        h = torch.cat([self.brand(cat[:, 0]), self.fuel(cat[:, 1]), num], dim=1)
        return self.out(self.mlp(h))


def _collate(items):
    (cats, nums), prices = zip(*[x for x, _ in items]), [y for _, y in items]
    return (torch.stack(cats), torch.stack(nums)), torch.stack(prices)


def model():
    return PriceNet(cfg)


data = DataLoader(CarDataset(6_000, seed=1), cfg.batch_size, shuffle=True, drop_last=True, collate_fn=_collate)

loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=cfg.lr)
