import torch
import torch.nn as nn
from sklearn.datasets import make_classification
from torch.utils.data import DataLoader, TensorDataset

# one config for everything
config = dict(
    model=dict(hidden=[64, 64, 64], act="relu"),
    optim=dict(name="sgd", lr=0.1, momentum=0.9, weight_decay=0.1),
    batch_size=64,
)

X, y = make_classification(2048, 20, n_informative=8, n_classes=4, n_clusters_per_class=2, class_sep=1.5, random_state=5)
X = (X - X.mean(0)) / X.std(0)
train_loader = DataLoader(
    TensorDataset(torch.tensor(X, dtype=torch.float32), torch.tensor(y)), config["batch_size"], shuffle=True
)


class ChurnNet(nn.Module):
    def __init__(self, n_in=20, n_out=4, hidden=config["model"]["hidden"]):
        super().__init__()
        dims = [n_in, *hidden]
        self.body = nn.Sequential(*[m for a, b in zip(dims, dims[1:]) for m in (nn.Linear(a, b), nn.ReLU())])
        self.head = nn.Linear(dims[-1], n_out)

    def forward(self, x):
        return self.head(self.body(x))


data = train_loader
criterion = nn.CrossEntropyLoss()


def optimizer(model):
    o = config["optim"]
    return torch.optim.SGD(model.parameters(), lr=o["lr"], momentum=o["momentum"], weight_decay=o["weight_decay"])
