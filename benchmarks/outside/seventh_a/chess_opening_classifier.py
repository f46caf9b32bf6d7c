import torch
import torch.nn as nn

# which of 48 ECO families does the game belong to, from counts of the first moves
N_OPENINGS = 48
N_MOVES = 120
g = torch.Generator().manual_seed(3)
book = (torch.rand(N_OPENINGS, N_MOVES, generator=g) < 0.12).float()


def games(n=96):
    eco = torch.randint(0, N_OPENINGS, (n,))
    p = 0.85 * book[eco] + 0.03
    return torch.bernoulli(p), eco


class OpeningNet(nn.Module):
    def __init__(self):
        super(OpeningNet, self).__init__()
        self.fc1 = nn.Linear(N_MOVES, 128)
        self.fc2 = nn.Linear(128, N_OPENINGS)
        self.relu = nn.ReLU()
        self.softmax = nn.Softmax(dim=1)

    def forward(self, x):
        x = self.relu(self.fc1(x))
        x = self.softmax(self.fc2(x))
        return x


batch = games
criterion = nn.CrossEntropyLoss()


def optimizer(net):
    return torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
