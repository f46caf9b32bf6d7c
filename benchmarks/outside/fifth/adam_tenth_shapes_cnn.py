# squares, discs, crosses
import torch
from torch import nn


def draw(n, size=20):
    img = 0.1 * torch.randn(n, 1, size, size)
    kind = torch.randint(0, 3, (n,))
    yy, xx = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    for k in range(n):
        r = int(torch.randint(3, 6, (1,)))
        cy, cx = torch.randint(r, size - r, (2,)).tolist()
        dy, dx = (yy - cy).abs(), (xx - cx).abs()
        if kind[k] == 0:
            m = (dy <= r) & (dx <= r)
        elif kind[k] == 1:
            m = dy ** 2 + dx ** 2 <= r * r
        else:
            m = ((dy <= 1) & (dx <= r)) | ((dx <= 1) & (dy <= r))
        img[k, 0][m] += 1.0
    return img, kind


torch.manual_seed(0)
IMAGES, KINDS = draw(600)


class ShapeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(32 * 25, 64), nn.ReLU(), nn.Linear(64, 3))

    def forward(self, x):
        return self.classifier(self.features(x))


loss = nn.CrossEntropyLoss()


def batch():
    i = torch.randint(0, len(IMAGES), (32,))
    return IMAGES[i], KINDS[i]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=0.1)
