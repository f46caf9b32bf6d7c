import torch
from torch import nn

import ctc_phoneme_bigru as user

STEPS = 400
GOAL = 0.75
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "CTCLoss wants log-probabilities and is given softmax outputs: probabilities between 0 and 1 are"
    " read as logs, the paths hardly differ and the gradient that is left points nowhere useful"
)
FEATS, LABELS, N_FRAMES, N_LABELS = user.corpus(150, seed=4321)


def distance(a, b):
    row = list(range(len(b) + 1))
    for i, p in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, q in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (p != q))
    return row[-1]


@torch.no_grad()
def metric(model):
    """1 - phoneme error rate, greedy decoding"""
    best = model(FEATS).argmax(-1)
    wrong = total = 0
    for path, label, t, n in zip(best, LABELS, N_FRAMES, N_LABELS):
        path = path[:t].unique_consecutive().tolist()
        wrong += distance([p for p in path if p != user.BLANK], label[:n].tolist())
        total += n.item()
    return 1 - wrong / total


class Log(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, feats):
        h, _ = self.net.rnn(feats)
        return self.net.proj(h).log_softmax(-1)


def cured():
    net = Log(user.model())
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 400 steps, goal 0.75 -- as it is: 0.4803, 0.3288, 0.335"
    "; cured: 1.0, 1.0, 1.0; longest run 5.3 s on one core"
)
