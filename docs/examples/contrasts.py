"""Seven classifiers of handwritten digits that differ in one thing each."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Plain(nn.Module):
    """Layers of one width, each with the same activation behind it."""

    def __init__(self, activation, depth, norm=None):
        super().__init__()
        self.activation = activation
        self.layers = nn.ModuleList(nn.Linear(64, 64) for _ in range(depth))
        self.norms = nn.ModuleList(norm(64) if norm else nn.Identity() for _ in range(depth))
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = self.activation(norm(layer(x)))
        return self.head(x)


class Transformer(nn.Module):
    """An encoder that reads an image row by row."""

    def __init__(self, norm_first, depth=18):
        super().__init__()
        self.embed = nn.Linear(8, 32)
        block = nn.TransformerEncoderLayer(
            32, 4, dim_feedforward=64, dropout=0.0, batch_first=True, norm_first=norm_first
        )
        self.encoder = nn.TransformerEncoder(block, depth, enable_nested_tensor=False)
        self.head = nn.Linear(32, 10)
        for weight in self.parameters():
            if weight.dim() > 1:
                nn.init.xavier_uniform_(weight)

    def forward(self, x):
        return self.head(self.encoder(self.embed(x.view(-1, 8, 8))).mean(dim=1))


def with_weights(model, init):
    for layer in model.layers:
        init(layer.weight)
        nn.init.zeros_(layer.bias)
    return model


def sigmoid_default():
    return Plain(torch.sigmoid, depth=15)


def tanh_default():
    return Plain(torch.tanh, depth=20)


def tanh_large():
    return with_weights(Plain(torch.tanh, depth=30), lambda w: nn.init.normal_(w, std=4 / 64**0.5))


def relu_xavier():
    return with_weights(Plain(torch.relu, depth=30), nn.init.xavier_normal_)


def sigmoid_layernorm():
    return Plain(torch.sigmoid, depth=15, norm=nn.LayerNorm)


def pre_norm():
    return Transformer(norm_first=True)


def post_norm():
    return Transformer(norm_first=False)


def data():
    images, labels = load_digits(return_X_y=True)
    images = torch.tensor(images / 16, dtype=torch.float32)
    return DataLoader(TensorDataset(images, torch.tensor(labels)), batch_size=128, shuffle=True)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
