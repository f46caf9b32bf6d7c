import torch
import torch.nn as nn
from sklearn.datasets import load_digits

cfg = [16, 16, "M", 32, 32, 32, "M", 64, 64, 64, 64, "M", 64, 64, 64]


class VGG(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.features = self._make_layers(cfg)
        self.classifier = nn.Linear(64, num_classes)
        self._initialize_weights()

    def forward(self, x):
        x = self.features(x)
        return self.classifier(torch.flatten(x, 1))

    def _initialize_weights(self):
        for m in self.modules():
            if isinstance(m, (nn.Conv2d, nn.Linear)):
                nn.init.normal_(m.weight, 0, 0.01)
                nn.init.constant_(m.bias, 0)

    def _make_layers(self, cfg):
        layers, in_channels = [], 1
        for v in cfg:
            if v == "M":
                layers.append(nn.MaxPool2d(2, 2))
            else:
                layers += [nn.Conv2d(in_channels, v, 3, padding=1), nn.ReLU(inplace=True)]
                in_channels = v
        return nn.Sequential(*layers)


digits = load_digits()
images = torch.tensor((digits.images - 4.9) / 6.0, dtype=torch.float32).unsqueeze(1)
labels = torch.tensor(digits.target)


def data():
    perm = torch.randperm(len(images))
    for idx in perm.split(64):
        yield images[idx], labels[idx]


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
