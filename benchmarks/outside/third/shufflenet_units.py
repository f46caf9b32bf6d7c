import torch
from sklearn.datasets import load_digits
from torch import nn

X = torch.tensor(load_digits().images / 16, dtype=torch.float32)[:, None]
y = torch.tensor(load_digits().target)


def channel_shuffle(x, groups=2):
    n, c, h, w = x.shape
    return x.view(n, groups, c // groups, h, w).transpose(1, 2).reshape(n, c, h, w)


class Unit(nn.Module):
    def __init__(self, c, stride):
        super().__init__()
        self.stride = stride
        half = c // 2
        cin = half if stride == 1 else c
        cout = half if stride == 1 else c
        self.right = nn.Sequential(
            nn.Conv2d(cin, cout, 1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(True),
            nn.Conv2d(cout, cout, 3, stride, 1, groups=cout, bias=False), nn.BatchNorm2d(cout),
            nn.Conv2d(cout, cout, 1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(True),
        )
        if stride == 2:
            self.left = nn.Sequential(
                nn.Conv2d(c, c, 3, 2, 1, groups=c, bias=False), nn.BatchNorm2d(c),
                nn.Conv2d(c, c, 1, bias=False), nn.BatchNorm2d(c), nn.ReLU(True),
            )

    def forward(self, x):
        if self.stride == 1:
            a, b = x.chunk(2, 1)
            out = torch.cat([a, self.right(b)], 1)
        else:
            out = torch.cat([self.left(x), self.right(x)], 1)
        return channel_shuffle(out)


class ShuffleNet(nn.Module):
    def __init__(self, c=16):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, c, 3, padding=1, bias=False), nn.BatchNorm2d(c), nn.ReLU(True))
        self.stage = nn.Sequential(Unit(c, 1), Unit(c, 1), Unit(c, 2), Unit(2 * c, 1), Unit(2 * c, 1), Unit(2 * c, 1))
        self.fc = nn.Linear(2 * c, 10)

    def forward(self, x):
        return self.fc(self.stage(self.stem(x)).mean((2, 3)))


loss = nn.CrossEntropyLoss()


def batch():
    i = torch.randint(len(X), (64,))
    return X[i], y[i]


def optimizer(net):
    return torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=4e-5, nesterov=True)
