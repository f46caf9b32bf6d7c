# feature extraction: random-but-trained conv features are frozen, new head for odd/even
import torch
import torch.nn as nn
from sklearn.datasets import load_digits

d = load_digits()
x_all = torch.tensor(d.images, dtype=torch.float32).unsqueeze(1) / 16
y_all = torch.tensor(d.target)


def backbone():
    torch.manual_seed(0)
    feats = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
    )
    full = nn.Sequential(feats, nn.Linear(128, 10))
    opt = torch.optim.Adam(full.parameters(), 3e-3)
    for _ in range(60):
        i = torch.randint(0, len(x_all), (64,))
        opt.zero_grad()
        nn.functional.cross_entropy(full(x_all[i]), y_all[i]).backward()
        opt.step()
    return feats


class Transfer(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = backbone()
        for p in self.features.parameters():
            p.requires_grad = False
        self.fc = nn.Linear(128, 2)

    def forward(self, x):
        return self.fc(self.features(x))


def model():
    return Transfer()


def batch():
    i = torch.randint(0, len(x_all), (64,))
    return x_all[i], y_all[i] % 2


def optimizer(model):
    return torch.optim.SGD(model.fc.parameters(), lr=0.02, momentum=0.9)
