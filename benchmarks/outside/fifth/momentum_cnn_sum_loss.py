import torch
from sklearn.datasets import load_digits
from torch import nn

ds = load_digits()
X = torch.tensor(ds.images).float().unsqueeze(1) / 16
Y = torch.tensor(ds.target)


class TinyCNN(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 8, 3), nn.ReLU(),
            nn.Conv2d(8, 16, 3), nn.ReLU(),
            nn.Flatten(),
            nn.Linear(16 * 4 * 4, 10),
        )


loss = nn.CrossEntropyLoss(reduction="sum")


def batch():
    i = torch.randint(0, len(X), (64,))
    return X[i], Y[i]


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
