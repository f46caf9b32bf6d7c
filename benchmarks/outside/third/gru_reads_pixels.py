"""Sequential digits: a GRU reads the 64 pixels one by one (boustrophedon order), classifies at the end."""
import torch
from sklearn.datasets import load_digits
from torch import nn

imgs = torch.tensor(load_digits().images / 8 - 1, dtype=torch.float32)
imgs[:, 1::2] = imgs[:, 1::2].flip(-1)
SEQ = imgs.reshape(len(imgs), 64, 1)
TGT = torch.tensor(load_digits().target)


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(1, 64, batch_first=True)
        self.fc = nn.Linear(64, 10)

    def forward(self, s):
        return self.fc(self.gru(s)[1][0])


def batch(n=64):
    i = torch.randint(0, len(SEQ), (n,))
    return SEQ[i], TGT[i]


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=5e-3)


CLIP_GRAD_NORM = 1.0

if __name__ == "__main__":
    m = Reader()
    opt = optimizer(m)
    for i in range(400):
        x, y = batch()
        l = nn.functional.cross_entropy(m(x), y)
        opt.zero_grad()
        l.backward()
        nn.utils.clip_grad_norm_(m.parameters(), CLIP_GRAD_NORM)
        opt.step()
    print(l.item())
