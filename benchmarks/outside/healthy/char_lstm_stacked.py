# min-char-rnn but with nn.LSTM. The text is the training data.
import torch
import torch.nn as nn

text = (
    "to be or not to be that is the question whether tis nobler in the mind to suffer "
    "the slings and arrows of outrageous fortune or to take arms against a sea of troubles "
) * 8
chars = sorted(set(text))
stoi = {c: i for i, c in enumerate(chars)}
ids = torch.tensor([stoi[c] for c in text])


class CharLSTM(nn.Module):
    def __init__(self, vocab=len(chars), emb=24, hidden=96, layers=2):
        super().__init__()
        self.embed = nn.Embedding(vocab, emb)
        self.lstm = nn.LSTM(emb, hidden, num_layers=layers, dropout=0.1, batch_first=True)
        self.fc = nn.Linear(hidden, vocab)

    def forward(self, x):
        h, _ = self.lstm(self.embed(x))
        return self.fc(h)


def batch(B=24, T=40):
    starts = torch.randint(0, len(ids) - T - 1, (B,))
    x = torch.stack([ids[s : s + T] for s in starts])
    y = torch.stack([ids[s + 1 : s + T + 1] for s in starts])
    return x, y


def loss(logits, y):
    return nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten())


CLIP_GRAD_NORM = 5.0


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)


def model():
    return CharLSTM()


if __name__ == "__main__":
    net = model()
    opt = optimizer(net)
    for it in range(500):
        x, y = batch()
        value = loss(net(x), y)
        opt.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(net.parameters(), CLIP_GRAD_NORM)
        opt.step()
        if it % 50 == 0:
            print(it, value.item())
