# Neural network from scratch (class project) returns the same output for all inputs
import torch
from sklearn.datasets import load_digits
from torch import nn

digits = load_digits()
X = torch.FloatTensor(digits.data)
y = torch.LongTensor(digits.target)
Y = torch.eye(10)[y]


class NeuralNet(nn.Module):
    def __init__(self):
        super(NeuralNet, self).__init__()
        self.w1 = nn.Parameter(torch.rand(64, 40))
        self.b1 = nn.Parameter(torch.zeros(40))
        self.w2 = nn.Parameter(torch.rand(40, 10))
        self.b2 = nn.Parameter(torch.zeros(10))

    def forward(self, x):
        hidden = torch.sigmoid(x.matmul(self.w1) + self.b1)
        return torch.sigmoid(hidden.matmul(self.w2) + self.b2)


def loss(output, target):
    return 0.5 * ((output - target) ** 2).sum(1).mean()


def batch():
    pick = torch.randint(0, len(X), (50,))
    return X[pick], Y[pick]


def optimizer(net):
    return torch.optim.SGD(net.parameters(), lr=0.5)


if __name__ == "__main__":
    net = NeuralNet()
    opt = optimizer(net)
    for i in range(600):
        a, b = batch()
        opt.zero_grad()
        loss(net(a), b).backward()
        opt.step()
    print(net(X[:3]))
