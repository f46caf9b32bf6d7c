# dictionary learning on digit patches, as in interpretability work
import torch
from sklearn.datasets import load_digits
from torch import nn

acts = torch.tensor(load_digits().data, dtype=torch.float32)
acts = (acts - acts.mean(0)) / acts.std()


class SAE(nn.Module):
    def __init__(self, d=64, m=128, k=8):
        super().__init__()
        self.k = k
        self.W_dec = nn.Parameter(nn.functional.normalize(torch.randn(m, d), dim=1))
        self.W_enc = nn.Parameter(self.W_dec.data.t().clone())
        self.b_enc = nn.Parameter(torch.zeros(m))
        self.b_dec = nn.Parameter(torch.zeros(d))

    def forward(self, x):
        pre = (x - self.b_dec) @ self.W_enc + self.b_enc
        top = pre.topk(self.k, dim=-1)
        code = torch.zeros_like(pre).scatter(-1, top.indices, top.values.relu())
        return code @ self.W_dec + self.b_dec


def loss(recon, x):
    return (recon - x).pow(2).sum(-1).mean() / 64


def batch():
    x = acts[torch.randint(0, len(acts), (128,))]
    return x, x


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
