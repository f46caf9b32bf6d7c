"""Port of an old Theano script: the cost is the SUM over the minibatch, the learning rate was not."""
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits

bunch = load_digits()
train_x = torch.tensor(bunch.data / 8 - 0.6, dtype=torch.float32)
train_y = torch.tensor(bunch.target)


class OldNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = torch.nn.Linear(64, 100)
        self.hidden2 = torch.nn.Linear(100, 100)
        self.output = torch.nn.Linear(100, 10)

    def forward(self, x):
        return self.output(F.relu(self.hidden2(F.relu(self.hidden(x)))))


def batch():
    rows = torch.randint(0, len(train_x), (500,))
    return train_x[rows], train_y[rows]


def loss(output, target):
    return F.cross_entropy(output, target, reduction="sum")


def optimizer(net):
    return torch.optim.SGD(net.parameters(), lr=0.1)


def metric(net):
    with torch.no_grad():
        return (net(train_x).argmax(1) == train_y).float().mean().item()


if __name__ == "__main__":
    net = OldNet()
    opt = optimizer(net)
    for step in range(200):
        x, y = batch()
        cost = loss(net(x), y)
        opt.zero_grad()
        cost.backward()
        opt.step()
        print(cost.item() / 500)
