import torch
import torch.nn as nn


class IntentRNN(nn.Module):
    """Commands start with a verb that decides the intent, then come many arguments."""

    def __init__(self, vocab_size=40, emb=32, hidden=64, intents=4):
        super(IntentRNN, self).__init__()
        self.embedding = nn.Embedding(vocab_size, emb)
        self.rnn = nn.RNN(emb, hidden, batch_first=True)
        self.fc = nn.Linear(hidden, intents)

    def forward(self, tokens):
        x = self.embedding(tokens)
        _, h_n = self.rnn(x)
        return self.fc(h_n[-1])


def batch(bs=64, seq_len=40):
    y = torch.randint(0, 4, (bs,))
    tokens = torch.randint(4, 40, (bs, seq_len))
    tokens[:, 0] = y
    return tokens, y


criterion = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=0.003)
