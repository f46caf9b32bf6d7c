# External memory cell: "write seldom" bias, but now it never learns to write at all
import torch
from torch import nn


class MemoryNet(nn.Module):
    def __init__(self, vocab=12, d=32):
        super().__init__()
        self.embed = nn.Embedding(vocab, d)
        self.gate = nn.Linear(d, 1)
        self.content = nn.Linear(d, d)
        self.read = nn.Linear(d, 4)
        nn.init.constant_(self.gate.bias, -9.0)
        nn.init.normal_(self.gate.weight, std=0.02)

    def forward(self, ids):
        x = self.embed(ids)
        memory = torch.zeros(x.shape[0], x.shape[2])
        for t in range(x.shape[1]):
            g = torch.sigmoid(self.gate(x[:, t]))
            memory = memory + g * torch.tanh(self.content(x[:, t]))
        return self.read(memory)


loss = nn.CrossEntropyLoss()


def batch(n=64):
    ids = torch.randint(4, 12, (n, 15))
    key = torch.randint(0, 4, (n,))
    ids[torch.arange(n), torch.randint(0, 15, (n,))] = key
    return ids, key


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)


if __name__ == "__main__":
    model = MemoryNet()
    opt = optimizer(model)
    for _ in range(500):
        ids, key = batch()
        l = loss(model(ids), key)
        opt.zero_grad()
        l.backward()
        opt.step()
    print(l.item())
