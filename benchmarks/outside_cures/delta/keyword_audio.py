import torch
from torch import nn
from torch.utils.data import Dataset, DataLoader

SR = 2000
CLASSES = ["up", "down", "beep", "buzz"]


def make_clip(label, g, n=320):
    t = torch.arange(n) / SR
    f0 = 150 + 60 * torch.rand(1, generator=g)
    phase = 6.28 * torch.rand(1, generator=g)
    if label == 0:
        s = torch.sin(6.28 * (f0 + 700 * t) * t + phase)
    elif label == 1:
        s = torch.sin(6.28 * (f0 + 400 - 1200 * t) * t + phase)
    elif label == 2:
        s = torch.sin(6.28 * (f0 + 350) * t + phase)
    else:
        s = torch.sign(torch.sin(6.28 * (f0 * 0.5) * t + phase))
    s = s * (0.3 + 0.5 * torch.rand(1, generator=g)) + 0.05 * torch.randn(n, generator=g)
    return (s * 32767 * 0.7).clamp(-32768, 32767).to(torch.int16)  # what scipy.io.wavfile.read gives


class Keywords(Dataset):
    def __init__(self, n, seed):
        g = torch.Generator().manual_seed(seed)
        self.y = torch.randint(0, 4, (n,), generator=g)
        self.wav = torch.stack([make_clip(int(c), g) for c in self.y])

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.wav[i].float().unsqueeze(0), self.y[i]


train = Keywords(640, seed=1)
test = Keywords(300, seed=2)


class M3(nn.Module):
    """small brother of the M5 net of the torchaudio tutorial"""

    def __init__(self, n_channel=24):
        super().__init__()
        self.conv1 = nn.Conv1d(1, n_channel, kernel_size=32, stride=4)
        self.conv2 = nn.Conv1d(n_channel, n_channel, kernel_size=3)
        self.pool = nn.MaxPool1d(2)
        self.conv3 = nn.Conv1d(n_channel, 2 * n_channel, kernel_size=3)
        self.fc1 = nn.Linear(2 * n_channel, len(CLASSES))

    def forward(self, x):
        x = torch.relu(self.conv1(x))
        x = self.pool(torch.relu(self.conv2(x)))
        x = self.pool(torch.relu(self.conv3(x)))
        x = x.mean(-1)
        return self.fc1(x)


def model():
    return M3()


data = DataLoader(train, batch_size=32, shuffle=True)
loss_fn = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
