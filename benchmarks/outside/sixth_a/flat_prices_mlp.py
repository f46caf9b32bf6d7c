import torch
from torch import nn

torch.manual_seed(11)
N = 3000
area = 30 + 120 * torch.rand(N)
rooms = (area / 28 + torch.rand(N)).round()
dist = 15 * torch.rand(N)
year = 1950 + 70 * torch.rand(N)
floor = torch.randint(0, 12, (N,)).float()
price = 3200 * area * torch.exp(-dist / 12) + 900 * (year - 1950) + 4000 * rooms + 1500 * floor + 20000
X = torch.stack([area, rooms, dist, year, floor], 1)
X = (X - X.mean(0)) / X.std(0)
Y = price[:, None]


def make_model():
    return nn.Sequential(
        nn.Linear(5, 64), nn.ReLU(),
        nn.Linear(64, 64), nn.ReLU(),
        nn.Linear(64, 1),
    )


def data():
    perm = torch.randperm(N)
    for i in range(0, N - 127, 128):
        yield X[perm[i:i + 128]], Y[perm[i:i + 128]]


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
