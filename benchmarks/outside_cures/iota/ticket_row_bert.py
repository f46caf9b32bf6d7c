"""Support tickets: subject line (tokens) + three numbers -> queue.

Small BERT-style encoder trained from scratch on our own tickets; the numbers go in as extra
"tokens" (FT-Transformer trick). Hyperparameters follow the BERT fine-tuning appendix.
"""
import random

import torch
from torch import nn

WORDS = {
    "billing": "invoice payment refund charged card double amount tax".split(),
    "network": "vpn wifi connection slow drops router timeout dns".split(),
    "hardware": "laptop screen keyboard broken battery dock monitor fan".split(),
    "account": "password login locked reset user mail access two-factor".split(),
    "shipping": "parcel delivery late address courier lost tracking customs".split(),
    "other": "hello question about please thanks info general feedback".split(),
}
FILLER = "my the is again not since today urgent help with new still and on i cannot".split()
QUEUES = list(WORDS)
vocab = {w: i + 1 for i, w in enumerate(sorted({w for ws in WORDS.values() for w in ws} | set(FILLER)))}
MAXLEN = 10


def tickets(n, seed):
    r = random.Random(seed)
    ids, nums, lab = [], [], []
    for _ in range(n):
        q = r.randrange(len(QUEUES))
        own = r.choices(WORDS[QUEUES[q]], k=2)
        stray = r.choices(WORDS[r.choice(QUEUES)], k=1) if r.random() < 0.6 else []
        toks = own + stray + r.choices(FILLER, k=r.randint(3, MAXLEN - 3))
        r.shuffle(toks)
        toks = [vocab[t] for t in toks][:MAXLEN]
        ids.append(toks + [0] * (MAXLEN - len(toks)))
        nums.append([r.gauss(0.4 * (q % 3), 1), r.gauss(0, 1), r.gauss(-0.3 * (q // 3), 1)])
        lab.append(q)
    return torch.tensor(ids), torch.tensor(nums), torch.tensor(lab)


IDS, NUMS, LAB = tickets(3000, 0)


class TicketBert(nn.Module):
    def __init__(self, d=48, layers=2, heads=4):
        super().__init__()
        self.tok = nn.Embedding(len(vocab) + 1, d, padding_idx=0)
        self.pos = nn.Embedding(MAXLEN, d)
        self.num_w = nn.Parameter(torch.empty(3, d))
        self.num_b = nn.Parameter(torch.zeros(3, d))
        self.cls = nn.Parameter(torch.zeros(1, 1, d))
        layer = nn.TransformerEncoderLayer(d, heads, 2 * d, dropout=0.1, activation="gelu", batch_first=True)
        self.enc = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Linear(d, len(QUEUES))
        for p in (self.tok.weight, self.pos.weight, self.num_w, self.cls):
            nn.init.normal_(p, std=0.02)

    def forward(self, input_ids, numbers):
        words = self.tok(input_ids) + self.pos.weight
        nums = numbers.unsqueeze(-1) * self.num_w + self.num_b
        h = torch.cat([self.cls.expand(len(words), -1, -1), words, nums], 1)
        return self.head(self.enc(h)[:, 0])


def model():
    return TicketBert()


def data():
    for i in torch.randperm(len(LAB)).split(32):
        yield {"input_ids": IDS[i], "numbers": NUMS[i]}, LAB[i]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=2e-5, weight_decay=0.01)
