from dataclasses import dataclass

import torch
from sklearn.datasets import load_digits
from torch import nn


@dataclass
class Config:
    channels: int = 16
    stages: int = 3
    convs_per_stage: int = 4
    classes: int = 10
    init_std: float = 0.01
    lr: float = 0.05
    momentum: float = 0.9
    batch_size: int = 50


cfg = Config()


def conv_block(c_in, c_out, n):
    layers = []
    for i in range(n):
        layers.append(nn.Conv2d(c_in if i == 0 else c_out, c_out, 3, padding=1))
        layers.append(nn.ReLU(inplace=True))
    layers.append(nn.MaxPool2d(2))
    return layers


def init_weights(m):
    if isinstance(m, (nn.Conv2d, nn.Linear)):
        nn.init.normal_(m.weight, 0.0, cfg.init_std)
        nn.init.constant_(m.bias, 0.0)


class VGGish(nn.Module):
    def __init__(self, cfg=cfg):
        super().__init__()
        layers, c = [], 1
        for s in range(cfg.stages):
            layers += conv_block(c, cfg.channels, cfg.convs_per_stage)
            c = cfg.channels
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(c, cfg.classes)
        self.apply(init_weights)

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


bunch = load_digits()
images = torch.tensor(bunch.images, dtype=torch.float32).unsqueeze(1)
images = (images - 4.884) / 6.017
labels = torch.tensor(bunch.target)
train_idx = [i for i in range(len(labels)) if i % 5 != 0]
test_idx = [i for i in range(len(labels)) if i % 5 == 0]


def data(seed=0):
    g = torch.Generator().manual_seed(seed)
    idx = torch.tensor(train_idx)[torch.randperm(len(train_idx), generator=g)]
    return [(images[i], labels[i]) for i in idx.split(cfg.batch_size)]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=cfg.lr, momentum=cfg.momentum)


if __name__ == "__main__":
    net = VGGish()
    opt = optimizer(net)
    for epoch in range(20):
        for xb, yb in data(epoch):
            opt.zero_grad()
            l = loss(net(xb), yb)
            l.backward()
            opt.step()
        print(epoch, l.item())
