import torch
from sklearn.datasets import load_digits
from torch import nn


class DeepGELU(nn.Module):
    def __init__(self, hidden_size=96, num_layers=12, num_labels=10):
        super().__init__()
        self.embeddings = nn.Linear(64, hidden_size)
        self.layer = nn.ModuleList([nn.Linear(hidden_size, hidden_size) for _ in range(num_layers)])
        self.act = nn.GELU()
        self.classifier = nn.Linear(hidden_size, num_labels)
        self.apply(self._init_weights)

    def _init_weights(self, module):
        if isinstance(module, nn.Linear):
            module.weight.data.normal_(mean=0.0, std=0.02)
            module.bias.data.zero_()

    def forward(self, x):
        x = self.act(self.embeddings(x))
        for layer in self.layer:
            x = self.act(layer(x))
        return self.classifier(x)


X, Y = load_digits(return_X_y=True)
X = torch.tensor((X - 4.9) / 6, dtype=torch.float32)
Y = torch.tensor(Y)


def batch(n=128):
    i = torch.randint(0, len(X), (n,))
    return X[i], Y[i]


criterion = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-4)
