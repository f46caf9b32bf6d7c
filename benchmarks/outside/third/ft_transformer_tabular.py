"""FT-Transformer: each numeric feature is a token x * w + b, a [CLS] token reads the answer."""
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import QuantileTransformer
from torch import nn

raw = load_breast_cancer()
quantiles = QuantileTransformer(n_quantiles=100, output_distribution="normal", random_state=0)
Xq = torch.tensor(quantiles.fit_transform(raw.data)).float().clamp(-3, 3)
yq = torch.tensor(raw.target)


class FeatureTokenizer(nn.Module):
    def __init__(self, n, d):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n, d).uniform_(-d**-0.5, d**-0.5))
        self.bias = nn.Parameter(torch.empty(n, d).uniform_(-d**-0.5, d**-0.5))
        self.cls = nn.Parameter(torch.empty(1, 1, d).uniform_(-d**-0.5, d**-0.5))

    def forward(self, x):
        t = x[..., None] * self.weight + self.bias
        return torch.cat([self.cls.expand(len(x), -1, -1), t], 1)


class FTTransformer(nn.Module):
    def __init__(self, d=24):
        super().__init__()
        self.tok = FeatureTokenizer(30, d)
        layer = nn.TransformerEncoderLayer(d, 4, 48, dropout=0.1, batch_first=True, norm_first=True)
        self.enc = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Sequential(nn.LayerNorm(d), nn.ReLU(), nn.Linear(d, 2))

    def forward(self, x):
        return self.head(self.enc(self.tok(x))[:, 0])


def batch(n=64):
    i = torch.randint(0, len(Xq), (n,))
    return Xq[i], yq[i]


def optimizer(m):
    return torch.optim.AdamW(m.parameters(), lr=1e-3, weight_decay=1e-5)


if __name__ == "__main__":
    m = FTTransformer()
    opt = optimizer(m)
    for i in range(150):
        x, y = batch()
        l = nn.functional.cross_entropy(m(x), y)
        opt.zero_grad()
        l.backward()
        opt.step()
    print(l.item())
