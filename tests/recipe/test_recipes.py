"""The parts of a recipe, each plain or with a seed."""

import pytest
import torch

from unvanish.core.errors import BatchError, TargetError
from unvanish.recipe import load

HEAD = """
    import torch
    from torch import nn

    def model(): return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    def pair(rows=6): return torch.randn(rows, 4), torch.randint(2, (rows,))
"""


def recipe_of(write, body, name="", **options):
    lines = "\n".join("    " + line for line in body.splitlines())
    write("r.py", HEAD + lines)
    return load(f"r.py{name}", seed=options.pop("seed", 0), **options)


def test_everything_a_recipe_may_say(write):
    recipe = recipe_of(
        write,
        """
def batch(seed): return pair(seed)
def data(): return [pair(3), pair(5)]
def loss(output, target): return ((output - 1) ** 2).mean()
def optimizer(model): return torch.optim.SGD(model.parameters(), lr=0.25)
def metric(model, seed): return float(seed)
GOAL = 1
HIGHER_IS_BETTER = False
CLIP_GRAD_NORM = 2
AUTOCAST = torch.bfloat16
""",
        seed=7,
    )
    assert recipe.batch[0].shape == (7, 4)
    assert [len(x) for x, _ in recipe.data] == [3, 5]
    assert recipe.loss(torch.zeros(2), None) == 1
    assert recipe.optimizer(recipe.model).defaults["lr"] == 0.25
    assert recipe.metric(recipe.model) == 7.0
    assert (recipe.goal, recipe.higher_is_better) == (1.0, False)
    assert (recipe.clip_grad_norm, recipe.autocast) == (2.0, "bfloat16")
    assert recipe.inferred == ()


@pytest.mark.parametrize("name", [":Task", ":task"])
def test_class_or_object(write, name):
    recipe = recipe_of(
        write,
        """
class Task:
    def model(self): return model()
    def batch(self, seed=0): return pair(4)
    loss = "cross_entropy"
    GOAL = 0.5
task = Task()
""",
        name,
    )
    assert recipe.batch[0].shape == (4, 4)
    assert (recipe.loss, recipe.goal) == ("cross_entropy", 0.5)


def test_values_in_place_of_functions(write):
    recipe = recipe_of(
        write,
        """
net = model = model()
batch = pair()
loss = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters())
""",
    )
    assert recipe.batch[0].shape == (6, 4)
    assert isinstance(recipe.loss, torch.nn.CrossEntropyLoss)
    assert isinstance(recipe.optimizer, torch.optim.Adam)
    ours = {id(p) for p in recipe.model.parameters()}
    assert {id(p) for g in recipe.optimizer.param_groups for p in g["params"]} == ours


def test_other_words_for_the_loss_are_taken_and_said(write):
    recipe = recipe_of(write, "criterion = nn.CrossEntropyLoss()\nbatch = pair()")
    assert isinstance(recipe.loss, torch.nn.CrossEntropyLoss)
    assert recipe.inferred == ("the loss is criterion, as r.py names it",)


def test_a_criterion_class_is_made(write):
    recipe = recipe_of(write, "loss = nn.CrossEntropyLoss\nbatch = pair()")
    assert isinstance(recipe.loss, torch.nn.CrossEntropyLoss)


def test_first_of_data_is_the_batch_and_the_rest_repeats(write):
    recipe = recipe_of(
        write,
        """
def data():
    rows = 2
    while True:
        yield list(pair(rows))
        rows += 1
""",
    )
    assert recipe.batch[0].shape == (2, 4)
    firsts = [next(iter(recipe.data))[0] for _ in range(2)]
    assert firsts[0].shape == (3, 4)
    assert firsts[0] is firsts[1]


def test_shuffled_loader_gives_the_same_batches_for_the_same_seed(write):
    body = """
from torch.utils.data import DataLoader, TensorDataset
def data():
    rows = torch.arange(64.0).view(16, 4)
    return DataLoader(TensorDataset(rows, torch.zeros(16).long()), batch_size=4, shuffle=True)
"""
    first, second = (recipe_of(write, body, seed=3) for _ in range(2))
    assert torch.equal(first.batch[0], second.batch[0])
    assert len(list(first.data)) == 3


def test_dict_batch_and_inputs_alone(write):
    assert set(recipe_of(write, "def batch(): return {'x': pair()[0]}").batch) == {"x"}
    assert recipe_of(write, "def batch(): return pair()[0]").batch.shape == (6, 4)
    assert recipe_of(write, "def batch(): return (pair()[0],)").batch.shape == (6, 4)


def test_words_of_their_own_are_no_slips(write):
    body = """
def batch(): return pair()
def optimize(): 0
def metrics(): 0
def mode(): 0
DATA = "digits.csv"
class Loss: pass
"""
    assert recipe_of(write, body).optimizer is None


def test_device_moves_model_criterion_and_batch(write):
    recipe = recipe_of(
        write,
        "loss = nn.CrossEntropyLoss(weight=torch.ones(2))\n"
        "def batch(): return {'a': [pair()[0]]}\ndef data(): yield pair()",
        device="cpu",
    )
    assert recipe.batch["a"][0].device.type == "cpu"


def test_fresh_optimizer_error_names_the_users_line(write):
    recipe = recipe_of(write, "batch = pair()\ndef optimizer(model): return 1 / 0")
    with pytest.raises(TargetError, match=r"optimizer\(model\) raised ZeroDivisionError") as caught:
        recipe.optimizer(recipe.model)
    assert caught.value.where.startswith("r.py:8 in optimizer")


@pytest.mark.parametrize(
    ("body", "kind", "what", "help"),
    [
        ("def batch(): pass", BatchError, r"batch\(\) returned nothing", "return inputs, target"),
        ("batch = 32", BatchError, "batch gave int 32", "return inputs, target"),
        ("def batch(): return ()", BatchError, "empty tuple", "return inputs, target"),
        ("def batch(): return 1 / 0", BatchError, r"batch\(\) raised ZeroDivisionError", ""),
        ("def batch(size): return 1", BatchError, r"batch\(\) needs arguments: size", "def batch"),
        ("batch = (*pair(), 3)", BatchError, "gave 3 values", "return \\(first"),
        (
            "import numpy\ndef batch(): return numpy.zeros(3), numpy.zeros(3)",
            BatchError,
            "numpy arrays",
            "torch.from_numpy",
        ),
        ("def data(): return []", BatchError, r"data\(\) is empty", "yield"),
        ("def data(): return 3", BatchError, "not iterable: it is int", "DataLoader"),
        ("def data(): return pair()[0]", BatchError, "one tensor", "DataLoader"),
        ("def data(): return {'a': 1}", BatchError, "gave str 'a'", "return inputs"),
        ("def data():\n    yield 1 / 0", BatchError, "drawing from data.* ZeroDivision", ""),
        (
            "data = torch.utils.data.TensorDataset(*pair())",
            BatchError,
            "single samples",
            "DataLoader",
        ),
        ("data = pair()", BatchError, "one pair of tensors, inputs and target", "split"),
        (
            "class S(torch.utils.data.IterableDataset):\n"
            "    def __iter__(self): yield torch.randn(4), 1\n"
            "def data(): return S()",
            BatchError,
            "IterableDataset that gives single samples",
            "DataLoader",
        ),
        (
            "def data(): return [tuple(t.to('meta') for t in pair())]",
            BatchError,
            "on the meta device",
            "torch.randn",
        ),
        ("batch = pair()\nGOAL = '90 %'", TargetError, "GOAL of the recipe is '90 %'", "GOAL ="),
        ("batch = pair()\nGOAL = True", TargetError, "GOAL of the recipe is True", "GOAL ="),
        ("batch = pair()\nGOAL = float('nan')", TargetError, "GOAL of the recipe is nan", "GOAL"),
        ("batch = pair()\nHIGHER_IS_BETTER = 1", TargetError, "not True or False", "True"),
        ("batch = pair()\nCLIP_GRAD_NORM = 0", TargetError, "not a positive number", "CLIP"),
        ("batch = pair()\nAUTOCAST = 'int8'", TargetError, "AUTOCAST .* 'int8'", "bfloat16"),
        ("batch = pair()\nloss = 3", TargetError, "loss of the recipe is int 3", "def loss"),
        ("batch = pair()\noptimizer = torch.optim.SGD", TargetError, "class SGD", "def optimizer"),
        ("batch = pair()\ndef optimiser(model): 0", TargetError, "'optimiser'", "mean optimizer"),
        ("def Batch(): return pair()", TargetError, "'Batch'", "mean batch"),
        ("batch = pair()\noptimiser = object()", TargetError, "'optimiser'", "mean optimizer"),
        ("Batch = pair()", TargetError, "'Batch'", "mean batch"),
        ("batch = pair()\ngoal = 0.9", TargetError, "'goal'", "mean GOAL"),
        ("batch = pair()\ndef optimzer(model): 0", TargetError, "'optimzer'", "mean optimizer"),
    ],
)
def test_what_does_not_fit_is_said(write, body, kind, what, help):
    with pytest.raises(kind, match=what) as caught:
        recipe_of(write, body)
    assert caught.value.exit_code == 2
    if help:
        with pytest.raises(AssertionError, match=help):
            raise AssertionError(caught.value.help)


def test_a_named_network_takes_the_rest_of_its_file(write):
    body = """
class Net(nn.Linear):
    def __init__(self): super().__init__(4, 2)
def batch(): return pair(9)
criterion = nn.CrossEntropyLoss()
def optimizer(model): return torch.optim.SGD(model.parameters(), lr=0.25)
"""
    recipe = recipe_of(write, body, ":Net")
    assert recipe.batch[0].shape == (9, 4)
    assert isinstance(recipe.loss, torch.nn.CrossEntropyLoss)
    assert recipe.optimizer(recipe.model).defaults["lr"] == 0.25
    assert recipe.inferred == ("batch, optimizer and criterion were taken from r.py",)
    given = recipe_of(write, body, ":Net", input_shape=(4,))
    assert given.batch[0].shape == (32, 4)
    assert given.inferred[0] == "optimizer and criterion were taken from r.py"


def test_an_optimizer_of_another_network_gives_its_settings(write):
    body = """
net = model()
optimizer = torch.optim.AdamW(net.parameters(), lr=0.5)
class Other(nn.Linear):
    def __init__(self): super().__init__(4, 2)
batch = pair()
"""
    recipe = recipe_of(write, body, ":Other")
    made = recipe.optimizer(recipe.model)
    assert made.defaults["lr"] == 0.5
    assert len(made.param_groups[0]["params"]) == 2
    assert "optimizer steps another network" in recipe.inferred[-1]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("{'data': 1, 'target': 2}", "a dict"),
        ("'digits.csv'", "a str"),
        ("pair()[0]", "a Tensor"),
        ("object()", "an object"),
    ],
)
def test_data_that_gives_no_batches_is_left_aside(write, value, kind):
    body = (
        f"data = {value}\nclass Net(nn.Linear):\n    def __init__(self): super().__init__(4, 2)\n"
    )
    for place in ("", ":Net"):
        recipe = recipe_of(write, f"{body}def batch(): return pair()", place)
        assert recipe.batch[0].shape == (6, 4)
        assert recipe.data is None
        assert f"data in r.py is {kind}, not batches: left aside" in recipe.inferred


def test_the_loss_that_a_training_loop_left_behind_gives_way_to_the_criterion(write):
    script = """
net = model()
model = net
optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
criterion = nn.CrossEntropyLoss()
data = [pair() for _ in range(3)]
for inputs, target in data:
    loss = criterion(net(inputs), target)
    optimizer.zero_grad(); loss.backward(); optimizer.step()
"""
    recipe = recipe_of(write, script)
    assert isinstance(recipe.loss, torch.nn.CrossEntropyLoss)
    assert "loss in r.py is a Tensor, not a loss: left aside" in recipe.inferred


def test_a_batch_size_and_a_loss_of_yesterday_are_left_aside_where_a_network_is_named(write):
    body = "batch = 64\nloss = torch.tensor(0.3)\nnet = nn.Linear(4, 2)"
    recipe = recipe_of(write, body, ":net")
    assert recipe.loss is None
    assert recipe.batch[0].shape == (32, 4)
    assert recipe.inferred[:2] == (
        "batch in r.py is an int, not a batch: left aside",
        "loss in r.py is a Tensor, not a loss: left aside",
    )


COPIED = """
import copy
first = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
net = copy.deepcopy(first)
optimizer = torch.optim.AdamW(first.parameters(), lr=0.5)
batch = pair()
"""


@pytest.mark.parametrize(
    "change",
    [
        "",
        # The first one is gone, and the second has weights of its own.
        "\nnet = copy.deepcopy(first)\nnn.init.normal_(net[0].weight)\ndel first",
    ],
)
def test_an_optimizer_that_missed_this_network_is_left_as_it_is(write, change):
    recipe = recipe_of(write, COPIED + change, ":net")
    assert isinstance(recipe.optimizer, torch.optim.AdamW)
    assert recipe.inferred[-1] == "optimizer steps a copy of this network, and nothing of it"


@pytest.mark.parametrize(
    "change",
    [
        "nn.init.normal_(net[0].weight)",  # a second player of the same shapes
        "net.requires_grad_(False)",
        "net.eval()",
        "def loss(output, target): return (output - net(output.detach())).mean()",
        "net.append(nn.Linear(2, 2))",
    ],
)
def test_an_optimizer_of_a_second_player_gives_its_settings(write, change):
    recipe = recipe_of(write, COPIED + change, ":net")
    assert not isinstance(recipe.optimizer, torch.optim.Optimizer)
    assert "optimizer steps another network" in recipe.inferred[-1]


def test_a_loader_without_a_recipe_is_offered(write):
    body = """
conv = nn.Conv2d(3, 2, 3)
rows = torch.utils.data.TensorDataset(torch.randn(8, 3, 5, 5), torch.zeros(8).long())
train_loader = torch.utils.data.DataLoader(rows, batch_size=4)
"""
    with pytest.raises(BatchError, match="shape of one sample") as caught:
        recipe_of(write, body, ":conv")
    assert caught.value.help == "write in r.py: data = train_loader"
    assert recipe_of(write, body + "data = train_loader", ":conv").batch[0].shape == (4, 3, 5, 5)


def test_a_constant_in_capitals_is_no_misspelt_part(write):
    body = """
DATA = torch.randn(8, 3)
net = nn.Linear(3, 2)
def batch(): return DATA, torch.zeros(8).long()
"""
    assert recipe_of(write, body, ":net").batch[0].shape == (8, 3)


def test_a_method_is_told_as_a_method(write):
    body = """
class Task:
    def model(self): return model()
    def batch(self): return pair()
    def optimizer(model): return 3
"""
    recipe = recipe_of(write, body, ":Task")
    with pytest.raises(TargetError, match=r"optimizer.* raised TypeError") as caught:
        recipe.optimizer(recipe.model)
    assert caught.value.help.startswith("def optimizer(self, model): return torch.optim.SGD(")


def test_a_class_without_a_model(write):
    with pytest.raises(TargetError, match="recipe Task has no model") as caught:
        recipe_of(write, "class Task:\n    def batch(self): return pair()", ":Task")
    assert "def model(self)" in caught.value.help


@pytest.mark.parametrize(
    ("line", "meant"),
    [("GAOL = 0.9", "GOAL"), ("HIGHER_IS_BETER = False", "HIGHER_IS_BETTER"), ("goal = 1", "GOAL")],
)
def test_a_constant_that_would_be_ignored_is_named(write, line, meant):
    file = write(
        "net.py", f"import torch\n{line}\ndef model():\n    return torch.nn.Linear(3, 2)\n"
    )
    with pytest.raises(TargetError, match="would be ignored") as error:
        load(file, seed=0)
    assert f"did you mean {meant}?" in error.value.help


@pytest.mark.parametrize("line", ["steps = 7", "STEP = 7", "STEPS = [1, 2]", "COAL = 1"])
def test_constants_of_the_files_own_are_left_alone(write, line):
    file = write(
        "net.py", f"import torch\n{line}\ndef model():\n    return torch.nn.Linear(3, 2)\n"
    )
    assert load(file, seed=0).steps is None


def test_a_class_with_a_misspelt_model(write):
    with pytest.raises(TargetError, match="no 'Model'") as caught:
        recipe_of(write, "class Task:\n    def Model(self): return model()", ":Task")
    assert "did you mean model?" in caught.value.help


def test_a_class_that_needs_arguments(write):
    body = "class Task:\n    def __init__(self, size): 0\n    def model(self): return model()"
    with pytest.raises(TargetError, match="Task needs arguments: size") as caught:
        recipe_of(write, body, ":Task")
    assert "recipe = Task(size=...)" in caught.value.help


def test_shape_options_are_not_silently_ignored(write):
    with pytest.raises(BatchError, match="brings its own batch"):
        recipe_of(write, "batch = pair()", classes=3)
