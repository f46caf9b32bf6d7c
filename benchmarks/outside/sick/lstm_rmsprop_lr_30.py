import torch
from torch import nn


class SentimentLSTM(nn.Module):
    def __init__(self, vocab_size=50, embedding_dim=16, hidden_dim=32):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding_dim)
        self.lstm = nn.LSTM(embedding_dim, hidden_dim, num_layers=2, batch_first=True, dropout=0.2)
        self.fc = nn.Linear(hidden_dim, 1)

    def forward(self, text):
        out, (hidden, cell) = self.lstm(self.embedding(text))
        return self.fc(hidden[-1]).squeeze(1)


def batch(n=64, T=10):
    text = torch.randint(0, 50, (n, T))
    positive = (text < 10).sum(1)
    negative = (text >= 40).sum(1)
    return text, (positive > negative).float()


criterion = nn.BCEWithLogitsLoss()


def optimizer(model):
    return torch.optim.RMSprop(model.parameters(), lr=30.0)
