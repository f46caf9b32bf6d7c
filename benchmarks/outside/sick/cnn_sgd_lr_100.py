import torch
from sklearn.datasets import load_digits
from torch import nn

config = {"lr": 100.0, "batch_size": 64, "optimizer": "sgd", "hidden": 84}


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 6, 3, padding=1)
        self.c2 = nn.Conv2d(6, 16, 3)
        self.f1 = nn.Linear(16 * 9, config["hidden"])
        self.f2 = nn.Linear(config["hidden"], 10)

    def forward(self, x):
        x = torch.relu(self.c1(x))
        x = torch.relu(self.c2(x))
        x = nn.functional.max_pool2d(x, 2).flatten(1)
        return self.f2(torch.relu(self.f1(x)))


def get_loader():
    d = load_digits()
    ds = torch.utils.data.TensorDataset(
        torch.tensor(d.images / 16, dtype=torch.float32)[:, None], torch.tensor(d.target)
    )
    return torch.utils.data.DataLoader(ds, batch_size=config["batch_size"], shuffle=True)


data = get_loader()
loss = nn.CrossEntropyLoss()


def optimizer(model):
    if config["optimizer"] == "sgd":
        return torch.optim.SGD(model.parameters(), lr=config["lr"])
    return torch.optim.Adam(model.parameters(), lr=config["lr"])
