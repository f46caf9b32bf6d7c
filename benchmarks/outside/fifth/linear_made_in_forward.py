import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

digits = load_digits()
IM = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 8 - 1
LAB = torch.tensor(digits.target)


class ConvThenLinear(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 16, 3, padding=1)
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv(x)), 2)
        x = x.flatten(1)
        # size found automatically :)
        x = nn.Linear(x.shape[1], 32)(x)
        return self.head(F.relu(x))


def batch():
    i = torch.randint(0, len(IM), (64,))
    return IM[i], LAB[i]


loss = F.cross_entropy


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
