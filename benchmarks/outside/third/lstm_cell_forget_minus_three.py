"""Dialogue intent: the first word says the domain, 30 filler words follow. 'Forget fast, stay fresh': bias -3."""
import torch
from torch import nn

V = 60


class IntentLSTM(nn.Module):
    def __init__(self, e=16, h=32, forget_bias=-3.0):
        super().__init__()
        self.words = nn.Embedding(V, e)
        self.cell = nn.LSTMCell(e, h)
        with torch.no_grad():
            self.cell.bias_hh.zero_()
            self.cell.bias_ih[h : 2 * h] = forget_bias
        self.intent = nn.Linear(h, 5)

    def forward(self, ids):
        h = c = ids.new_zeros(len(ids), self.cell.hidden_size, dtype=torch.float32)
        for t in range(ids.shape[1]):
            h, c = self.cell(self.words(ids[:, t]), (h, c))
        return self.intent(h)


def batch(n=64, T=30):
    y = torch.randint(0, 5, (n,))
    ids = torch.randint(5, V, (n, T))
    ids[:, 0] = y
    return ids, y


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=5e-3)


if __name__ == "__main__":
    m = IntentLSTM()
    opt = optimizer(m)
    for i in range(300):
        x, y = batch()
        l = nn.functional.cross_entropy(m(x), y)
        opt.zero_grad(); l.backward(); opt.step()
    print(l.item())
