"""
char-rnn (vanilla cell) rewritten from the lua version, used here on the "remember the first symbols" toy
"""
import torch
import torch.nn as nn

V, T, H = 8, 40, 128


class CharRNN(nn.Module):
    def __init__(self, vocab=V, rnn_size=H, num_layers=1):
        super().__init__()
        self.embed = nn.Embedding(vocab + 1, 32)
        self.rnn = nn.RNN(32, rnn_size, num_layers, batch_first=True)
        self.decode = nn.Linear(rnn_size, vocab)
        for p in self.parameters():
            p.data.uniform_(-0.08, 0.08)  # params:uniform(-0.08, 0.08)

    def forward(self, ids):
        out, _ = self.rnn(self.embed(ids))
        return self.decode(out[:, -1])


def batch():
    ids = torch.full((64, T), V)
    ids[:, 0] = torch.randint(0, V, (64,))
    return ids, ids[:, 0].clone()


loss = nn.CrossEntropyLoss()
CLIP_GRAD_NORM = 5.0


def optimizer(model):
    return torch.optim.RMSprop(model.parameters(), lr=2e-4, alpha=0.95)
