import torch
from sklearn.datasets import load_digits
from torch import nn


class SqueezeExcite(nn.Module):
    def __init__(self, c, r=4):
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(c, c // r, 1), nn.Conv2d(c // r, c, 1)

    def forward(self, x):
        s = torch.relu(self.fc1(x.mean((2, 3), keepdim=True)))
        return x * nn.functional.hardsigmoid(self.fc2(s))


class V3Block(nn.Module):
    def __init__(self, cin, exp, cout, stride):
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(cin, exp, 1, bias=False),
            nn.BatchNorm2d(exp),
            nn.Hardswish(),
            nn.Conv2d(exp, exp, 3, stride, 1, groups=exp, bias=False),
            nn.BatchNorm2d(exp),
            nn.Hardswish(),
            SqueezeExcite(exp),
            nn.Conv2d(exp, cout, 1, bias=False),
            nn.BatchNorm2d(cout),
        )
        self.identity = stride == 1 and cin == cout

    def forward(self, x):
        y = self.block(x)
        return x + y if self.identity else y


class MobileNetV3Mini(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.Hardswish(),
            V3Block(16, 32, 16, 1),
            V3Block(16, 48, 24, 2),
            V3Block(24, 64, 24, 1),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(24, 64),
            nn.Hardswish(),
            nn.Linear(64, 10),
        )

    def forward(self, x):
        return self.net(x)


def data():
    d = load_digits()
    x = torch.tensor(d.images, dtype=torch.float32)[:, None]
    x = (x - x.mean()) / x.std()
    return torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(x, torch.tensor(d.target)), batch_size=64, shuffle=True
    )


def optimizer(model):
    return torch.optim.RMSprop(model.parameters(), lr=1e-3, momentum=0.5)
