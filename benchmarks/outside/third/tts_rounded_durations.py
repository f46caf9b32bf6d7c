"""FastSpeech-flavoured toy: a duration predictor says how long each phoneme lasts, the decoder must
hit the total length. Durations are whole frames, so they are rounded before use."""
import torch
from torch import nn

PHONES = 20
TRUE = torch.randint(2, 9, (PHONES,), generator=torch.Generator().manual_seed(2)).float()


class DurationModel(nn.Module):
    def __init__(self, dim=32):
        super().__init__()
        self.emb = nn.Embedding(PHONES, dim)
        self.predictor = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, 1))
        self.tempo = nn.Parameter(torch.ones(1))

    def forward(self, phones):
        d = nn.functional.softplus(self.predictor(self.emb(phones)).squeeze(-1)) + 1
        frames = torch.round(d)
        return (frames * self.tempo).cumsum(1) / 10


def batch(n=64):
    p = torch.randint(0, PHONES, (n, 12))
    return p, TRUE[p].cumsum(1) / 10


loss = nn.functional.l1_loss


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=3e-3)


if __name__ == "__main__":
    m = DurationModel()
    opt = optimizer(m)
    for i in range(300):
        p, ends = batch()
        l = loss(m(p), ends)
        opt.zero_grad()
        l.backward()
        opt.step()
    print("end-time error", l.item())
