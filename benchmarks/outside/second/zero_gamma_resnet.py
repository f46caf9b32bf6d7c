import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

d = load_digits()
X = torch.tensor(d.images[:, None] / 8 - 1, dtype=torch.float32)
Y = torch.tensor(d.target)


class BasicBlock(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv1 = nn.Conv2d(c, c, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(c)
        self.conv2 = nn.Conv2d(c, c, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(c)

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(x + self.bn2(self.conv2(out)))


def resnet10(zero_init_residual=True):
    net = nn.Sequential(
        nn.Conv2d(1, 24, 3, padding=1, bias=False),
        nn.BatchNorm2d(24),
        nn.ReLU(),
        *[BasicBlock(24) for _ in range(4)],
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(96, 10),
    )
    if zero_init_residual:
        for m in net.modules():
            if isinstance(m, BasicBlock):
                nn.init.zeros_(m.bn2.weight)
    return net


def batch():
    i = torch.randint(len(X), (64,))
    return X[i], Y[i]


def optimizer(model):
    return torch.optim.SGD(
        model.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-4
    )
