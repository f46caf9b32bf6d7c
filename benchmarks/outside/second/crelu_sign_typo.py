import torch
import torch.nn.functional as F
from torch import nn


def negative_part(x):
    return F.relu(-F.relu(x))


class TextureNet(nn.Module):
    """Orientation of a grating from the negative phase of its filter responses."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 5, padding=2)
        self.conv2 = nn.Conv2d(12, 24, 3, padding=1)
        self.fc = nn.Linear(24, 4)

    def forward(self, img):
        h = negative_part(self.conv1(img))
        h = F.avg_pool2d(h, 2)
        h = negative_part(self.conv2(h))
        return self.fc(h.mean((2, 3)))


def batch(n=32, size=16):
    cls = torch.randint(4, (n,))
    angle = cls * torch.pi / 4
    grid = torch.arange(size).float()
    u = angle.cos()[:, None, None] * grid + angle.sin()[:, None, None] * grid[:, None]
    img = torch.sin(1.3 * u + 6.28 * torch.rand(n, 1, 1)) + 0.2 * torch.randn(n, size, size)
    return img.unsqueeze(1), cls


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=0.005)
