import torch
from torch import nn

VOWELS = {"fi": "aeiouyaaiikklnt", "it": "aeioaeiolrnstcg", "pl": "aeiozzkkwwrscyj"}
LETTERS = "abcdefghijklmnopqrstuvwxyz"
COUNTRIES = list(VOWELS)


class CharRNN(nn.Module):
    def __init__(self, input_size=26, hidden_size=64, output_size=3):
        super().__init__()
        self.rnn = nn.RNN(input_size, hidden_size)
        self.h2o = nn.Linear(hidden_size, output_size)
        self.softmax = nn.LogSoftmax(dim=1)

    def forward(self, line_tensor):
        rnn_out, hidden = self.rnn(line_tensor)
        return self.softmax(self.h2o(hidden[0]))


criterion = nn.NLLLoss()
CLIP_GRAD_NORM = 3


def batch(n=64, length=7):
    label = torch.randint(0, 3, (n,))
    line = torch.zeros(length, n, 26)
    for j, k in enumerate(label.tolist()):
        letters = VOWELS[COUNTRIES[k]]
        for i, c in enumerate(torch.randint(len(letters), (length,)).tolist()):
            line[i, j, LETTERS.index(letters[c])] = 1
    return line, label


def optimizer(rnn):
    return torch.optim.SGD(rnn.parameters(), lr=0.15)
