import torch
from sklearn.datasets import make_friedman1
from torch import nn

x, y = make_friedman1(500, random_state=0)
x = torch.tensor(x - 0.5).float() * 3.4
y = torch.tensor((y - y.mean()) / y.std()).float()

net = nn.Sequential(
    nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1), nn.Flatten(0)
)


def batch():
    return x, y


loss = torch.nn.MSELoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=10, momentum=0.99)


if __name__ == "__main__":
    opt = optimizer(net)
    for epoch in range(500):
        opt.zero_grad()
        l = loss(net(x), y)
        l.backward()
        opt.step()
    print(l.item())
