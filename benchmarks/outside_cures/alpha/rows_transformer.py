"""Read a digit row by row with a small transformer encoder."""
from dataclasses import dataclass

import torch
from sklearn.datasets import load_digits
from torch import nn


@dataclass(frozen=True)
class Args:
    d_model: int = 32
    heads: int = 4
    layers: int = 10
    ff: int = 64
    lr: float = 5e-3
    batch: int = 48


args = Args()
_d = load_digits()
rows = torch.tensor(_d.images, dtype=torch.float32) / 8 - 1
number = torch.tensor(_d.target)
_perm = torch.randperm(len(rows), generator=torch.Generator().manual_seed(1)).tolist()
TRAIN, TEST = _perm[:1300], _perm[1300:]


class RowReader(nn.Module):
    def __init__(self):
        super().__init__()
        self.lift = nn.Linear(8, args.d_model)
        self.position = nn.Parameter(0.02 * torch.randn(1, 8, args.d_model))
        layer = nn.TransformerEncoderLayer(
            args.d_model, args.heads, args.ff, dropout=0.0, batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, args.layers)
        self.head = nn.Linear(args.d_model, 10)

    def forward(self, x):
        h = self.encoder(self.lift(x) + self.position)
        return self.head(h.mean(1))


def model():
    return RowReader()


def data():
    order = torch.tensor(TRAIN)[torch.randperm(len(TRAIN))]
    for idx in order.split(args.batch):
        yield rows[idx], number[idx]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=args.lr)
