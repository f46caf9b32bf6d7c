import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset

SEED = 42
BATCH_SIZE = 64
EPOCHS = 20

X, y = load_digits(return_X_y=True)
X = (X / 16.0).astype(np.float32)
X_train, X_valid, y_train, y_valid = train_test_split(X, y, test_size=0.2, random_state=SEED)
train_ds = TensorDataset(torch.from_numpy(X_train), torch.from_numpy(y_train).long())
valid_ds = TensorDataset(torch.from_numpy(X_valid), torch.from_numpy(y_valid).long())
data = DataLoader(train_ds, batch_size=BATCH_SIZE, shuffle=True)
valid_loader = DataLoader(valid_ds, batch_size=BATCH_SIZE)


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        sizes = [64] + [128] * 10
        self.hidden = nn.ModuleList([nn.Linear(a, b) for a, b in zip(sizes[:-1], sizes[1:])])
        self.out = nn.Linear(128, 10)

    def forward(self, x):
        for lin in self.hidden:
            x = torch.sigmoid(lin(x))
        return self.out(x)


criterion = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)


if __name__ == "__main__":
    net = Net()
    opt = optimizer(net)
    for epoch in range(EPOCHS):
        for xb, yb in data:
            opt.zero_grad()
            criterion(net(xb), yb).backward()
            opt.step()
        acc = np.mean([(net(a).argmax(1) == b).float().mean().item() for a, b in valid_loader])
        print(f"epoch {epoch}: valid acc {acc:.4f}")
