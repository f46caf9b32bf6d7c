import torch
import torch.nn as nn
from sklearn.datasets import load_digits


class SELayer(nn.Module):
    def __init__(self, channel, reduction=4):
        super().__init__()
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Sequential(
            nn.Linear(channel, channel // reduction, bias=False),
            nn.ReLU(inplace=True),
            nn.Linear(channel // reduction, channel, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x):
        b, c, _, _ = x.size()
        y = self.avg_pool(x).view(b, c)
        y = self.fc(y).view(b, c, 1, 1)
        return x * y.expand_as(x)


class SEBlock(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c1 = nn.Conv2d(c, c, 3, 1, 1, bias=False)
        self.b1 = nn.BatchNorm2d(c)
        self.c2 = nn.Conv2d(c, c, 3, 1, 1, bias=False)
        self.b2 = nn.BatchNorm2d(c)
        self.se = SELayer(c)

    def forward(self, x):
        out = torch.relu(self.b1(self.c1(x)))
        out = self.se(self.b2(self.c2(out)))
        return torch.relu(out + x)


def seresnet():
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        SEBlock(32),
        nn.MaxPool2d(2),
        SEBlock(32),
        SEBlock(32),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 10),
    )


def batch():
    digits = load_digits()
    pick = torch.randint(0, 1797, (64,))
    x = torch.as_tensor(digits.images, dtype=torch.float32)[pick].unsqueeze(1) / 16.0
    return x, torch.as_tensor(digits.target)[pick]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
