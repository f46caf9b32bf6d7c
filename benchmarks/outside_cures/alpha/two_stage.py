# Image branch + metadata branch, late fusion. The image encoder's output is cached per batch.
import torch
import torch.nn as nn


def make(n, seed):
    """rings and bars of two sizes; 'meta' says how the camera was turned"""
    g = torch.Generator().manual_seed(seed)
    kind = torch.randint(0, 4, (n,), generator=g)
    cy, cx = (5 + 4 * torch.rand(2, n, 1, 1, generator=g)).unbind(0)
    yy, xx = torch.meshgrid(torch.arange(14.0), torch.arange(14.0), indexing="ij")
    r = ((yy - cy) ** 2 + (xx - cx) ** 2).sqrt()
    radius = torch.where(kind % 2 == 0, 2.5, 4.5).view(-1, 1, 1)
    ring = ((r - radius).abs() < 0.8).float()
    turned = torch.rand(n, generator=g) < 0.5
    across = torch.where(turned.view(-1, 1, 1), (yy - cy).abs(), (xx - cx).abs())
    along = torch.where(turned.view(-1, 1, 1), (xx - cx).abs(), (yy - cy).abs())
    bar = ((across < 0.8) & (along < radius)).float()
    img = torch.where((kind < 2).view(-1, 1, 1), ring, bar)
    img = img + 0.25 * torch.randn(img.shape, generator=g)
    return img.unsqueeze(1), turned.float().unsqueeze(1), kind


images, meta, kinds = make(2000, seed=100)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
            nn.Flatten(), nn.Linear(16, 4),
        )

    def forward(self, x):
        return self.features(x)


class Fusion(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = Encoder()
        self.meta = nn.Linear(1, 4)
        self.classifier = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4))
        self.cache = None

    def forward(self, image, meta):
        self.cache = self.encoder(image).detach()
        h = torch.cat([self.cache, self.meta(meta)], dim=1)
        return self.classifier(h)


def model():
    return Fusion()


def data(seed=0):
    g = torch.Generator().manual_seed(seed)
    for idx in torch.randperm(len(kinds), generator=g).split(50):
        yield (images[idx], meta[idx]), kinds[idx]


def loss(out, kind):
    return nn.functional.cross_entropy(out, kind)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=4e-3)


val_images, val_meta, val_kinds = make(300, seed=101)


def metric(model):
    model.eval()
    with torch.no_grad():
        acc = (model(val_images, val_meta).argmax(1) == val_kinds).float().mean().item()
    model.train()
    return acc
