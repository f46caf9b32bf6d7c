import torch
from sklearn.datasets import load_digits
from torch import nn


class Residual(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.branch = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(c, c, 3, padding=1, bias=False),
            nn.ReLU(),
            nn.Conv2d(c, c, 3, padding=1, bias=False),
        )

    def forward(self, x):
        return x + self.branch(x)


class ResNet(nn.Module):
    def __init__(self, blocks=40, c=8):
        super().__init__()
        self.conv1 = nn.Conv2d(1, c, 3, padding=1)
        self.body = nn.Sequential(*[Residual(c) for _ in range(blocks)])
        self.pool = nn.AdaptiveAvgPool2d(2)
        self.fc = nn.Linear(4 * c, 10)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        x = self.pool(self.body(self.conv1(x)))
        return self.fc(x.flatten(1))


def deep_resnet():
    return ResNet()


_d = load_digits()
_x = torch.tensor(_d.images, dtype=torch.float32).sub(4.88).div(6.02)[:, None]
_y = torch.tensor(_d.target)


def batch():
    i = torch.randint(len(_y), (32,))
    return _x[i], _y[i]


def loss(out, y):
    return nn.functional.cross_entropy(out, y)


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
