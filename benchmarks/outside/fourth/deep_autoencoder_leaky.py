# compress digits 64 -> 8 -> 64, "stacked" means deep
import torch
from sklearn.datasets import load_digits
from torch import nn

X = torch.tensor(load_digits().data / 16.0, dtype=torch.float32)

sizes = [64, 56, 48, 48, 40, 40, 32, 32, 24, 16, 8, 16, 24, 32, 32, 40, 40, 48, 48, 56, 64]


class DeepAutoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        layers = []
        for a, b in zip(sizes[:-1], sizes[1:]):
            layers += [nn.Linear(a, b), nn.LeakyReLU()]
        self.net = nn.Sequential(*layers[:-1])

    def forward(self, x):
        return self.net(x)


def batch():
    x = X[torch.randint(len(X), (64,))]
    return x, x


loss_fn = nn.MSELoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
