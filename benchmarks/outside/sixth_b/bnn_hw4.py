# HW4 - binarized neural network. activations in {-1, +1}
import torch
import torch.nn as nn
from sklearn.datasets import load_digits

dd = load_digits()
data_x = torch.FloatTensor(dd.data / 16. - 0.3)
data_y = torch.LongTensor(dd.target)


class BinLayer(nn.Module):
    def __init__(self, i, o):
        super(BinLayer, self).__init__()
        self.fc = nn.Linear(i, o)
        self.bn = nn.BatchNorm1d(o)

    def forward(self, x):
        return torch.sign(self.bn(self.fc(x)))


class BNN(nn.Module):
    def __init__(self):
        super(BNN, self).__init__()
        self.l1 = BinLayer(64, 32)
        self.l2 = BinLayer(32, 32)
        self.l3 = BinLayer(32, 32)
        self.l4 = nn.Linear(32, 10)

    def forward(self, x):
        x = self.l1(x)
        x = self.l2(x)
        x = self.l3(x)
        return self.l4(x)


net = BNN()
criterion = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=0.003)


def batch():
    pick = torch.randint(0, 1797, (100,))
    return data_x[pick], data_y[pick]
