"""A neural HMM tagger trained by the likelihood of whole sequences; forward algorithm in probabilities."""
import torch
from torch import nn

STATES, SYMBOLS, T = 6, 40, 60
_g = torch.Generator().manual_seed(8)
EMIT = torch.softmax(2.5 * torch.randn(STATES, SYMBOLS, generator=_g), 1)
MOVE = torch.softmax(2.0 * torch.randn(STATES, STATES, generator=_g), 1)


def batch(n=32):
    z = torch.randint(0, STATES, (n,))
    words = []
    for _ in range(T):
        words.append(torch.multinomial(EMIT[z], 1).squeeze(1))
        z = torch.multinomial(MOVE[z], 1).squeeze(1)
    return torch.stack(words, 1), torch.zeros(n)


class NeuralHMM(nn.Module):
    def __init__(self):
        super().__init__()
        self.start = nn.Parameter(torch.zeros(STATES))
        self.move = nn.Parameter(torch.randn(STATES, STATES))
        self.state_emb = nn.Parameter(torch.randn(STATES, 16))
        self.emit = nn.Linear(16, SYMBOLS)

    def forward(self, x):
        move = self.move.softmax(1)
        emit = self.emit(self.state_emb).softmax(1)
        alpha = self.start.softmax(0) * emit[:, x[:, 0]].T
        for t in range(1, x.shape[1]):
            alpha = (alpha @ move) * emit[:, x[:, t]].T
        return -torch.log(alpha.sum(1).clamp_min(1e-37)) / x.shape[1]


def loss(nll, _):
    return nll.mean()


def optimizer(hmm):
    return torch.optim.Adam(hmm.parameters(), lr=0.02)


if __name__ == "__main__":
    hmm = NeuralHMM()
    opt = optimizer(hmm)
    for i in range(200):
        x, _ = batch()
        l = loss(hmm(x), None)
        opt.zero_grad()
        l.backward()
        opt.step()
        if i % 50 == 0:
            print(i, l.item())
