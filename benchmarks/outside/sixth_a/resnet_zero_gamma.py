"""small ResNet for the glyph sorter, after "Bag of tricks" (last BN gamma of each block at 0)"""
import torch
import torch.nn as nn
import torch.nn.functional as F


class BasicBlock(nn.Module):
    def __init__(self, cin, cout, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        nn.init.zeros_(self.bn2.weight)
        self.short = nn.Identity() if stride == 1 and cin == cout else nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x):
        h = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(h)) + self.short(x))


class GlyphResNet(nn.Module):
    def __init__(self, classes=4):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 12, 3, 1, 1, bias=False), nn.BatchNorm2d(12), nn.ReLU())
        self.stages = nn.Sequential(
            BasicBlock(12, 12), BasicBlock(12, 12), BasicBlock(12, 24, 2), BasicBlock(24, 24), BasicBlock(24, 32, 2), BasicBlock(32, 32))
        self.fc = nn.Linear(32, classes)

    def forward(self, x):
        return self.fc(self.stages(self.stem(x)).mean((2, 3)))


def batch(n=32, s=16):
    y = torch.randint(0, 4, (n,))
    yy, xx = torch.meshgrid(torch.arange(s), torch.arange(s), indexing="ij")
    c = 5 + 6 * torch.rand(n, 2, 1, 1)
    u, v = yy - c[:, 0], xx - c[:, 1]
    shapes = torch.stack([
        (u.abs() < 3.5) & (v.abs() < 3.5),
        u ** 2 + v ** 2 < 4 ** 2,
        ((u.abs() < 1.2) | (v.abs() < 1.2)) & (u.abs() < 4.5) & (v.abs() < 4.5),
        ((u ** 2 + v ** 2).sqrt() - 3.8).abs() < 1,
    ], 1).float()
    img = shapes[torch.arange(n), y].unsqueeze(1) + 0.25 * torch.randn(n, 1, s, s)
    return (img - 0.15) / 0.43, y


criterion = nn.CrossEntropyLoss()


def optimizer(model):
    decay = [p for p in model.parameters() if p.dim() > 1]
    rest = [p for p in model.parameters() if p.dim() <= 1]
    return torch.optim.SGD([{"params": decay, "weight_decay": 5e-4}, {"params": rest, "weight_decay": 0.0}], lr=0.05, momentum=0.9, nesterov=True)
