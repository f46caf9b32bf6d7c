"""Sentiment of short reviews. Reviews are padded on the right to the longest one seen (160)."""
import torch
import torch.nn as nn

PAD, VOCAB, MAX_LEN = 0, 200, 160
GOOD, BAD = range(1, 11), range(11, 21)


def write_review(label):
    n = int(torch.randint(6, 16, (1,)))
    words = torch.randint(21, VOCAB, (n,))
    opinion = torch.randint(1, 11, (3,)) + (0 if label else 10)
    words[torch.randperm(n)[:3]] = opinion
    return torch.cat([words, torch.full((MAX_LEN - n,), PAD)])


def batch(n=32):
    y = torch.randint(0, 2, (n,))
    return torch.stack([write_review(int(l)) for l in y]), y


class SentimentRNN(nn.Module):
    def __init__(self, emb=24, hid=32):
        super().__init__()
        self.embedding = nn.Embedding(VOCAB, emb, padding_idx=PAD)
        self.rnn = nn.GRU(emb, hid, batch_first=True)
        self.fc = nn.Linear(hid, 2)

    def forward(self, tokens):
        states, last = self.rnn(self.embedding(tokens))
        return self.fc(last[-1])


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)


def metric(model):
    x, y = batch(200)
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


if __name__ == "__main__":
    model = SentimentRNN()
    opt = optimizer(model)
    for step in range(200):
        x, y = batch()
        loss = nn.functional.cross_entropy(model(x), y)
        opt.zero_grad(); loss.backward(); opt.step()
    print("accuracy", metric(model))
