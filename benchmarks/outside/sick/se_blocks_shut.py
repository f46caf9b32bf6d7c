import torch
from sklearn.datasets import load_digits
from torch import nn


class SELayer(nn.Module):
    def __init__(self, channel, reduction=4):
        super().__init__()
        self.fc1 = nn.Linear(channel, channel // reduction)
        self.fc2 = nn.Linear(channel // reduction, channel)
        self.fc2.bias.data.fill_(-15)

    def forward(self, x):
        b, c, _, _ = x.size()
        y = x.mean(dim=(2, 3))
        y = self.fc2(torch.relu(self.fc1(y))).sigmoid()
        return x * y.view(b, c, 1, 1)


class SENet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.se1 = SELayer(16)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1, stride=2)
        self.se2 = SELayer(32)
        self.fc = nn.Linear(32 * 16, 10)

    def forward(self, x):
        x = self.se1(torch.relu(self.conv1(x)))
        x = self.se2(torch.relu(self.conv2(x)))
        return self.fc(torch.flatten(x, 1))


digits = load_digits()
ds = torch.utils.data.TensorDataset(
    torch.tensor(digits.images / 16, dtype=torch.float32).unsqueeze(1), torch.tensor(digits.target)
)
data = torch.utils.data.DataLoader(ds, batch_size=128, shuffle=True)
criterion = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
