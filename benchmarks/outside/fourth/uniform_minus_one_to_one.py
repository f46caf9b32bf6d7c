# regression, weights "random between -1 and 1" as in the lecture notes
import torch
from sklearn.datasets import load_diabetes
from torch import nn

diabetes = load_diabetes()
X = torch.tensor(diabetes.data * 21.0, dtype=torch.float32)  # unit variance
y = torch.tensor((diabetes.target - 152.0) / 77.0, dtype=torch.float32).unsqueeze(1)


class Net(nn.Module):
    def __init__(self, width=128):
        super().__init__()
        self.l1 = nn.Linear(10, width)
        self.l2 = nn.Linear(width, width)
        self.l3 = nn.Linear(width, width)
        self.l4 = nn.Linear(width, width)
        self.l5 = nn.Linear(width, width)
        self.l6 = nn.Linear(width, 1)
        for p in self.parameters():
            nn.init.uniform_(p, -1, 1)

    def forward(self, x):
        for layer in (self.l1, self.l2, self.l3, self.l4, self.l5):
            x = layer(x).relu()
        return self.l6(x)


def batch():
    rows = torch.randint(len(X), (64,))
    return X[rows], y[rows]


def optimizer(net):
    return torch.optim.SGD(net.parameters(), lr=0.01)


loss = nn.MSELoss()
