import torch
from torch import nn

"""Two heads on one trunk: sale price (dollars) and whether the listing sells within a month."""

n, n_train = 3000, 2200
g = torch.Generator().manual_seed(31)
area = 40 + 160 * torch.rand(n, generator=g)
rooms = torch.randint(1, 8, (n,), generator=g).float()
age = 80 * torch.rand(n, generator=g)
dist = 25 * torch.rand(n, generator=g)
school = torch.rand(n, generator=g)
fair = 2500 * area + 9000 * rooms - 900 * age - 4000 * dist + 60000 * school + 50000
asked = fair * (1 + 0.2 * torch.randn(n, generator=g))
price = asked.clamp(min=20000)
hot = ((2.2 * torch.sin(dist / 4) + 1.5 * (school - 0.5) * (rooms - 4) + 0.2 * torch.randn(n, generator=g)) > 0).float()

features = torch.stack([area, rooms, age, dist, school], 1)
features = (features - features[:n_train].mean(0)) / features[:n_train].std(0)


class Trunk(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(5, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh())

    def forward(self, x):
        return self.body(x)


class MultiTask(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = Trunk()
        self.price_head = nn.Linear(64, 1)
        self.hot_head = nn.Linear(64, 1)

    def forward(self, x):
        z = self.trunk(x)
        return self.price_head(z), self.hot_head(z)


def model():
    return MultiTask()


def data():
    for i in torch.randperm(n_train).split(64):
        yield features[i], (price[i, None], hot[i, None])


def loss(output, target):
    p, h = output
    y_price, y_hot = target
    return nn.functional.mse_loss(p, y_price) + nn.functional.binary_cross_entropy_with_logits(h, y_hot)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)


val = slice(n_train, 2600)


def metric(model):
    """accuracy of the 'sells quickly' head"""
    model.eval()
    with torch.no_grad():
        _, h = model(features[val])
    return ((h[:, 0] > 0).float() == hot[val]).float().mean().item()


HIGHER_IS_BETTER = True
