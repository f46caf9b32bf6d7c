import torch
from sklearn.datasets import load_digits
from torch import nn

X = torch.tensor(load_digits().images / 16, dtype=torch.float32)[:, None]
y = torch.tensor(load_digits().target)


class MBConv(nn.Module):
    def __init__(self, i, o, stride, expand=4, drop=0.1):
        super().__init__()
        m = i * expand
        self.skip = stride == 1 and i == o
        self.drop = drop
        self.pre = nn.Sequential(
            nn.Conv2d(i, m, 1, bias=False), nn.BatchNorm2d(m), nn.SiLU(),
            nn.Conv2d(m, m, 3, stride, 1, groups=m, bias=False), nn.BatchNorm2d(m), nn.SiLU(),
        )
        self.se = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(m, max(i // 4, 2), 1), nn.SiLU(), nn.Conv2d(max(i // 4, 2), m, 1), nn.Sigmoid())
        self.post = nn.Sequential(nn.Conv2d(m, o, 1, bias=False), nn.BatchNorm2d(o))

    def forward(self, x):
        h = self.pre(x)
        h = self.post(h * self.se(h))
        if not self.skip:
            return h
        if self.training:
            keep = (torch.rand(len(x), 1, 1, 1) >= self.drop).float() / (1 - self.drop)
            h = h * keep
        return x + h


class EffNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12), nn.SiLU(),
            MBConv(12, 12, 1), MBConv(12, 20, 2), MBConv(20, 20, 1), MBConv(20, 28, 2), MBConv(28, 28, 1),
        )
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(28, 10))
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out")
                if m.bias is not None:
                    nn.init.zeros_(m.bias)

    def forward(self, x):
        return self.head(self.features(x))


criterion = nn.CrossEntropyLoss(label_smoothing=0.1)


def batch():
    i = torch.randint(len(X), (64,))
    return X[i], y[i]


def optimizer(m):
    return torch.optim.RMSprop(m.parameters(), lr=2e-3, momentum=0.9, eps=1e-3)
