"""The tools people use, as their manuals say."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any, ClassVar

import torch
from torch import Tensor

from benchmarks.watching.arms import Arm


class Rival(Arm):
    """A tool of somebody else's."""

    is_own = False
    is_paired = False


class Wandb(Rival):
    """Weights & Biases, every step, offline."""

    name = "wandb.watch, all, every step"
    requires = "wandb"
    says = "`wandb.watch(model, log='all', log_freq=1)`, `wandb.log` of the loss; offline"
    settings: ClassVar[dict[str, Any]] = {"log": "all", "log_freq": 1}

    def begin(self) -> None:
        """Begin to watch."""
        import wandb

        settings = wandb.Settings(silent=True, console="off")
        self._run: Any = wandb.init(mode="offline", dir=self.training.folder, settings=settings)
        self._run.watch(self.training.model, **self.settings)

    def after_step(self, loss: Tensor) -> None:
        """Log the loss, with which the histograms go."""
        self._run.log({"loss": loss.item()})

    def end(self) -> None:
        """Watch no more."""
        self._run.unwatch()
        self._run.finish()


class WandbDefault(Wandb):
    """Weights & Biases, as it comes."""

    name = "wandb.watch, between its samples"
    says = "`wandb.watch(model)`: gradients every 1,000th step; the steps between"
    settings: ClassVar = {}


class TensorBoard(Rival):
    """TensorBoard's histograms."""

    name = "TensorBoard histograms, every step"
    requires = "tensorboard"
    says = "`SummaryWriter.add_histogram` of every parameter and its gradient, `add_scalar`"

    def begin(self) -> None:
        """Open the file."""
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(self.training.folder)

    def after_step(self, loss: Tensor) -> None:
        """Write histograms and loss."""
        for name, parameter in self.training.model.named_parameters():
            self._writer.add_histogram(name, parameter, self.training.step)
            self._writer.add_histogram(f"{name}.grad", parameter.grad, self.training.step)
        self._writer.add_scalar("loss", loss.item(), self.training.step)

    def end(self) -> None:
        """Close the file."""
        self._writer.close()


class Lightning(Rival):
    """Lightning's gradient norms."""

    name = "Lightning's grad_norm, every step"
    requires = "lightning"
    says = "`grad_norm(model, norm_type=2)` before the step; the trainer's logging not counted"
    is_paired = True

    def after_backward(self) -> None:
        """Take the norms."""
        from lightning.pytorch.utilities import grad_norm

        self.norms: Any = grad_norm(self.training.model, norm_type=2)


class Torchmortem(Rival):
    """torchmortem."""

    name = "torchmortem"
    requires = "torchmortem"
    says = "`Autopsy(model, optimizer=optimizer)`, `step(loss=loss.item())`"

    def begin(self) -> None:
        """Attach it."""
        import torchmortem

        self._autopsy: Any = torchmortem.Autopsy(
            self.training.model, optimizer=self.training.optimizer
        )
        self._autopsy.attach()

    def after_step(self, loss: Tensor) -> None:
        """Tell it the loss."""
        self._autopsy.step(loss=loss.item())

    def end(self) -> None:
        """Detach it."""
        self._autopsy.detach(is_complete=False)


class Torchinstruments(Rival):
    """torchinstruments, every step."""

    name = "torchinstruments, every step"
    requires = "torchinstruments"
    says = "`inject_observer(model, sampler=AlwaysSampler())`"
    is_always = True

    def begin(self) -> None:
        """Inject it."""
        import torchinstruments
        from torchinstruments.sampling.periodic import AlwaysSampler

        between = {"interval": timedelta(days=1)}  # arms wait for each other, and a minute passes
        settings = {"sampler": AlwaysSampler()} if self.is_always else between
        torchinstruments.inject_observer(
            self.training.model, output_dir=self.training.folder / "stats", **settings
        )
        self._model = self.training.model

    def end(self) -> None:
        """Remove it."""
        import torchinstruments

        torchinstruments.remove_observer(self._model)


class TorchinstrumentsDefault(Torchinstruments):
    """torchinstruments, as it comes."""

    name = "torchinstruments, between its samples"
    says = "`inject_observer(model)`, which samples once a minute; the steps between"
    is_always = False


class Torchexplorer(Rival):
    """torchexplorer, every step."""

    name = "torchexplorer, every step"
    requires = "torchexplorer"
    says = "`torchexplorer.watch(model, log_freq=1, backend='none')`: nothing is rendered"
    settings: ClassVar[dict[str, Any]] = {"log_freq": 1}

    def begin(self) -> None:
        """Begin to watch."""
        import torchexplorer

        torchexplorer.watch(self.training.model, backend="none", verbose=False, **self.settings)


class TorchexplorerDefault(Torchexplorer):
    """torchexplorer, as it comes."""

    name = "torchexplorer, between its samples"
    says = "`torchexplorer.watch(model, backend='none')`: every 500th step; the steps between"
    settings: ClassVar = {}


class Cockpit(Rival):
    """cockpit, its smallest set of quantities."""

    name = "cockpit, economy, every step"
    requires = "cockpit-for-pytorch"
    says = "`Cockpit(parameters, configuration('economy'))`, model and loss extended by BackPACK"

    def begin(self) -> None:
        """Extend model and loss."""
        from backpack import extend
        from cockpit import Cockpit as Instruments
        from cockpit.utils.configuration import configuration

        extend(self.training.model)
        self._loss: Any = extend(torch.nn.CrossEntropyLoss())
        self._each = torch.nn.CrossEntropyLoss(reduction="none")
        quantities = configuration("economy")
        self._cockpit: Any = Instruments(self.training.model.parameters(), quantities=quantities)

    def step(self) -> None:
        """Take one step, as its manual writes it."""
        self.training.optimizer.zero_grad()
        outputs = self.training.model(self.training.x)
        loss = self._loss(outputs, self.training.y)
        info = {
            "batch_size": len(self.training.x),
            "individual_losses": self._each(outputs, self.training.y),
            "loss": loss,
            "optimizer": self.training.optimizer,
        }
        with self._cockpit(self.training.step, info=info):
            loss.backward(create_graph=self._cockpit.create_graph(self.training.step))
        self.training.optimizer.step()


RIVALS: tuple[type[Rival], ...] = (
    Wandb,
    WandbDefault,
    TensorBoard,
    Lightning,
    Torchmortem,
    Torchinstruments,
    TorchinstrumentsDefault,
    Torchexplorer,
    TorchexplorerDefault,
    Cockpit,
)


def quiet() -> None:
    """Keep tools from asking, phoning home and writing reports nobody asked for."""
    os.environ.update(WANDB_MODE="offline", WANDB_SILENT="true", WANDB_ERROR_REPORTING="false")
