# VGG-like network, definition file from the deployment repo
import torch
import torch.nn as nn
from sklearn.datasets import load_digits

cfg = [16, 16, 16, 16, "M", 24, 24, 24, 24, 24, 24, "M", 32, 32, 32, 32, 32, 32, 32, 32]


def make_layers(cfg, cin=1):
    layers = []
    for v in cfg:
        if v == "M":
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(cin, v, 3, padding=1), nn.ReLU(inplace=True)]
            cin = v
    return nn.Sequential(*layers)


class FusedVGG(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.features = make_layers(cfg)
        self.classifier = nn.Linear(32, num_classes)

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3)))


digits = load_digits()
images = torch.tensor((digits.images - 4.88) / 6.02, dtype=torch.float32).unsqueeze(1)
labels = torch.tensor(digits.target)


def batch():
    i = torch.randint(0, len(images), (64,))
    return images[i], labels[i]


criterion = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
