# Loss goes from 4.6 to 3.9 and then nothing. 100 classes, CrossEntropyLoss, sigmoid output
import torch
from torch import nn

g = torch.Generator().manual_seed(11)
centres = torch.randn(100, 20, generator=g)


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(20, 96)
        self.fc2 = nn.Linear(96, 96)
        self.fc3 = nn.Linear(96, 100)

    def forward(self, x):
        x = torch.relu(self.fc1(x))
        x = torch.relu(self.fc2(x))
        return torch.sigmoid(self.fc3(x))


criterion = nn.CrossEntropyLoss()


def batch():
    k = torch.randint(100, (128,))
    return centres[k] + 0.4 * torch.randn(128, 20), k


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)


if __name__ == "__main__":
    net = Tagger()
    opt = optimizer(net)
    for i in range(500):
        x, k = batch()
        loss = criterion(net(x), k)
        opt.zero_grad()
        loss.backward()
        opt.step()
    print(loss.item())
