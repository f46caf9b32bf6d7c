import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

x_all, y_all = load_digits(return_X_y=True)
x_all = torch.tensor(x_all, dtype=torch.float32) / 16 - 0.3
y_all = torch.tensor(y_all)


class MyLinear(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(i, o))
        self.bias = nn.Parameter(torch.zeros(o))

    def forward(self, x):
        return x @ self.weight + self.bias


class MyNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1 = MyLinear(64, 200)
        self.l2 = MyLinear(200, 200)
        self.l3 = MyLinear(200, 200)
        self.l4 = MyLinear(200, 200)
        self.l5 = MyLinear(200, 200)
        self.l6 = MyLinear(200, 200)
        self.l7 = MyLinear(200, 10)

    def forward(self, x):
        x = F.relu(self.l1(x))
        x = F.relu(self.l2(x))
        x = F.relu(self.l3(x))
        x = F.relu(self.l4(x))
        x = F.relu(self.l5(x))
        x = F.relu(self.l6(x))
        return self.l7(x)


model = MyNet()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
loss_fn = F.cross_entropy


def batch():
    i = torch.randint(0, len(x_all), (64,))
    return x_all[i], y_all[i]
