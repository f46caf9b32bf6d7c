# Load forecasting, Keras LSTM(64) -> PyTorch. glorot/orthogonal + unit forget bias copied by hand.
import torch
import torch.nn as nn


def keras_init(lstm):
    for name, p in lstm.named_parameters():
        if "weight_ih" in name:
            nn.init.xavier_uniform_(p)
        elif "weight_hh" in name:
            nn.init.orthogonal_(p)
        else:
            nn.init.zeros_(p)
    n = lstm.hidden_size
    lstm.bias_ih_l0.data[n : 2 * n] = 1.0


class LoadForecaster(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 48, batch_first=True)
        keras_init(self.lstm)
        self.dense = nn.Linear(48, 6)

    def forward(self, x):
        return self.dense(self.lstm(x)[0][:, -1])


def series(n=4000):
    g = torch.Generator().manual_seed(8)
    h = torch.arange(n)
    y = torch.sin(2 * torch.pi * h / 24) + 0.5 * torch.sin(2 * torch.pi * h / 168) + 0.1 * torch.randn(n, generator=g)
    return torch.stack([y, torch.sin(2 * torch.pi * h / 24), torch.cos(2 * torch.pi * h / 24)], 1)


S = series()


def batch(b=32, T=36):
    i = torch.randint(0, len(S) - T - 6, (b,))
    w = torch.stack([S[k : k + T + 6] for k in i.tolist()])
    return w[:, :T], w[:, T:, 0]


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.RMSprop(model.parameters(), lr=1e-3, alpha=0.9, eps=1e-7)
