# CS course, assignment 3, part (b): "use a deep network with logistic units on the digits"
import torch
from torch import nn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

digits = load_digits()
Xtr, Xte, ytr, yte = train_test_split(digits.data / 16.0, digits.target, random_state=0)
Xtr = torch.FloatTensor(Xtr)
ytr = torch.LongTensor(ytr)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1 = nn.Linear(64, 50)
        self.l2 = nn.Linear(50, 50)
        self.l3 = nn.Linear(50, 50)
        self.l4 = nn.Linear(50, 50)
        self.l5 = nn.Linear(50, 50)
        self.l6 = nn.Linear(50, 10)

    def forward(self, x):
        x = torch.sigmoid(self.l1(x))
        x = torch.sigmoid(self.l2(x))
        x = torch.sigmoid(self.l3(x))
        x = torch.sigmoid(self.l4(x))
        x = torch.sigmoid(self.l5(x))
        return self.l6(x)


def data():
    order = torch.randperm(len(Xtr))
    for k in range(0, len(Xtr) - 50, 50):
        yield Xtr[order[k:k + 50]], ytr[order[k:k + 50]]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
