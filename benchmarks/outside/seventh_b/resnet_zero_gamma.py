import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits


class BasicBlock(nn.Module):
    def __init__(self, cin, c, stride=1):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(cin, c, 3, stride, 1, bias=False), nn.BatchNorm2d(c)
        self.conv2, self.bn2 = nn.Conv2d(c, c, 3, 1, 1, bias=False), nn.BatchNorm2d(c)
        self.short = nn.Identity() if stride == 1 and cin == c else nn.Conv2d(cin, c, 1, stride, bias=False)
        nn.init.zeros_(self.bn2.weight)  # tpu/models: init_zero=True for the last bn of a block

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.short(x))


class ResNet(nn.Module):
    def __init__(self, n=3):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        blocks, cin = [], 8
        for c, s in ((8, 1), (16, 2), (32, 2)):
            for k in range(n):
                blocks.append(BasicBlock(cin, c, s if k == 0 else 1))
                cin = c
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(32, 10)

    def forward(self, x):
        return self.fc(self.blocks(self.stem(x)).mean((2, 3)))


images = torch.tensor(load_digits().images, dtype=torch.float32)[:, None] / 16
targets = torch.tensor(load_digits().target)


def data():
    for i in torch.randperm(len(images)).split(64):
        yield images[i], targets[i]


loss_fn = nn.CrossEntropyLoss(label_smoothing=0.1)


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4)
