"""Motor claims: one trunk, two heads -- suspicion of fraud and the expected payout (EUR)."""
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

CLIP_GRAD_NORM = 1.0
N_MAKES = 25


def claims(n, seed):
    g = torch.Generator().manual_seed(seed)
    w = torch.Generator().manual_seed(0)
    x = torch.randn(n, 14, generator=g)
    make = torch.randint(N_MAKES, (n,), generator=g)
    price = 1 + 0.4 * torch.randn(N_MAKES, generator=w)
    odd = torch.randn(N_MAKES, generator=w)
    fraud_logit = 1.5 * x[:, 4] * x[:, 5] + 1.8 * x[:, 6].abs() - 1.6 * x[:, 7] + odd[make] - 1.5
    fraud = (torch.rand(n, generator=g) < torch.sigmoid(1.6 * fraud_logit)).float()
    amount = 2800 * torch.exp(0.5 * x[:, 0] + 0.35 * x[:, 1] + 0.25 * torch.sin(2 * x[:, 2])) * price[make].clamp(0.3)
    amount = amount * torch.exp(0.1 * torch.randn(n, generator=g))
    return x, make, torch.stack([fraud, amount], 1)


x_tr, make_tr, y_tr = claims(5000, seed=10)


class ClaimsNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.make = nn.Embedding(N_MAKES, 6)
        self.trunk = nn.Sequential(
            nn.Linear(14 + 6, 128), nn.LeakyReLU(), nn.Linear(128, 64), nn.LeakyReLU(), nn.Linear(64, 64), nn.LeakyReLU()
        )
        self.fraud_head = nn.Linear(64, 1)
        self.amount_head = nn.Linear(64, 1)

    def forward(self, x, make):
        h = self.trunk(torch.cat([x, self.make(make)], 1))
        return torch.cat([self.fraud_head(h), self.amount_head(h)], 1)


def loss(out, y):
    fraud = nn.functional.binary_cross_entropy_with_logits(out[:, 0], y[:, 0])
    amount = nn.functional.mse_loss(out[:, 1], y[:, 1])
    return fraud + amount


def model():
    return ClaimsNet()


def data():
    for x, m, y in DataLoader(TensorDataset(x_tr, make_tr, y_tr), batch_size=128, shuffle=True, drop_last=True):
        yield (x, m), y


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
