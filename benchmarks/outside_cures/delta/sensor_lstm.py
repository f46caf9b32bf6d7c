# machine monitoring: which of 4 programmes was started at the beginning of the shift?
# input (T, 3): two vibration channels and the programme pulse, which is only there in the first seconds
import torch
import torch.nn as nn

T = 110
torch_gen = torch.Generator().manual_seed(5)


def synth(n):
    y = torch.randint(0, 4, (n,), generator=torch_gen)
    x = 0.5 * torch.randn(n, T, 3, generator=torch_gen)
    t = torch.arange(T).float()
    x[..., 0] += torch.sin(t / 6 + 6.28 * torch.rand(n, 1, generator=torch_gen))
    levels = torch.tensor([-3.0, -1.0, 1.0, 3.0])
    x[:, :, 2] *= 0.3
    x[:, :4, 2] += levels[y][:, None]
    return x, y


x_train, y_train = synth(1500)
x_val, y_val = synth(300)
x_test, y_test = synth(300)


class LSTMClassifier(nn.Module):
    def __init__(self, input_dim, hidden_dim, layer_dim, output_dim):
        super(LSTMClassifier, self).__init__()
        self.hidden_dim = hidden_dim
        self.layer_dim = layer_dim
        self.lstm = nn.LSTM(input_dim, hidden_dim, layer_dim, batch_first=True)
        self.fc = nn.Linear(hidden_dim, output_dim)

    def forward(self, x):
        h0 = torch.zeros(self.layer_dim, x.size(0), self.hidden_dim)
        c0 = torch.zeros(self.layer_dim, x.size(0), self.hidden_dim)
        out, (hn, cn) = self.lstm(x, (h0, c0))
        out = self.fc(out[:, -1, :])
        return out


def model():
    return LSTMClassifier(3, 32, 1, 4)


def data():
    for idx in torch.randperm(len(x_train)).split(32):
        yield x_train[idx], y_train[idx]


def loss(output, target):
    return nn.functional.cross_entropy(output, target)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)


@torch.no_grad()
def metric(model):
    return float((model(x_val).argmax(1) == y_val).float().mean())


GOAL = 0.8
HIGHER_IS_BETTER = True
