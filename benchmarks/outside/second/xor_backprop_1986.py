# XOR with backpropagation, chapter 6 exercise
import torch

X = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
T = torch.tensor([[0.0], [1.0], [1.0], [0.0]])


class XOR(torch.nn.Module):
    def __init__(self, hidden=6):
        super().__init__()
        self.W1 = torch.nn.Parameter(torch.randn(2, hidden))
        self.b1 = torch.nn.Parameter(torch.zeros(hidden))
        self.W2 = torch.nn.Parameter(torch.randn(hidden, 1))
        self.b2 = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x):
        h = torch.sigmoid(x @ self.W1 + self.b1)
        return torch.sigmoid(h @ self.W2 + self.b2)


def model():
    return XOR()


def batch():
    return X, T


def loss(y, t):
    return 0.5 * ((y - t) ** 2).sum(1).mean()


def optimizer(net):
    return torch.optim.SGD(net.parameters(), lr=5.0)


if __name__ == "__main__":
    net = model()
    opt = optimizer(net)
    for epoch in range(5000):
        opt.zero_grad()
        loss(net(X), T).backward()
        opt.step()
    print(net(X).detach().round(decimals=2).flatten().tolist())
