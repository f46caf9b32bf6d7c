# double precision everywhere; numerical analyst's habit
import torch
from torch import nn

torch_dtype = torch.float64


class Approximator(nn.Module):
    def __init__(self, widths=(1, 32, 32, 32, 1)):
        super().__init__()
        self.lin = nn.ModuleList(
            nn.Linear(a, b, dtype=torch_dtype) for a, b in zip(widths, widths[1:])
        )

    def forward(self, x):
        for layer in self.lin[:-1]:
            x = torch.atan(layer(x))
        return self.lin[-1](x)


def runge(x):
    return 1 / (1 + 25 * x**2)


def batch():
    x = torch.linspace(-1, 1, 201, dtype=torch_dtype)[:, None]
    return x, runge(x)


criterion = nn.MSELoss()


def model():
    return Approximator()


def optimizer(model):
    return torch.optim.Rprop(model.parameters(), lr=1e-3)
