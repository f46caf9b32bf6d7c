# diabetes progression; a "LayerNorm after every Linear" habit that reached the last Linear too
import torch
from sklearn.datasets import load_diabetes
from torch import nn

X, y = load_diabetes(return_X_y=True, scaled=True)
X = torch.tensor(X * 21.0, dtype=torch.float32)
y = torch.tensor((y - y.mean()) / y.std(), dtype=torch.float32).unsqueeze(1)


def dense(i, o, act=True):
    mods = [nn.Linear(i, o), nn.LayerNorm(o)]
    return mods + [nn.GELU()] if act else mods


class Regressor(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(*dense(10, 64), *dense(64, 64), *dense(64, 1, act=False))

    def forward(self, x):
        return self.net(x)


def batch():
    idx = torch.randint(len(X), (64,))
    return X[idx], y[idx]


criterion = nn.MSELoss()


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=1e-3)


if __name__ == "__main__":
    model = Regressor()
    opt = optimizer(model)
    for step in range(500):
        xb, yb = batch()
        opt.zero_grad()
        criterion(model(xb), yb).backward()
        opt.step()
    print("R2", 1 - criterion(model(X), y).item())
