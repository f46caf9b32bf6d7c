import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

X = torch.tensor(load_digits().data / 16, dtype=torch.float32)
Y = torch.tensor(load_digits().target)


def train_teacher():
    torch.manual_seed(42)
    t = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 10))
    opt = torch.optim.Adam(t.parameters(), 3e-3)
    for _ in range(200):
        i = torch.randint(len(X), (128,))
        opt.zero_grad()
        F.cross_entropy(t(X[i]), Y[i]).backward()
        opt.step()
    return t.eval()


class Distiller(nn.Module):
    def __init__(self, T=4.0):
        super().__init__()
        self.teacher = train_teacher()
        for p in self.teacher.parameters():
            p.requires_grad = False
        self.student = nn.Sequential(nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 10))
        self.T = T

    def forward(self, x):
        with torch.no_grad():
            soft = F.softmax(self.teacher(x) / self.T, dim=-1)
        return self.student(x), soft


def loss(output, target, T=4.0, alpha=0.7):
    logits, soft = output
    kd = F.kl_div(F.log_softmax(logits / T, -1), soft, reduction="batchmean") * T * T
    return alpha * kd + (1 - alpha) * F.cross_entropy(logits, target)


def model():
    return Distiller()


def batch():
    i = torch.randperm(len(X))[:128]
    return X[i], Y[i]


def optimizer(model):
    return torch.optim.Adam(model.student.parameters(), lr=2e-3)
