import torch
from sklearn.datasets import load_digits
from torch import nn


class DenseLayer(nn.Sequential):
    def __init__(self, cin, growth):
        super().__init__(
            nn.BatchNorm2d(cin),
            nn.ReLU(inplace=True),
            nn.Conv2d(cin, 4 * growth, 1, bias=False),
            nn.BatchNorm2d(4 * growth),
            nn.ReLU(inplace=True),
            nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False),
        )

    def forward(self, x):
        return torch.cat([x, super().forward(x)], dim=1)


class DenseNet(nn.Module):
    def __init__(self, growth=8, layers=(4, 4)):
        super().__init__()
        c = 2 * growth
        mods = [nn.Conv2d(1, c, 3, padding=1, bias=False)]
        for k, n in enumerate(layers):
            for _ in range(n):
                mods.append(DenseLayer(c, growth))
                c += growth
            if k < len(layers) - 1:
                mods += [nn.BatchNorm2d(c), nn.ReLU(), nn.Conv2d(c, c // 2, 1), nn.AvgPool2d(2)]
                c //= 2
        self.features = nn.Sequential(*mods, nn.BatchNorm2d(c), nn.ReLU())
        self.classifier = nn.Linear(c, 10)

    def forward(self, x):
        return self.classifier(self.features(x).mean([2, 3]))


def data():
    d = load_digits()
    x = torch.tensor(d.images, dtype=torch.float32).unsqueeze(1).div(16)
    y = torch.tensor(d.target)
    for i in torch.randperm(len(x)).split(50)[:-1]:
        yield x[i], y[i]


def optimizer(model):
    return torch.optim.RMSprop(model.parameters(), lr=1e-3)
