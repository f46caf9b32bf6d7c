import torch
import torch.nn as nn


class EventMemory(nn.Module):
    """log line classifier: the fault code appears near the start of the window"""

    def __init__(self, n_feat=8, hidden=48, n_faults=4):
        super().__init__()
        self.lstm = nn.LSTM(n_feat, hidden, batch_first=True)
        self.fc = nn.Linear(hidden, n_faults)
        self.reset_parameters()

    def reset_parameters(self):
        for name, p in self.lstm.named_parameters():
            if name.startswith("weight_ih"):
                nn.init.xavier_uniform_(p)
            elif name.startswith("weight_hh"):
                nn.init.orthogonal_(p)
            else:
                nn.init.zeros_(p)
                n = p.numel() // 4
                p.data[n:2 * n].fill_(-2.0)

    def forward(self, x):
        h, _ = self.lstm(x)
        return self.fc(h[:, -1])


def batch(b=64, t=40):
    y = torch.randint(0, 4, (b,))
    x = 0.3 * torch.randn(b, t, 8)
    x[torch.arange(b), torch.randint(0, 4, (b,)), y] += 3.0
    return x, y


criterion = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
