import numpy as np, torch, torch.nn as nn

# binned MS/MS spectra -> 12-d code -> spectra

rs = np.random.RandomState(1234)
BINS = 100
TEMPL = rs.gamma(0.3, 1.0, (10, BINS))


def spectra(n):
    w = rs.dirichlet(np.ones(10) * 0.3, n)
    s = w @ TEMPL + 0.02 * rs.randn(n, BINS)
    return ((s - TEMPL.mean()) / 0.25).astype(np.float32)


class dA(nn.Module):
    def __init__(self, sizes=(BINS, 64, 12, 64, BINS)):
        super().__init__()
        self.Ws = nn.ParameterList()
        self.bs = nn.ParameterList()
        for a, b in zip(sizes[:-1], sizes[1:]):
            self.Ws.append(nn.Parameter(torch.tensor(rs.randn(a, b), dtype=torch.float32)))
            self.bs.append(nn.Parameter(torch.zeros(b)))

    def forward(self, x):
        last = len(self.Ws) - 1
        for k, (W, b) in enumerate(zip(self.Ws, self.bs)):
            x = x @ W + b
            if k != last:
                x = torch.tanh(x)
        return x


def batch():
    x = torch.from_numpy(spectra(100))
    return x, x


def loss(x_hat, x):
    return ((x_hat - x) ** 2).mean()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
