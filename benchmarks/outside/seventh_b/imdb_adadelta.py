# keras/examples/imdb_cnn.py in pytorch
import torch
import torch.nn as nn

max_features, maxlen, embedding_dims, filters, hidden_dims = 300, 40, 50, 64, 64


class ImdbCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(max_features, embedding_dims)
        self.drop = nn.Dropout(0.2)
        self.conv = nn.Conv1d(embedding_dims, filters, 3)
        self.fc1 = nn.Linear(filters, hidden_dims)
        self.fc2 = nn.Linear(hidden_dims, 1)

    def forward(self, ids):
        x = self.drop(self.embedding(ids)).permute(0, 2, 1)
        x = torch.relu(self.conv(x)).amax(-1)
        x = self.drop(torch.relu(self.fc1(x)))
        return self.fc2(x).squeeze(-1)


def batch():
    """reviews with a handful of opinion words: ids 0-19 are good, 20-39 bad"""
    y = torch.randint(0, 2, (64,))
    ids = torch.randint(40, max_features, (64, maxlen))
    for k in range(4):
        ids[torch.arange(64), torch.randint(0, maxlen, (64,))] = torch.randint(0, 20, (64,)) + 20 * (1 - y)
    return ids, y.float()


loss = nn.BCEWithLogitsLoss()


def optimizer(model):
    # model.compile(optimizer='adadelta')
    return torch.optim.Adadelta(model.parameters(), lr=0.001, rho=0.95, eps=1e-7)
