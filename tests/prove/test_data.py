"""Data by name come as batches that a network takes, or as an error that says what to change."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from unvanish.core.errors import BatchError, UnvanishError
from unvanish.observe.batch import as_batch, call_model
from unvanish.observe.loss import compute_loss
from unvanish.prove.data import named_data
from unvanish.prove.endpoints import endpoint_of
from unvanish.prove.partition import partition

Write = Callable[[str, str], str]


def whole(batches: Any) -> tuple[Tensor, Tensor]:
    drawn = list(batches)
    return torch.cat([x for x, _ in drawn]), torch.cat([y for _, y in drawn])


def idx(values: np.ndarray[Any, Any]) -> bytes:
    head = struct.pack(">HBB", 0, 8, values.ndim) + struct.pack(f">{values.ndim}I", *values.shape)
    return head + values.astype("u1").tobytes()


@pytest.fixture
def mnist(tmp_path: Path) -> Path:
    """Write sixty images of four by four pixels, each as bright as its label says."""
    labels = np.arange(60) % 6
    images = np.repeat(labels * 50, 16).reshape(60, 4, 4)
    images[:, 0, 0] = np.arange(60)
    name = "train-images-idx3-ubyte.gz"
    (tmp_path / name).write_bytes(gzip.compress(idx(images)))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(labels))
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(images[:5]))
    return tmp_path


class Last(nn.Module):
    """A recurrent network that answers after the last step."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.rnn, self.out = nn.GRU(size, 5, batch_first=True), nn.Linear(5, 6)

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.out(self.rnn(x)[0][:, -1])
        return answer


def convolutional(channels: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, 3, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 6)
    )


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (nn.Linear(16, 6), (16,)),
        (nn.Sequential(nn.Flatten(), nn.Linear(16, 6)), (16,)),
        (convolutional(), (1, 4, 4)),
        (convolutional(3), (3, 4, 4)),
        (Last(4), (4, 4)),
        (Last(1), (16, 1)),
        (nn.Sequential(nn.Conv1d(1, 2, 3), nn.Flatten(), nn.Linear(28, 6)), (1, 16)),
        (nn.Sequential(nn.Conv2d(1, 2, 5), nn.Flatten(), nn.Linear(2 * 28 * 28, 6)), (1, 32, 32)),
    ],
)
def test_images_come_in_the_shape_that_is_taken(
    mnist: Path, model: nn.Module, shape: tuple[int, ...]
) -> None:
    x, y = whole(named_data(f"mnist-idx:{mnist}", model))
    assert x.shape == (60, *shape)
    assert 0.0 <= float(x.min()) <= float(x.max()) <= 1.0
    middle = x.reshape(60, -1)[:, -1]
    assert torch.allclose(middle, y / 5.1, atol=1e-6)
    assert model(x).shape == (60, 6)


def test_a_file_a_folder_and_a_space_all_name_the_images(mnist: Path) -> None:
    model = nn.Linear(16, 6)
    one = whole(named_data(f"mnist-idx:{mnist}", model))
    two = whole(named_data(f"mnist-idx {mnist / 'train-images-idx3-ubyte.gz'}", model))
    assert torch.equal(one[0], two[0])
    assert torch.equal(one[1], two[1])


def test_the_number_format_of_the_network_is_used(mnist: Path) -> None:
    x, _ = next(iter(named_data(f"mnist-idx:{mnist}", nn.Linear(16, 6).double())))
    assert x.dtype == torch.float64


def test_classes_that_do_not_fit_are_left_out_and_said(mnist: Path) -> None:
    data = named_data(f"mnist-idx:{mnist}", nn.Linear(16, 3))
    _, y = whole(data)
    assert y.unique().tolist() == [0, 1, 2]
    said = partition(data, nn.Linear(16, 3), wanted=5, keep_held_out=True).notes[0]
    assert "of the 6 classes of train-images-idx3-ubyte.gz the first 3 were kept" in said
    assert "end it in 6 outputs" in said


@pytest.mark.parametrize("loss", [None, nn.BCEWithLogitsLoss()])
def test_one_output_tells_the_first_two_classes_apart(mnist: Path, loss: Any) -> None:
    model = nn.Linear(16, 1)
    x, y = whole(named_data(f"mnist-idx:{mnist}", model, loss))
    assert len(x) == 20
    assert y.unique().tolist() == [0, 1]
    assert float(compute_loss(loss, model(x), as_batch((x, y), model))[0].detach()) > 0


def test_an_autoencoder_is_given_its_input_for_a_target(mnist: Path) -> None:
    model = nn.Sequential(nn.Linear(16, 4), nn.Linear(4, 16))
    x, y = whole(named_data(f"mnist-idx:{mnist}", model))
    assert torch.equal(x, y)


def test_a_network_that_takes_no_shape_is_told_which(mnist: Path) -> None:
    with pytest.raises(BatchError, match=r"in no shape; they are \(4, 4\): RuntimeError") as caught:
        named_data(f"mnist-idx:{mnist}", nn.Linear(17, 6))
    assert "nn.Linear(16, ...)" in caught.value.help


def test_labels_that_are_missing_are_named(mnist: Path) -> None:
    with pytest.raises(UnvanishError, match="there are no labels beside") as caught:
        named_data(f"mnist-idx:{mnist / 't10k-images-idx3-ubyte'}", nn.Linear(16, 6))
    assert "t10k-labels-idx1-ubyte" in caught.value.help


@pytest.mark.parametrize(
    "content", [b"", b"\x1f\x8b broken", b"\0\0\x08\x03\0\0\0\x09", b"PK12345"]
)
def test_a_broken_images_file_is_an_error(mnist: Path, content: bytes) -> None:
    (mnist / "train-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(UnvanishError, match=r"train-images-idx3-ubyte\.gz is no idx file"):
        named_data(f"mnist-idx:{mnist}", nn.Linear(16, 6))


def test_a_folder_without_images_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnvanishError, match="there are no images in"):
        named_data(f"mnist-idx:{tmp_path}", nn.Linear(16, 6))


def rows(count: int = 60) -> list[str]:
    return [f"{i},{i * i % 7},5,{1 + i % 3}" for i in range(count)]


@pytest.mark.parametrize("header", ["", "a,b,c,kind", "a,b,c,label"])
def test_a_table_is_standardised_and_its_classes_begin_at_0(write: Write, header: str) -> None:
    write("t.csv", "\n".join([header] * bool(header) + rows()) + "\n\n")
    data = named_data("csv:t.csv", nn.Linear(3, 3))
    x, y = whole(data)
    assert y.unique().tolist() == [0, 1, 2]
    assert y.dtype == torch.int64
    assert x.mean(dim=0).tolist() == pytest.approx([0, 0, 0], abs=1e-6)
    assert x.std(dim=0, correction=0).tolist() == pytest.approx([1, 1, 0], abs=1e-6)
    assert any("the classes 1, 2, 3 are counted from 0" in note for note in data.notes)  # type: ignore[attr-defined]
    place = (x[:, 0] * 60).argsort()
    assert torch.equal(y[place], torch.arange(60) % 3)


def test_the_target_may_stand_in_a_named_column(write: Write) -> None:
    write("t.csv", "Y;a;b\n" + "\n".join(f"{i * 1000.5};{i};{-i}" for i in range(60)))
    model = nn.Linear(2, 1)
    x, y = whole(named_data("csv:t.csv", model))
    assert x.shape == (60, 2)
    assert y.shape == (60, 1)
    assert torch.allclose(y, x[:, :1], atol=1e-5)
    parts = partition(named_data("csv:t.csv", model), model, wanted=20, keep_held_out=True)
    assert 0.5 < endpoint_of(model, parts, None).chance < 1.5


def test_many_integers_are_numbers_and_few_may_be(write: Write) -> None:
    write("t.csv", "\n".join(rows()))
    _, y = whole(named_data("csv:t.csv", nn.Linear(3, 1)))
    assert y.is_floating_point()
    assert len(y.unique()) == 3
    write("t.csv", "\n".join(f"{i},{i}" for i in range(60)))
    assert whole(named_data("csv:t.csv", nn.Linear(1, 1)))[1].is_floating_point()


@pytest.mark.parametrize(
    ("text", "what", "line"),
    [
        ("a,b\n1,2\nx,3\n", "'x' is no number, in the column a", 3),
        ("1,2\n3,\n", "a value is missing, in the column 2", 2),
        ("1,2\n3,nan\n", "'nan' is no number, in the column 2", 2),
        ("a,b\n\n1,2\n1,2,3\n", "there are 3 values here, and 2 on line 1", 4),
        ("a,b\n", "the table has no rows", 1),
        ("1\n2\n", "the table has one column only", 1),
    ],
)
def test_a_table_that_is_none_says_where(write: Write, text: str, what: str, line: int) -> None:
    write("t.csv", text)
    with pytest.raises(UnvanishError, match=what) as caught:
        named_data("csv:t.csv", nn.Linear(1, 1))
    assert caught.value.where == f"t.csv:{line}"
    assert caught.value.help


def test_a_table_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnvanishError, match="cannot be read: No such file"):
        named_data(f"csv:{tmp_path / 't.csv'}", nn.Linear(1, 1))


def test_a_target_that_does_not_fit_the_outputs_is_an_error(write: Write) -> None:
    write("t.csv", "\n".join(f"{i},{i * 0.37}" for i in range(60)))
    with pytest.raises(
        BatchError, match=r"3 outputs, and a target of t\.csv is 1 number"
    ) as caught:
        named_data("csv:t.csv", nn.Linear(1, 3))
    assert caught.value.help == "end the network in 1 output: nn.Linear(..., 1)"


@pytest.mark.parametrize(
    "names", [("x", "y"), ("inputs", "targets"), ("X", "y"), ("left", "right")]
)
def test_arrays_are_found_by_their_names(tmp_path: Path, names: tuple[str, str]) -> None:
    x, y = np.random.default_rng(0).normal(5.0, 2.0, (60, 3)), np.arange(60) % 2
    np.savez(tmp_path / "a.npz", **{names[0]: x, names[1]: y})
    got, labels = whole(named_data(f"npz:{tmp_path / 'a.npz'}", nn.Linear(3, 2)))
    assert got.mean(dim=0).tolist() == pytest.approx([0, 0, 0], abs=1e-6)
    assert labels.unique().tolist() == [0, 1]


def test_colour_images_with_channels_last_are_turned(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 255, (60, 8, 8, 3)).astype("u1")
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(60) % 6)
    got, _ = whole(named_data(f"npz:{tmp_path / 'a.npz'}", convolutional(3)))
    assert got.shape == (60, 3, 8, 8)
    assert float(got.max()) <= 1.0


def test_numbers_of_words_stay_integers(tmp_path: Path) -> None:
    class Bag(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.out = nn.Embedding(30, 4), nn.Linear(4, 2)

        def forward(self, words: Tensor) -> Tensor:
            answer: Tensor = self.out(self.embed(words).mean(dim=1))
            return answer

    words = np.random.default_rng(0).integers(0, 30, (60, 7))
    np.savez(tmp_path / "a.npz", x=words, y=np.arange(60) % 2)
    got, _ = whole(named_data(f"npz:{tmp_path / 'a.npz'}", Bag()))
    assert got.dtype == torch.int64
    assert got.shape == (60, 7)


@pytest.mark.parametrize(
    ("arrays", "what"),
    [
        ({"a": np.zeros(3), "b": np.zeros(3), "c": np.zeros(3)}, "There are a, b, c"),
        ({"x": np.zeros((3, 2)), "y": np.zeros(4)}, "x has 3 samples and y has 4"),
        ({"x": np.array(["a", "b"]), "y": np.zeros(2)}, "the array x holds <U1"),
        ({"x": np.full((3, 2), np.nan), "y": np.zeros(3)}, "not finite numbers"),
    ],
)
def test_arrays_that_do_not_belong_together(
    tmp_path: Path, arrays: dict[str, Any], what: str
) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(UnvanishError, match=what):
        named_data(f"npz:{tmp_path / 'a.npz'}", nn.Linear(2, 1))


def test_what_is_no_archive_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_text("no")
    with pytest.raises(UnvanishError, match="is no archive of arrays"):
        named_data(f"npz:{tmp_path / 'a.npz'}", nn.Linear(2, 1))


def test_a_function_of_the_users_gives_its_own_batches(write: Write) -> None:
    write(
        "mine.py",
        """
        import torch

        def batches():
            for number in range(12):
                yield torch.full((4, 3), float(number)), torch.zeros(4).long()

        loader = [(torch.ones(2, 3), torch.zeros(2).long())]
        """,
    )
    for spec in ("mine:batches", "mine.py:batches"):
        drawn = list(named_data(spec, nn.Linear(3, 2)))
        assert [float(x[0, 0]) for x, _ in drawn] == list(range(12))
    assert len(list(named_data("mine:loader", nn.Linear(3, 2)))) == 1
    with pytest.raises(UnvanishError, match="mine has no 'batchs'") as caught:
        named_data("mine:batchs", nn.Linear(3, 2))
    assert caught.value.help == "--data mine:batches"


def test_an_error_in_the_users_function_is_shown_as_theirs(write: Write) -> None:
    write("mine2.py", "def batches():\n    raise OSError('no disk')\n")
    with pytest.raises(UnvanishError, match=r"mine2:batches\(\) raised OSError: no disk"):
        list(named_data("mine2:batches", nn.Linear(3, 2)))


@pytest.mark.parametrize(
    ("spec", "help"),
    [
        ("digit", "--data digits"),
        ("cvs:a.csv", "--data csv:PATH"),
        ("", "--data digits, --data mnist-idx:FOLDER"),
    ],
)
def test_a_name_that_is_none_is_helped(spec: str, help: str) -> None:
    with pytest.raises(UnvanishError, match="there is no data named") as caught:
        named_data(spec, nn.Linear(3, 2))
    assert caught.value.help.startswith(help)


def test_digits_need_no_file() -> None:
    pytest.importorskip("sklearn")
    model = nn.Linear(64, 10)
    x, y = whole(named_data("digits", model))
    assert x.shape == (1797, 64)
    assert float(x.max()) == 1.0
    assert call_model(model, x).shape == (1797, 10)
    assert y.bincount().min() > 170


def test_each_pass_gives_the_same_batches(mnist: Path) -> None:
    data = named_data(f"mnist-idx:{mnist}", nn.Linear(16, 6))
    one, two = whole(data), whole(data)
    assert torch.equal(one[0], two[0])
    assert [len(x) for x, _ in data] == [8] * 7 + [4]
