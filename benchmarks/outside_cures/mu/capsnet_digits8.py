"""
Dynamic routing between capsules (Sabour, Frosst, Hinton 2017), 8x8 digits.
Re-implementation for my thesis chapter; reconstruction decoder left out for now.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

digits = load_digits()
images = torch.tensor(digits.images / 16.0, dtype=torch.float32).unsqueeze(1)
labels = torch.tensor(digits.target)
shuffled = torch.randperm(len(images), generator=torch.Generator().manual_seed(17))
train_idx, test_idx = shuffled[:1400], shuffled[1400:]


def squash(s, dim=-1):
    sq = (s ** 2).sum(dim, keepdim=True)
    return sq / (1 + sq) * s / (sq + 1e-8).sqrt()


class PrimaryCaps(nn.Module):
    def __init__(self, in_ch, n_caps_maps=6, dim=6):
        super().__init__()
        self.dim = dim
        self.conv = nn.Conv2d(in_ch, n_caps_maps * dim, 3, stride=2)

    def forward(self, x):
        u = self.conv(x)                                    # (B, maps * dim, h, w)
        b, _, h, w = u.shape
        u = u.view(b, -1, self.dim, h, w).permute(0, 1, 3, 4, 2)
        return squash(u.reshape(b, -1, self.dim))


class DigitCaps(nn.Module):
    def __init__(self, n_in, dim_in=6, n_out=10, dim_out=8, iterations=3):
        super().__init__()
        self.iterations = iterations
        self.W = nn.Parameter(0.01 * torch.randn(n_in, n_out, dim_out, dim_in))

    def forward(self, u):
        votes = torch.einsum("ijkl,bil->bijk", self.W, u)   # (B, in, out, dim_out)
        b = torch.zeros(votes.shape[:3], device=u.device)
        frozen = votes.detach()
        for r in range(self.iterations):
            c = F.softmax(b, dim=2).unsqueeze(-1)
            if r == self.iterations - 1:
                v = squash((c * votes).sum(1))
            else:
                v = squash((c * frozen).sum(1))
                b = b + (frozen * v.unsqueeze(1)).sum(-1)
        return v


class CapsNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 24, 3, padding=1)
        self.primary = PrimaryCaps(24)
        self.digit = DigitCaps(n_in=6 * 3 * 3)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        v = self.digit(self.primary(x))
        return v.norm(dim=-1)           # length of a capsule = "it is there"


def margin_loss(lengths, target, m_plus=0.9, m_minus=0.1, lam=0.5):
    t = F.one_hot(target, 10).float()
    l = t * F.relu(m_plus - lengths) ** 2 + lam * (1 - t) * F.relu(lengths - m_minus) ** 2
    return l.sum(1).mean()


loss = margin_loss


def model():
    return CapsNet()


def data():
    for i in train_idx[torch.randperm(len(train_idx))].split(32):
        yield images[i], labels[i]


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
