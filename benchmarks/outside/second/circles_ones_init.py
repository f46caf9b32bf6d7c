import torch
from sklearn.datasets import make_circles


class Classifier(torch.nn.Module):
    def __init__(self):
        super(Classifier, self).__init__()
        self.hidden1 = torch.nn.Linear(2, 24)
        self.hidden2 = torch.nn.Linear(24, 24)
        self.predict = torch.nn.Linear(24, 2)
        for p in self.parameters():
            torch.nn.init.constant_(p, 0.1)

    def forward(self, x):
        x = torch.tanh(self.hidden1(x))
        x = torch.tanh(self.hidden2(x))
        return self.predict(x)


points, rings = make_circles(400, noise=0.05, factor=0.4, random_state=0)


def batch():
    return torch.tensor(points, dtype=torch.float), torch.tensor(rings)


def optimizer(net):
    return torch.optim.Adam(net.parameters(), lr=0.01)
