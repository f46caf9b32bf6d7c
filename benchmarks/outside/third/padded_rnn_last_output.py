# Sentiment RNN at 50% no matter how long I train. Sequences have 20 words and are padded to 100.
import torch
from torch import nn

WORDS, LENGTH, PADDED = 200, 20, 100
polarity = torch.randn(WORDS, generator=torch.Generator().manual_seed(5))


class ReviewRNN(nn.Module):
    def __init__(self, emb=24, hidden=48):
        super().__init__()
        self.embedding = nn.Embedding(WORDS + 1, emb, padding_idx=WORDS)
        self.rnn = nn.RNN(emb, hidden, batch_first=True)
        self.fc = nn.Linear(hidden, 2)

    def forward(self, x):
        out, hn = self.rnn(self.embedding(x))
        return self.fc(out[:, -1])


criterion = nn.CrossEntropyLoss()


def batch(n=100):
    words = torch.randint(WORDS, (n, LENGTH))
    label = (polarity[words].sum(1) > 0).long()
    padding = torch.full((n, PADDED - LENGTH), WORDS)
    return torch.cat([words, padding], 1), label


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)


if __name__ == "__main__":
    model = ReviewRNN()
    opt = optimizer(model)
    for step in range(300):
        xb, yb = batch()
        loss = criterion(model(xb), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
    xb, yb = batch(1000)
    print((model(xb).argmax(1) == yb).float().mean())
