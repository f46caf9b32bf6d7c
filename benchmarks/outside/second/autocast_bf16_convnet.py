import torch
from sklearn.datasets import load_digits
from torch import nn

AUTOCAST = "bfloat16"
_d = load_digits()
xs = torch.tensor(_d.images, dtype=torch.float32).unsqueeze(1) / 16
ys = torch.tensor(_d.target)


def net():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(512, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def batch():
    i = torch.randint(len(xs), (32,))
    return xs[i], ys[i]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)


if __name__ == "__main__":
    model = net()
    opt = optimizer(model)
    for _ in range(500):
        x, y = batch()
        with torch.autocast("cpu", torch.bfloat16):
            value = nn.functional.cross_entropy(model(x), y)
        opt.zero_grad()
        value.backward()
        opt.step()
