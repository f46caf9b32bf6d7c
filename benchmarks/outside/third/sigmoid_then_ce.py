# Kaggle starter: forest cover style tabular data -> 7 classes (synthetic copy so that it runs offline)
import torch
import torch.nn as nn
from sklearn.datasets import make_classification
from torch.utils.data import DataLoader, TensorDataset

X, y = make_classification(4000, 20, n_informative=12, n_classes=7, class_sep=1.5, random_state=1)
X = torch.tensor(X, dtype=torch.float32)
X = (X - X.mean(0)) / X.std(0)
y = torch.tensor(y)
data = DataLoader(TensorDataset(X, y), batch_size=128, shuffle=True)


class TabNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer_1 = nn.Linear(20, 128)
        self.layer_2 = nn.Linear(128, 64)
        self.layer_out = nn.Linear(64, 7)
        self.relu = nn.ReLU()
        self.sigmoid = nn.Sigmoid()

    def forward(self, inputs):
        x = self.relu(self.layer_1(inputs))
        x = self.relu(self.layer_2(x))
        return self.sigmoid(self.layer_out(x))


criterion = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)


def metric(model):
    with torch.no_grad():
        return (model(X).argmax(1) == y).float().mean().item()


if __name__ == "__main__":
    model = TabNet()
    opt = optimizer(model)
    for epoch in range(12):
        for xb, yb in data:
            opt.zero_grad()
            l = criterion(model(xb), yb)
            l.backward()
            opt.step()
        print(epoch, l.item(), metric(model))
