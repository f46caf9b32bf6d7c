import torch
from torch import nn


class Recall(nn.Module):
    def __init__(self, symbols=4, hidden=32):
        super().__init__()
        self.embed = nn.Embedding(symbols, 16)
        self.rnn = nn.LSTM(16, hidden, batch_first=True)
        self.head = nn.Linear(hidden, symbols)

    def forward(self, tokens):
        states, _ = self.rnn(self.embed(tokens))
        return self.head(states[:, -1])


def batch(n=32, length=120):
    tokens = torch.randint(4, (n, length))
    return tokens, tokens[:, 0].clone()


def loss(logits, first):
    return nn.functional.cross_entropy(logits, first)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=0.01)


if __name__ == "__main__":
    model = Recall()
    opt = optimizer(model)
    for step in range(1, 2001):
        x, y = batch()
        opt.zero_grad()
        error = loss(model(x), y)
        error.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        if step % 100 == 0:
            print(step, error.item())
