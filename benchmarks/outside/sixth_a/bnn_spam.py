import torch
import torch.nn as nn
from sklearn.datasets import make_classification

Xs, ys = make_classification(3000, 40, n_informative=20, n_classes=4, class_sep=1.5, random_state=1)
Xs = torch.tensor((Xs - Xs.mean(0)) / Xs.std(0)).float()
ys = torch.tensor(ys)


class BinaryLinear(nn.Linear):
    def forward(self, x):
        w = torch.sign(self.weight)
        return nn.functional.linear(x, w, self.bias) / self.in_features ** 0.5


class BinaryMLP(nn.Module):
    """1-bit weights and activations for the microcontroller"""

    def __init__(self, width=24):
        super().__init__()
        self.fc1 = BinaryLinear(40, width)
        self.fc2 = BinaryLinear(width, width)
        self.fc3 = BinaryLinear(width, width)
        self.head = nn.Linear(width, 4)

    def forward(self, x):
        x = torch.sign(self.fc1(x))
        x = torch.sign(self.fc2(x))
        x = torch.sign(self.fc3(x))
        return self.head(x)


def batch():
    i = torch.randint(0, 3000, (100,))
    return Xs[i], ys[i]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
