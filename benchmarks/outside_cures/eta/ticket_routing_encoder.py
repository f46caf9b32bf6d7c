"""Route support tickets to one of 5 queues.

We are not allowed to use a pretrained checkpoint (licence), so the encoder is trained on our own
tickets. Training arguments as in our other text jobs.
"""
import torch
import torch.nn as nn

TRAINING_ARGS = dict(learning_rate=2e-5, weight_decay=0.01, adam_epsilon=1e-8, max_grad_norm=1.0, batch_size=32)
CLIP_GRAD_NORM = TRAINING_ARGS["max_grad_norm"]

TOPICS = {
    "billing": "invoice refund charged payment card twice amount vat receipt bank".split(),
    "login": "password reset locked account email code login sign token expired".split(),
    "delivery": "parcel late tracking courier address lost box damaged delivery driver".split(),
    "bug": "crash error screen freeze update version button app broken blank".split(),
    "sales": "price quote licence upgrade plan discount seats trial contract demo".split(),
}
FILLER = (
    "hello i please help the a my is was and since yesterday again thanks you can not with for it on"
    " we have team dear still after today"
).split()
WORDS = ["<pad>", "<cls>"] + sorted({w for ws in TOPICS.values() for w in ws} | set(FILLER))
ID = {w: i for i, w in enumerate(WORDS)}
MAX_LEN = 20


def tickets(n, gen):
    ids = torch.zeros(n, MAX_LEN, dtype=torch.long)
    y = torch.randint(0, len(TOPICS), (n,), generator=gen)
    names = list(TOPICS)

    def pick(seq):
        return seq[int(torch.randint(0, len(seq), (1,), generator=gen))]

    for k in range(n):
        length = int(torch.randint(10, MAX_LEN, (1,), generator=gen))
        ids[k, 0] = ID["<cls>"]
        other = pick(names)
        for j in range(1, length + 1):
            u = float(torch.rand(1, generator=gen))
            w = pick(TOPICS[names[y[k]]]) if u < 0.25 else pick(TOPICS[other]) if u < 0.33 else pick(FILLER)
            ids[k, j] = ID[w]
    return ids, y


TRAIN = tickets(1600, torch.Generator().manual_seed(12))


class TicketEncoder(nn.Module):
    def __init__(self, dim=64, heads=4, layers=2, n_out=len(TOPICS)):
        super().__init__()
        self.word = nn.Embedding(len(WORDS), dim, padding_idx=0)
        self.position = nn.Embedding(MAX_LEN, dim)
        layer = nn.TransformerEncoderLayer(dim, heads, 2 * dim, dropout=0.1, activation="gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.pooler = nn.Sequential(nn.Linear(dim, dim), nn.Tanh())
        self.classifier = nn.Linear(dim, n_out)

    def forward(self, ids):
        h = self.word(ids) + self.position.weight[: ids.shape[1]]
        h = self.encoder(h, src_key_padding_mask=ids == 0)
        return self.classifier(self.pooler(h[:, 0]))


def model():
    return TicketEncoder()


def data():
    for i in torch.randperm(len(TRAIN[0])).split(TRAINING_ARGS["batch_size"]):
        yield TRAIN[0][i], TRAIN[1][i]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.AdamW(
        model.parameters(),
        lr=TRAINING_ARGS["learning_rate"],
        eps=TRAINING_ARGS["adam_epsilon"],
        weight_decay=TRAINING_ARGS["weight_decay"],
    )
