# digits CNN; init.normal_ on everything "so that symmetric units are broken"
import torch
from sklearn.datasets import load_digits
from torch import nn

digits = load_digits()
images = torch.tensor(digits.images / 16.0, dtype=torch.float32)[:, None]
labels = torch.tensor(digits.target)


def weights_init(m):
    if isinstance(m, (nn.Conv2d, nn.Linear)):
        nn.init.normal_(m.weight)
        nn.init.zeros_(m.bias)


def build():
    net = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(),
        nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(256, 128), nn.ReLU(),
        nn.Linear(128, 10),
    )
    net.apply(weights_init)
    return net


def batch():
    pick = torch.randint(0, len(images), (64,))
    return images[pick], labels[pick]


criterion = nn.CrossEntropyLoss()


def optimizer(net):
    return torch.optim.SGD(net.parameters(), lr=1e-2)
