import torch
import torch.nn as nn
from sklearn.datasets import load_digits

bunch = load_digits()
images = ((torch.from_numpy(bunch.images).float() - 4.9) / 6.0).unsqueeze(1)
targets = torch.from_numpy(bunch.target)


def conv(i, o):
    return [nn.Conv2d(i, o, kernel_size=3, padding=1), nn.ReLU()]


class VeryDeep(nn.Module):
    def __init__(self, depth=20, ch=16):
        super().__init__()
        layers = conv(1, ch)
        for _ in range(depth - 1):
            layers += conv(ch, ch)
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.fc = nn.Linear(4 * ch, 10)

    def forward(self, x):
        return self.fc(self.features(x))


def batch():
    k = torch.randperm(len(targets))[:32]
    return images[k], targets[k]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
