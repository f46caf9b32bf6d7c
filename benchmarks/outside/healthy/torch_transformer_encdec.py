# nn.Transformer on a copy-and-sort task, warm-up like in the paper ("Noam")
import math

import torch
import torch.nn as nn

V, T, D = 20, 10, 64


class PositionalEncoding(nn.Module):
    def __init__(self, d, n=64):
        super().__init__()
        pe = torch.zeros(n, d)
        pos = torch.arange(n).unsqueeze(1)
        div = torch.exp(torch.arange(0, d, 2) * (-math.log(10000.0) / d))
        pe[:, 0::2], pe[:, 1::2] = torch.sin(pos * div), torch.cos(pos * div)
        self.register_buffer("pe", pe)

    def forward(self, x):
        return x + self.pe[: x.size(1)]


class Seq2SeqTransformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.src_emb, self.tgt_emb = nn.Embedding(V, D), nn.Embedding(V, D)
        self.pe = PositionalEncoding(D)
        self.transformer = nn.Transformer(
            D, 4, 2, 2, dim_feedforward=128, dropout=0.0, batch_first=True
        )
        self.generator = nn.Linear(D, V)

    def forward(self, src, tgt):
        causal = nn.Transformer.generate_square_subsequent_mask(tgt.size(1))
        s = self.pe(self.src_emb(src) * math.sqrt(D))
        t = self.pe(self.tgt_emb(tgt) * math.sqrt(D))
        return self.generator(self.transformer(s, t, tgt_mask=causal))


def batch(n=32):
    src = torch.randint(1, V, (n, T))
    tgt = src.sort(1).values
    tgt_in = torch.cat([torch.zeros(n, 1, dtype=torch.long), tgt[:, :-1]], 1)
    return (src, tgt_in), tgt


def loss(out, tgt):
    return nn.functional.cross_entropy(out.reshape(-1, V), tgt.reshape(-1), label_smoothing=0.1)


def model():
    return Seq2SeqTransformer()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-4, betas=(0.9, 0.98), eps=1e-9)


def main(steps=1000, warmup=100):
    net = model()
    opt = optimizer(net)
    sched = torch.optim.lr_scheduler.LambdaLR(
        opt, lambda s: min((s + 1) / warmup, (warmup / (s + 1)) ** 0.5)
    )
    for i in range(steps):
        x, y = batch()
        opt.zero_grad()
        value = loss(net(*x), y)
        value.backward()
        opt.step()
        sched.step()
        if i % 100 == 0:
            print(i, value.item())


if __name__ == "__main__":
    main()
