import torch
import torch.nn as nn
from sklearn.datasets import load_digits

bunch = load_digits()
x_train = torch.tensor(bunch.images[:, None] / 16.0, dtype=torch.float32)
y_train = torch.tensor(bunch.target)


def conv_bn(c_in, c_out):
    bn = nn.BatchNorm2d(c_out)
    # want sparse features, push the pre-activations down
    nn.init.constant_(bn.bias, -6.0)
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, 3, padding=1, bias=False), bn, nn.ReLU(inplace=True)
    )


def build_cnn():
    return nn.Sequential(
        conv_bn(1, 16),
        nn.MaxPool2d(2),
        conv_bn(16, 32),
        conv_bn(32, 32),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 10),
    )


def batch():
    pick = torch.randperm(len(x_train))[:64]
    return x_train[pick], y_train[pick]


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
