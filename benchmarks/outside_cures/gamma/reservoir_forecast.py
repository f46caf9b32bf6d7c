"""Echo state network: a fixed random reservoir, only the readout is trained."""
import torch
import torch.nn as nn


def mackey_glass(n, tau=17, warm=500):
    x = torch.zeros(n + warm + tau)
    x[: tau + 1] = 1.2
    for t in range(tau, n + warm + tau - 1):
        past = x[t - tau]
        x[t + 1] = x[t] + 0.2 * past / (1 + past**10) - 0.1 * x[t]
    return x[warm + tau :] - 0.92


class Reservoir(nn.Module):
    def __init__(self, size=120, radius=0.9, leak=0.6):
        super().__init__()
        w = torch.randn(size, size)
        w = w * (radius / torch.linalg.eigvals(w).abs().max())
        self.w_in = nn.Parameter(torch.rand(size, 1) * 2 - 1, requires_grad=False)
        self.w = nn.Parameter(w, requires_grad=False)
        self.leak = leak
        self.readout = nn.Linear(size, 1)

    def forward(self, u):
        h = u.new_zeros(u.size(0), self.w.size(0))
        with torch.no_grad():
            for t in range(u.size(1)):
                pre = u[:, t : t + 1] @ self.w_in.T + h @ self.w.T
                h = (1 - self.leak) * h + self.leak * torch.tanh(pre)
        return self.readout(h)


def model():
    return Reservoir()


WINDOW, AHEAD = 40, 3
series = mackey_glass(2600)
u = series.unfold(0, WINDOW, 1)[:-AHEAD]
target = series[WINDOW + AHEAD - 1 :][: len(u), None]
n_train = 1500


def data():
    for b in torch.randperm(n_train).split(50):
        yield u[b], target[b]


def loss(output, y):
    return nn.functional.mse_loss(output, y)


def optimizer(model):
    return torch.optim.Adam(model.readout.parameters(), lr=1e-2)
