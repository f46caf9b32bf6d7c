import math

import torch
import torch.nn as nn
import torch.nn.functional as F

SIZE = 16


def fabrics(n, seed):
    """RGB patches 0..255, class = direction of the weave (5 directions)"""
    g = torch.Generator().manual_seed(seed)
    label = torch.randint(0, 5, (n,), generator=g)
    angle = label.float() * math.pi / 5 + 0.08 * torch.randn(n, generator=g)
    freq = 0.9 + 0.5 * torch.rand(n, generator=g)
    phase = 2 * math.pi * torch.rand(n, generator=g)
    yy, xx = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    u = angle.cos().view(-1, 1, 1) * xx + angle.sin().view(-1, 1, 1) * yy
    wave = torch.sin(freq.view(-1, 1, 1) * u + phase.view(-1, 1, 1)).unsqueeze(1)
    colour = 60 + 120 * torch.rand(n, 3, 1, 1, generator=g)
    img = colour + 45 * wave + 20 * torch.randn(n, 3, SIZE, SIZE, generator=g)
    return img.clamp(0, 255).round(), label


train_images, train_labels = fabrics(1500, seed=10)


def conv_params(i, o):
    layer = nn.Conv2d(i, o, 3, padding=1)
    nn.init.normal_(layer.weight, std=0.02)
    nn.init.zeros_(layer.bias)
    return layer


class WeaveNet(nn.Module):
    def __init__(self, depth=11, ch=16):
        super().__init__()
        self.convs = nn.ModuleList([conv_params(3, ch)])
        for _ in range(depth):
            self.convs.append(conv_params(ch, ch))
        self.head = nn.Linear(ch * 4 * 4, 5)

    def forward(self, x):
        for i, conv in enumerate(self.convs):
            x = torch.tanh(conv(x))
            if i in (1, 4):
                x = F.max_pool2d(x, 2)
        return self.head(x.flatten(1))


def model():
    return WeaveNet()


def data(seed=0):
    g = torch.Generator().manual_seed(seed)
    for b in torch.randperm(len(train_labels), generator=g).split(50):
        yield train_images[b], train_labels[b]


def loss(scores, labels):
    return F.cross_entropy(scores, labels)


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)


val_images, val_labels = fabrics(300, seed=11)


def metric(model):
    model.eval()
    with torch.no_grad():
        acc = (model(val_images).argmax(1) == val_labels).float().mean().item()
    model.train()
    return acc
