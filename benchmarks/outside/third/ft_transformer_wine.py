import torch
from sklearn.datasets import load_wine
from sklearn.preprocessing import QuantileTransformer
from torch import nn

wine = load_wine()
X = torch.tensor(QuantileTransformer(n_quantiles=50, output_distribution="normal").fit_transform(wine.data)).float().clamp(-3, 3)
y = torch.tensor(wine.target)


class Layer(nn.Module):
    def __init__(self, d, heads=4):
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.att = nn.MultiheadAttention(d, heads, batch_first=True)
        self.up, self.down = nn.Linear(d, 4 * d), nn.Linear(2 * d, d)

    def forward(self, x):
        h = self.n1(x)
        x = x + self.att(h, h, h)[0]
        a, b = self.up(self.n2(x)).chunk(2, -1)
        return x + self.down(a * torch.relu(b))


class FTTransformer(nn.Module):
    def __init__(self, n=13, d=32, layers=3):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n, d).uniform_(-(d**-0.5), d**-0.5))
        self.bias = nn.Parameter(torch.empty(n, d).uniform_(-(d**-0.5), d**-0.5))
        self.cls = nn.Parameter(torch.empty(d).uniform_(-(d**-0.5), d**-0.5))
        self.layers = nn.Sequential(*[Layer(d) for _ in range(layers)])
        self.norm = nn.LayerNorm(d)
        self.head = nn.Linear(d, 3)

    def forward(self, x):
        tokens = x[..., None] * self.weight + self.bias
        tokens = torch.cat([self.cls.expand(len(x), 1, -1), tokens], 1)
        return self.head(torch.relu(self.norm(self.layers(tokens)[:, 0])))


loss = nn.CrossEntropyLoss()


def batch():
    i = torch.randint(len(X), (48,))
    return X[i], y[i]


def optimizer(net):
    return torch.optim.AdamW(net.parameters(), lr=5e-4, weight_decay=1e-5)
