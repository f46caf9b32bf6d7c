import torch
from sklearn.datasets import load_digits
from torch import nn

pic = torch.tensor(load_digits().images[3] / 8 - 1, dtype=torch.float32)
pic = nn.functional.interpolate(pic[None, None], size=(24, 24), mode="bilinear", align_corners=True)[0, 0]
axis = torch.linspace(-1, 1, 24)
COORD = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1).view(-1, 2)
VALUE = pic.reshape(-1, 1)


class Sine(nn.Module):
    def __init__(self, i, o, first=False, w0=30.0):
        super().__init__()
        self.lin, self.w0 = nn.Linear(i, o), w0
        bound = 1 / i if first else (6 / i) ** 0.5 / w0
        nn.init.uniform_(self.lin.weight, -bound, bound)

    def forward(self, x):
        return torch.sin(self.w0 * self.lin(x))


class Siren(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(Sine(2, 48, True), Sine(48, 48), Sine(48, 48), nn.Linear(48, 1))

    def forward(self, xy):
        return self.net(xy)


def batch():
    return COORD, VALUE


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-4)
