# Homework 1, group 14
# Task: train a neural network with at least 2 hidden layers on the wine dataset
import torch
import torch.nn as nn
import torch.optim as optim
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split

wine = load_wine()
x_trainval, x_test, y_trainval, y_test = train_test_split(
    wine.data, wine.target, test_size=0.3, random_state=42, stratify=wine.target
)
x_train, x_val, y_train, y_val = train_test_split(
    x_trainval, y_trainval, test_size=0.25, random_state=42, stratify=y_trainval
)
x_train = torch.FloatTensor(x_train)
x_val = torch.FloatTensor(x_val)
x_test = torch.FloatTensor(x_test)
y_train = torch.LongTensor(y_train)
y_val = torch.LongTensor(y_val)
y_test = torch.LongTensor(y_test)


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.fc1 = nn.Linear(13, 32)
        self.fc2 = nn.Linear(32, 32)
        self.fc3 = nn.Linear(32, 3)

    def forward(self, x):
        x = torch.tanh(self.fc1(x))
        x = torch.tanh(self.fc2(x))
        x = self.fc3(x)  # no softmax, CrossEntropyLoss does it!!
        return x


def model():
    return Net()


def data():
    # batch size 16
    idx = torch.randperm(len(x_train))
    for i in range(0, len(idx), 16):
        yield x_train[idx[i : i + 16]], y_train[idx[i : i + 16]]


criterion = nn.CrossEntropyLoss()


def loss(output, target):
    return criterion(output, target)


def optimizer(net):
    return optim.SGD(net.parameters(), lr=0.01)


def metric(net):
    with torch.no_grad():
        pred = torch.max(net(x_val), 1)[1]
    return float((pred == y_val).sum()) / len(y_val)


GOAL = 0.9
HIGHER_IS_BETTER = True
