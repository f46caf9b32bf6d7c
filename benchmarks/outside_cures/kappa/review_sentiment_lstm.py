"""Sentiment of short reviews with an LSTM.

Tutorial code with my own toy reviews. Accuracy stays at 50 % and the
loss at 0.693, whatever I try, although a bag of words does the job.
"""
import random

import torch
from torch import nn

rnd = random.Random(11)

GOOD = "great lovely superb funny brilliant charming moving clever".split()
BAD = "awful boring dull stupid clumsy tedious bland dreadful".split()
NEUTRAL = """the a film plot actor scene music ending story it was with and very really but director
script camera i think this one of at first later some people say dialogue cast""".split()
VOCAB = ["<pad>"] + sorted(set(GOOD + BAD + NEUTRAL))
word2idx = {w: i for i, w in enumerate(VOCAB)}

MAX_LEN = 100


def one_review():
    label = rnd.random() < 0.5
    words = [rnd.choice(NEUTRAL) for _ in range(rnd.randint(6, 20))]
    for _ in range(rnd.randint(2, 4)):
        words.insert(rnd.randint(0, len(words)), rnd.choice(GOOD if label else BAD))
    if rnd.random() < 0.4:
        words.insert(rnd.randint(0, len(words)), rnd.choice(BAD if label else GOOD))
    return words, int(label)


def encode(words):
    ids = [word2idx[w] for w in words]
    return ids + [0] * (MAX_LEN - len(ids))


def dataset(n):
    pairs = [one_review() for _ in range(n)]
    return torch.tensor([encode(w) for w, _ in pairs]), torch.tensor([l for _, l in pairs])


x_train, y_train = dataset(1200)
x_test, y_test = dataset(400)


class SentimentRNN(nn.Module):
    def __init__(self, vocab_size, embedding_dim=32, hidden_dim=32):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding_dim, padding_idx=0)
        self.lstm = nn.LSTM(embedding_dim, hidden_dim, batch_first=True)
        self.dropout = nn.Dropout(0.2)
        self.fc = nn.Linear(hidden_dim, 2)

    def forward(self, x):
        out, (h, c) = self.lstm(self.embedding(x))
        last = out[:, -1, :]
        return self.fc(self.dropout(last))


def model():
    return SentimentRNN(len(VOCAB))


def data():
    order = torch.randperm(len(x_train))
    for i in range(0, len(order), 50):
        b = order[i:i + 50]
        yield x_train[b], y_train[b]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=0.001)
