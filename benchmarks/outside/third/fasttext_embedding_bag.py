import torch
from torch import nn

VOCAB = 500
topic = torch.randint(0, 4, (VOCAB,), generator=torch.Generator().manual_seed(0))


class TextClassificationModel(nn.Module):
    def __init__(self, vocab_size=VOCAB, embed_dim=32, num_class=4):
        super().__init__()
        self.embedding = nn.EmbeddingBag(vocab_size, embed_dim, sparse=False)
        self.fc = nn.Linear(embed_dim, num_class)
        self.init_weights()

    def init_weights(self):
        initrange = 0.5
        self.embedding.weight.data.uniform_(-initrange, initrange)
        self.fc.weight.data.uniform_(-initrange, initrange)
        self.fc.bias.data.zero_()

    def forward(self, text, offsets):
        return self.fc(self.embedding(text, offsets))


criterion = nn.CrossEntropyLoss()
CLIP_GRAD_NORM = 0.1


def batch(n=64):
    label = torch.randint(0, 4, (n,))
    texts, offsets = [], [0]
    for k in label.tolist():
        words = torch.randint(0, VOCAB, (int(torch.randint(8, 20, (1,))),))
        own = (topic == k).nonzero().flatten()
        words[::2] = own[torch.randint(len(own), (len(words[::2]),))]
        texts.append(words)
        offsets.append(len(words))
    return (torch.cat(texts), torch.tensor(offsets[:-1]).cumsum(0)), label


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=5.0)
