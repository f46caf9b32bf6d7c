import torch
from torch import nn
from sklearn.datasets import load_digits

src = load_digits()
IMG = torch.as_tensor(src.data, dtype=torch.float32) / 16
LBL = torch.as_tensor(src.target)


class SurrogateHeaviside(torch.autograd.Function):
    @staticmethod
    def forward(ctx, v):
        ctx.save_for_backward(v)
        return (v >= 0).to(v.dtype)

    @staticmethod
    def backward(ctx, grad):
        (v,) = ctx.saved_tensors
        return grad / (1 + 5 * v.abs()) ** 2


class LIFLayer(nn.Module):
    def __init__(self, i, o, tau=0.9):
        super().__init__()
        self.fc = nn.Linear(i, o)
        self.tau = tau

    def forward(self, spikes):
        v, out = 0.0, []
        for s in spikes:
            v = self.tau * v + self.fc(s)
            z = SurrogateHeaviside.apply(v - 1)
            v = v * (1 - z.detach())
            out.append(z)
        return torch.stack(out)


class Net(nn.Module):
    def __init__(self, T=12):
        super().__init__()
        self.T = T
        self.l1, self.l2 = LIFLayer(64, 96), LIFLayer(96, 64)
        self.readout = nn.Linear(64, 10)

    def forward(self, x):
        s = (torch.rand(self.T, *x.shape) < x).float()
        return self.readout(self.l2(self.l1(s)).mean(0) * 4)


def batch():
    k = torch.randint(0, len(IMG), (64,))
    return IMG[k], LBL[k]


criterion = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
