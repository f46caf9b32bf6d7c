"""A batch for a network that came without one."""

import pytest
import torch
from torch import nn

from unvanish.core.errors import BatchError
from unvanish.recipe import invent_batch


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 4)
        self.head = nn.Linear(4, 11)

    def forward(self, ids):
        return self.head(self.embed(ids))


def test_first_linear_gives_the_shape():
    model = nn.Sequential(nn.Flatten(), nn.Linear(7, 4), nn.ReLU(), nn.Linear(4, 3))
    made = invent_batch(model)
    assert made.batch[0].shape == (32, 7)
    assert made.batch[1].max() < 3
    assert "(32, 7), from the first layer 1: Linear(in_features=7" in made.inferred[0]
    assert "3 classes, the width of the output" in made.inferred[1]


def test_one_output_is_a_regression():
    _, target = invent_batch(nn.Linear(7, 1)).batch
    assert target.shape == (32, 1)
    assert target.is_floating_point()


def test_convolution_asks_for_the_shape():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(BatchError, match="shape of one sample cannot be told") as caught:
        invent_batch(model, target="net.py:net", place="net.py")
    assert caught.value.help.splitlines() == [
        "unvanish check net.py:net --input-shape 3,224,224 --classes 8",
        "  or write in net.py: def batch(): "
        "return torch.randn(32, 3, 224, 224), torch.randint(8, (32,))",
    ]
    made = invent_batch(model, input_shape=(3, 8, 8), classes=8)
    assert made.batch[0].shape == (32, 3, 8, 8)
    assert made.batch[1].shape == (32,)


def test_embedding_says_how_and_gets_integers():
    with pytest.raises(BatchError, match="cannot be told") as caught:
        invent_batch(Tokens(), target="net.py:net", place="net.py")
    assert "--input-shape 128" in caught.value.help
    assert "torch.randint(11, (32, 128))" in caught.value.help
    inputs, target = invent_batch(Tokens(), input_shape=(6,), classes=11).batch
    assert inputs.dtype == torch.int64
    assert inputs.max() < 11
    assert target.shape == (32, 6)


def test_help_in_python_is_python():
    with pytest.raises(BatchError, match="cannot be told") as caught:
        invent_batch(nn.Conv1d(2, 2, 3))
    assert caught.value.help == (
        "unvanish.checkup(model, (torch.randn(32, 2, 1000), torch.randint(998, (32, 2))))"
    )


def test_labels_for_every_pixel():
    model = nn.Conv2d(1, 5, 1)
    _, target = invent_batch(model, input_shape=(1, 4, 4), classes=5).batch
    assert target.shape == (32, 4, 4)


def test_hugging_face_style_gets_a_dict():
    class Causal(Tokens):
        def forward(self, input_ids=None, labels=None):
            return {"logits": super().forward(input_ids), "loss": labels}

    made = invent_batch(Causal(), input_shape=(6,))
    assert set(made.batch) == {"input_ids", "labels"}
    assert torch.equal(made.batch["labels"], made.batch["input_ids"])


def test_a_transformer_that_needs_more_gets_the_literal_batch():
    class Masked(Tokens):
        def forward(self, input_ids=None, attention_mask=None, labels=None):  # noqa: ARG002
            return super().forward(input_ids) * attention_mask.unsqueeze(-1)

    with pytest.raises(BatchError, match="does not take input_ids and labels alone") as caught:
        invent_batch(Masked(), input_shape=(6,), target="net.py:net", place="net.py")
    assert 'def batch(): return {"input_ids": torch.randint(11, (32, 6)), ' in caught.value.help
    assert '"attention_mask": torch.ones(32, 6).long()' in caught.value.help


def test_only_a_shape_that_works_is_suggested():
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Flatten(), nn.Linear(2 * 64, 4))
    for shape in (None, (3, 224, 224), (1, 16, 16)):
        with pytest.raises(BatchError, match="shape") as caught:
            invent_batch(model, input_shape=shape, target="my net.py:net", place="my net.py")
        first = caught.value.help.splitlines()[0]
        assert first == "unvanish check 'my net.py:net' --input-shape 1,8,8 --classes 4"


def test_the_layer_that_runs_first_counts():
    class Late(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(3, 2)
            self.body = nn.Linear(5, 3)

        def forward(self, x):
            return self.head(self.body(x))

    made = invent_batch(Late())
    assert made.batch[0].shape == (32, 5)
    assert "first layer body" in made.inferred[0]


def test_an_output_without_the_batch_is_an_error():
    class Mean(nn.Linear):
        def forward(self, x):
            return super().forward(x).mean(dim=0)

    with pytest.raises(BatchError, match=r"lost the batch dimension.*\(2,\)") as caught:
        invent_batch(Mean(4, 2))
    assert "mean(dim=1)" in caught.value.help


def test_shape_that_does_not_fit():
    with pytest.raises(BatchError, match=r"does not take an input of shape \(32, 9\)"):
        invent_batch(nn.Linear(7, 3), input_shape=(9,))


def test_layer_that_does_not_fit_is_named():
    model = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.ReLU(), nn.Linear(5, 2)))
    with pytest.raises(BatchError, match="32x4 and 5x2") as caught:
        invent_batch(model, target="net.py:net", place="net.py")
    first = caught.value.where.splitlines()[0]
    assert first == "1.1: Linear(in_features=5, out_features=2, bias=True)"
    assert caught.value.help == "make them agree: after 0 there are 4 features, 1.1 takes 5"


def test_classes_that_do_not_fit():
    with pytest.raises(BatchError, match="--classes 4 does not fit") as caught:
        invent_batch(nn.Linear(7, 3), classes=4)
    assert "torch.randint(3, (32,))" in caught.value.help
    with pytest.raises(BatchError, match="--classes 4 does not fit") as caught:
        invent_batch(nn.Linear(7, 3), classes=4, target="net.py")
    assert caught.value.help == "unvanish check net.py --input-shape 7 --classes 3"


def test_no_target_for_an_output_of_unknown_meaning():
    with pytest.raises(BatchError, match=r"output of shape \(32, 5, 3\) does not tell"):
        invent_batch(nn.Linear(7, 3), input_shape=(5, 7))


def test_output_that_is_no_tensor():
    class Strange(nn.Linear):
        def forward(self, _):
            return "nothing"

    with pytest.raises(BatchError, match="output of str"):
        invent_batch(Strange(7, 3))


def test_two_inputs():
    with pytest.raises(BatchError, match="forward needs 2 inputs: input1, input2"):
        invent_batch(nn.Bilinear(2, 3, 4), input_shape=(2,))


def test_no_parameters():
    with pytest.raises(BatchError, match="no parameters"):
        invent_batch(nn.ReLU())


def test_the_model_is_not_touched():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 2))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    invent_batch(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_half_precision_model_gets_inputs_of_its_type():
    assert invent_batch(nn.Linear(3, 2).to(torch.bfloat16)).batch[0].dtype == torch.bfloat16
