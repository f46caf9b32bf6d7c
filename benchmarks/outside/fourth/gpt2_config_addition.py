"""GPT-2 from a small config on two-digit additions written as text."""
import torch
from transformers import GPT2Config, GPT2LMHeadModel

SYMBOLS = "0123456789+=."


class Adder:
    def model(self):
        return GPT2LMHeadModel(
            GPT2Config(vocab_size=13, n_positions=12, n_embd=64, n_layer=3, n_head=4, bos_token_id=12, eos_token_id=12)
        )

    def batch(self, n=32):
        rows = []
        for a, b in torch.randint(10, (n, 2)).tolist():
            text = f"{a}+{b}={a + b:02d}."
            rows.append([SYMBOLS.index(c) for c in text])
        ids = torch.tensor(rows)
        labels = ids.clone()
        labels[:, :4] = -100
        return {"input_ids": ids, "labels": labels}

    def optimizer(self, model):
        return torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
