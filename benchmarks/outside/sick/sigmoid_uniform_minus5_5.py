import torch
from sklearn import datasets, preprocessing
from torch import nn, optim


class NeuralNetwork(nn.Module):
    def __init__(self, input_nodes=30, hidden_nodes=40, output_nodes=2):
        super().__init__()
        self.wih = nn.Linear(input_nodes, hidden_nodes)
        self.whh = nn.Linear(hidden_nodes, hidden_nodes)
        self.whh2 = nn.Linear(hidden_nodes, hidden_nodes)
        self.whh3 = nn.Linear(hidden_nodes, hidden_nodes)
        self.whh4 = nn.Linear(hidden_nodes, hidden_nodes)
        self.who = nn.Linear(hidden_nodes, output_nodes)
        self.activation_function = nn.Sigmoid()
        for m in (self.wih, self.whh, self.whh2, self.whh3, self.whh4):
            m.weight.data.uniform_(-5, 5)
            m.bias.data.uniform_(-5, 5)

    def forward(self, inputs):
        h = self.activation_function(self.wih(inputs))
        h = self.activation_function(self.whh(h))
        h = self.activation_function(self.whh2(h))
        h = self.activation_function(self.whh3(h))
        h = self.activation_function(self.whh4(h))
        return self.who(h)


bc = datasets.load_breast_cancer()
features = preprocessing.scale(bc.data)
# xor-like task: malignant in one half of the plane, benign in the other
parity = (features[:, 0] > 0) ^ (features[:, 4] > 0)


def batch():
    return torch.tensor(features).float(), torch.tensor(parity).long()


criterion = nn.CrossEntropyLoss()


def optimizer(model):
    return optim.SGD(model.parameters(), lr=0.1)
