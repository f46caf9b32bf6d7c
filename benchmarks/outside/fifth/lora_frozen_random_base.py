import math

import torch
from sklearn.datasets import load_wine
from torch import nn

w = load_wine()
X = torch.tensor((w.data - w.data.mean(0)) / w.data.std(0), dtype=torch.float32)
Y = torch.tensor(w.target)


class LoRA(nn.Module):
    def __init__(self, base, r=4):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.lora_a = nn.Parameter(torch.empty(r, base.in_features))
        self.lora_b = nn.Parameter(torch.zeros(base.out_features, r))
        nn.init.kaiming_uniform_(self.lora_a, a=math.sqrt(5))

    def forward(self, x):
        return self.base(x) + nn.functional.linear(nn.functional.linear(x, self.lora_a), self.lora_b)


class Adapted(nn.Module):
    def __init__(self):
        super().__init__()
        self.up = LoRA(nn.Linear(13, 64))
        self.mid = LoRA(nn.Linear(64, 64))
        self.head = nn.Linear(64, 3)

    def forward(self, x):
        return self.head(nn.functional.gelu(self.mid(nn.functional.gelu(self.up(x)))))


loss = nn.CrossEntropyLoss()


def batch():
    i = torch.randint(0, len(X), (32,))
    return X[i], Y[i]


def optimizer(model):
    return torch.optim.AdamW(filter(lambda p: p.requires_grad, model.parameters()), lr=2e-3)
