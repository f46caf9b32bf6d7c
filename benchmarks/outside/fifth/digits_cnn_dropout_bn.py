import torch
import torch.nn as nn
from sklearn.datasets import load_digits

d = load_digits()
x_all = torch.tensor(d.images, dtype=torch.float32)[:, None] / 16.0
y_all = torch.tensor(d.target)


def conv_bn(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(inplace=True))


class CNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(conv_bn(1, 16), nn.MaxPool2d(2), conv_bn(16, 32), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.drop = nn.Dropout(0.3)
        self.fc = nn.Linear(32, 10)

    def forward(self, x):
        return self.fc(self.drop(self.body(x)))


loss = nn.CrossEntropyLoss(label_smoothing=0.05)


def batch():
    i = torch.randint(0, len(x_all), (64,))
    return x_all[i], y_all[i]


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-2)
