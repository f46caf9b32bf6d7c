"""VGG-style net from the paper's table, layers exactly as PyTorch creates them, on tiny textures."""
import torch
import torch.nn as nn

CFG = [16, 16, "M", 32, 32, 32, 32, "M", 48, 48, 48, 48, "M", 48, 48, 48, 48]


def make_layers(cfg):
    layers, c = [], 1
    for v in cfg:
        if v == "M":
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(c, v, 3, padding=1), nn.ReLU(inplace=True)]
            c = v
    return nn.Sequential(*layers)


class VGG(nn.Module):
    def __init__(self, num_classes=4):
        super().__init__()
        self.features = make_layers(CFG)
        self.classifier = nn.Sequential(nn.Linear(48 * 4, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, num_classes))

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


def batch(n=48):
    """Gratings in four directions with noise."""
    label = torch.randint(4, (n,))
    angle = label * torch.pi / 4
    grid = torch.linspace(-1, 1, 16)
    yy, xx = torch.meshgrid(grid, grid, indexing="ij")
    phase = torch.rand(n, 1, 1) * 6.28
    wave = torch.sin(8 * (xx * angle.cos()[:, None, None] + yy * angle.sin()[:, None, None]) + phase)
    return (wave + 0.3 * torch.randn(n, 16, 16))[:, None], label


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
