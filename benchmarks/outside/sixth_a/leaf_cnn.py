import torch
import torch.nn as nn
from sklearn.datasets import load_digits

cfg = dict(lr=0.02, momentum=0.9, weight_decay=0.1, dropout=0.2)

d = load_digits()
imgs = torch.tensor(d.images, dtype=torch.float32).unsqueeze(1) / 8 - 0.6
labels = torch.tensor(d.target)


class SmallCNN(nn.Module):
    def __init__(self, n=10):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(nn.Dropout(cfg["dropout"]), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, n))

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


def batch():
    idx = torch.randint(0, len(labels), (64,))
    return imgs[idx], labels[idx]


criterion = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=cfg["lr"], momentum=cfg["momentum"], weight_decay=cfg["weight_decay"])
