import torch
from sklearn.datasets import load_digits
from sklearn.preprocessing import scale

X, Y = load_digits(return_X_y=True)
X, Y = torch.tensor(scale(X)).float(), torch.tensor(Y)


class Net(torch.nn.Module):
    # ported from my numpy network, line by line
    sizes = (64, 80, 80, 80, 80, 80, 80, 80, 10)

    def __init__(self):
        super().__init__()
        pairs = zip(self.sizes, self.sizes[1:])
        self.W = torch.nn.ParameterList([torch.nn.Parameter(torch.randn(a, b)) for a, b in pairs])
        self.b = torch.nn.ParameterList(
            [torch.nn.Parameter(torch.zeros(n)) for n in self.sizes[1:]]
        )

    def forward(self, x):
        for i, (W, b) in enumerate(zip(self.W, self.b)):
            x = x.mm(W) + b
            if i < len(self.W) - 1:
                x = x.clamp(min=0)
        return x


def batch():
    i = torch.randint(0, len(X), (64,))
    return X[i], Y[i]


def loss(scores, y):
    logp = scores - scores.logsumexp(1, keepdim=True)
    return -logp[torch.arange(len(y)), y].mean()


def optimizer(net):
    return torch.optim.SGD(net.parameters(), lr=1e-2)
