import torch
from sklearn.datasets import load_digits
from torch import nn


class HashNet(nn.Module):
    """Supervised hashing: the class must be readable from the bits."""

    def __init__(self, bits=8, classes=10):
        super().__init__()
        self.features = nn.Sequential(
            nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 48), nn.ReLU(), nn.Linear(48, bits)
        )
        self.classifier = nn.Linear(bits, classes)

    def hash(self, x):
        h = self.features(x)
        return torch.where(h > 0, 1.0, -1.0)

    def forward(self, x):
        return self.classifier(self.hash(x))


x, y = load_digits(return_X_y=True)
x = torch.tensor(x / 16, dtype=torch.float32)
y = torch.tensor(y)


def batch(n=128):
    i = torch.randint(len(x), (n,))
    return x[i], y[i]


criterion = nn.CrossEntropyLoss(label_smoothing=0.05)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
