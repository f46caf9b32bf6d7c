# Gearbox fault type from vibration, echo state network: the recurrent part is random and stays so,
# only the read-out is fitted. Runs on the gateway (no BPTT possible there), hence the no_grad.
import torch
import torch.nn as nn

STEPS_IN, FAULTS = 40, 4


def vibration(n, seed):
    g = torch.Generator().manual_seed(seed)
    k = torch.randint(FAULTS, (n,), generator=g)
    t = torch.arange(STEPS_IN, dtype=torch.float32)
    base = torch.tensor([0.35, 0.5, 0.5, 0.75])[k][:, None]
    side = torch.tensor([0.0, 0.0, 0.9, 0.4])[k][:, None]
    ph = 6.2832 * torch.rand(n, 2, generator=g)
    s = torch.sin(base * t + ph[:, :1]) * (1 + side * torch.sin(0.15 * t + ph[:, 1:]))
    return (s + 0.15 * torch.randn(n, STEPS_IN, generator=g))[..., None], k


class Reservoir(nn.Module):
    def __init__(self, size=150, radius=0.9, leak=0.5):
        super().__init__()
        W = torch.randn(size, size) / size**0.5
        W_in = 2 * torch.rand(size, 1) - 1
        self.W = nn.Parameter(radius * W, requires_grad=False)
        self.W_in = nn.Parameter(W_in, requires_grad=False)
        self.leak = leak

    @torch.no_grad()
    def forward(self, u):
        h = u.new_zeros(u.size(0), self.W.size(0))
        total = torch.zeros_like(h)
        for t in range(u.size(1)):
            h = (1 - self.leak) * h + self.leak * torch.tanh(h @ self.W.T + u[:, t] @ self.W_in.T)
            total += h * h
        return torch.cat([h, total / u.size(1)], dim=1)


class GearboxMonitor(nn.Module):
    def __init__(self):
        super().__init__()
        self.reservoir = Reservoir()
        self.norm = nn.BatchNorm1d(300)
        self.readout = nn.Sequential(nn.Linear(300, 48), nn.ReLU(), nn.Linear(48, FAULTS))

    def forward(self, u):
        return self.readout(self.norm(self.reservoir(u).detach()))


signals, faults = vibration(1500, seed=80)


def model():
    return GearboxMonitor()


def data():
    for i in torch.randperm(len(faults)).split(50):
        yield signals[i], faults[i]


criterion = nn.CrossEntropyLoss()
loss = criterion


def optimizer(model):
    return torch.optim.Adam(model.readout.parameters(), lr=2e-3)
