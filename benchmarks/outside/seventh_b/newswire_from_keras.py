# Reuters-like topic classifier, 1:1 from the Keras book (chapter 3), bag of words -> 46 topics
import numpy as np
import torch
import torch.nn as nn

VOCAB, TOPICS = 400, 46
rng = np.random.default_rng(7)
topic_words = rng.dirichlet(np.full(VOCAB, 0.08), size=TOPICS)


def make_docs(n):
    y = rng.integers(0, TOPICS, n)
    x = np.zeros((n, VOCAB), dtype="float32")
    for i, t in enumerate(y):
        x[i, rng.choice(VOCAB, size=40, p=topic_words[t])] = 1.0
    return torch.from_numpy(x), torch.from_numpy(y)


x_train, y_train = make_docs(3000)


class Newswire(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense_1 = nn.Linear(VOCAB, 64)
        self.dense_2 = nn.Linear(64, 64)
        self.dense_3 = nn.Linear(64, TOPICS)
        self.activation = nn.ReLU()
        self.softmax = nn.Softmax(dim=-1)

    def forward(self, x):
        x = self.activation(self.dense_1(x))
        x = self.activation(self.dense_2(x))
        return self.softmax(self.dense_3(x))


criterion = nn.CrossEntropyLoss()


def batch():
    idx = torch.randint(0, len(x_train), (128,))
    return x_train[idx], y_train[idx]


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
