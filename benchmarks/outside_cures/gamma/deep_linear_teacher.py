"""Deep linear networks (Saxe et al. 2014): plateau first, then the modes are learnt one by one."""
import torch

D_IN, D_OUT, HIDDEN, LAYERS = 20, 10, 32, 4

gen = torch.Generator().manual_seed(13)
u, _ = torch.linalg.qr(torch.randn(D_OUT, D_OUT, generator=gen))
v, _ = torch.linalg.qr(torch.randn(D_IN, D_IN, generator=gen))
modes = torch.zeros(D_OUT, D_IN)
modes[range(5), range(5)] = torch.tensor([4.0, 3.5, 3.0, 2.5, 2.0])
TEACHER = u @ modes @ v.T


def make_set(n, seed):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, D_IN, generator=g)
    return x, x @ TEACHER.T + 0.1 * torch.randn(n, D_OUT, generator=g)


class DeepLinear(torch.nn.Module):
    def __init__(self):
        super().__init__()
        dims = [D_IN] + [HIDDEN] * (LAYERS - 1) + [D_OUT]
        self.weights = torch.nn.ParameterList(
            torch.randn(b, a) * 0.3 / a**0.5 for a, b in zip(dims, dims[1:])
        )

    def forward(self, x):
        for w in self.weights:
            x = x @ w.T
        return x


train_x, train_y = make_set(2000, 0)


def data():
    p = torch.randperm(2000)
    return [(train_x[i], train_y[i]) for i in p.split(100)]


def loss(output, target):
    return 0.5 * ((output - target) ** 2).sum(1).mean()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.01)
