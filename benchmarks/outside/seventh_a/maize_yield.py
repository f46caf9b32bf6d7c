#!/usr/bin/env python
# coding: utf-8

# In[1]:
import numpy as np
import torch
import torch.nn as nn
from sklearn.preprocessing import StandardScaler

# In[2]:
np.random.seed(42)
n = 1500
rain = np.random.gamma(6, 70, n)
nitro = np.random.uniform(0, 220, n)
ph = np.random.normal(6.4, 0.5, n)
gdd = np.random.normal(1500, 180, n)
yield_t = 4 + 0.02 * nitro - 0.00005 * nitro ** 2 + 0.004 * rain - 1.2 * (ph - 6.5) ** 2 + 0.002 * (gdd - 1500) + np.random.normal(0, 0.3, n)

# In[3]:
X = StandardScaler().fit_transform(np.c_[rain, nitro, ph, gdd])
y = (yield_t - yield_t.mean()) / yield_t.std()
X = torch.FloatTensor(X)
y = torch.FloatTensor(y)

# In[4]:
class YieldRegressor(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer_1 = nn.Linear(4, 64)
        self.layer_2 = nn.Linear(64, 64)
        self.layer_out = nn.Linear(64, 1)
        self.relu = nn.ReLU()

    def forward(self, inputs):
        x = self.relu(self.layer_1(inputs))
        x = self.relu(self.layer_2(x))
        x = self.layer_out(x)
        return (x)

# In[5]:
def data():
    perm = torch.randperm(n)
    for i in range(0, n - 63, 64):
        yield X[perm[i:i + 64]], y[perm[i:i + 64]]

# In[6]:
def loss(y_pred, y_true):
    return ((y_pred - y_true) ** 2).mean()

def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
