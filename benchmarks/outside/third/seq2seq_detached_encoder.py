"""Date normaliser toy: reverse a digit string. Encoder states are detached 'to save memory'."""
import torch
import torch.nn as nn

V, L = 11, 8  # ten digits and <go>


class Seq2Seq(nn.Module):
    def __init__(self, h=64):
        super().__init__()
        self.enc_emb = nn.Embedding(V, 16)
        self.encoder = nn.GRU(16, h, batch_first=True)
        self.dec_emb = nn.Embedding(V, 16)
        self.decoder = nn.GRU(16, h, batch_first=True)
        self.out = nn.Linear(h, V)

    def forward(self, source, teacher):
        _, h = self.encoder(self.enc_emb(source))
        h = h.detach()
        y, _ = self.decoder(self.dec_emb(teacher), h)
        return self.out(y)


def batch(n=64):
    s = torch.randint(0, 10, (n, L))
    t = s.flip(1)
    teacher = torch.cat([torch.full((n, 1), 10), t[:, :-1]], 1)
    return (s, teacher), t


def loss(logits, t):
    return nn.functional.cross_entropy(logits.transpose(1, 2), t)


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=3e-3)


if __name__ == "__main__":
    m = Seq2Seq()
    opt = optimizer(m)
    for i in range(400):
        x, t = batch()
        l = loss(m(*x), t)
        opt.zero_grad()
        l.backward()
        opt.step()
    print(l.item())
