import torch
from sklearn.datasets import load_digits
from torch import nn

d = load_digits()
IMAGES = torch.tensor(d.images, dtype=torch.float32).unsqueeze(1) / 16
LABELS = torch.tensor(d.target)


class PlainNet(nn.Module):
    """the plain network of the ResNet paper, small"""

    def __init__(self, depth=18, width=16):
        super().__init__()
        layers, c = [], 1
        for k in range(depth):
            layers += [nn.Conv2d(c, width, 3, padding=1), nn.ReLU()]
            c = width
        self.features = nn.Sequential(*layers)
        self.fc = nn.Linear(width, 10)

    def forward(self, x):
        return self.fc(self.features(x).mean((2, 3)))


loss = nn.CrossEntropyLoss()


def batch():
    i = torch.randint(0, len(IMAGES), (32,))
    return IMAGES[i], LABELS[i]


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
