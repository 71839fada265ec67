"""The plain script's work by PyTorch Lightning's ``Trainer``: same model, data, optimizer and epochs.

Lightning sums its losses in float32, so they agree with the plain script's to that precision only. No
checkpoint is written: the last epoch's weights predict.
"""

from __future__ import annotations

import importlib
import logging
import time
import warnings
from typing import Any

import plain_script
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

pl: Any = importlib.import_module("pytorch_lightning")  # not a dependency, so its types may be missing


class Course(pl.LightningModule):  # type: ignore[misc]  # its type is not known
    """A submission's model with the course's loops as Lightning has them."""

    def __init__(self, model: nn.Module, criterion: nn.Module, config: dict[str, Any]) -> None:
        super().__init__()
        self.model, self.criterion, self.config = model, criterion, config

    def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        """The loss of a batch; its mean over the epoch is kept."""
        return self._loss("train", batch)

    def validation_step(self, batch: tuple[Tensor, Tensor]) -> None:
        """As in training, without a gradient."""
        self._loss("valid", batch)

    def predict_step(self, batch: Tensor) -> Tensor:
        """Predictions for a batch of inputs."""
        pred: Tensor = self.model(batch)
        return pred

    def configure_optimizers(self) -> dict[str, Any]:
        """The config's optimizer, and its scheduler if there is one."""
        optimizer = plain_script.build_optimizer(self.config, self.model)
        scheduler = plain_script.build_scheduler(self.config, optimizer)
        return {"optimizer": optimizer} | ({} if scheduler is None else {"lr_scheduler": scheduler})

    def _loss(self, name: str, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        loss: Tensor = self.criterion(self.model(x), y)
        self.log(name, loss, on_step=False, on_epoch=True, batch_size=len(x))
        return loss


class Losses(pl.Callback):  # type: ignore[misc]  # its type is not known
    """Keeps the mean losses of every epoch."""

    def __init__(self) -> None:
        self.record: dict[str, list[float]] = {"train": [], "valid": []}

    def on_train_epoch_end(self, trainer: Any, _module: Any) -> None:  # noqa: ANN401  Lightning's
        """Validation is over here too."""
        for name, losses in self.record.items():
            losses.append(trainer.callback_metrics[name].item())


def main() -> None:
    """Train, predict, and write what the plain script writes."""
    options = plain_script.parse_arguments(None)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # its advice to use worker processes and more logging
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    config = plain_script.read_config(options.submission)
    x, y, test_x, test_ids = plain_script.read_course(options)
    module = Course(*plain_script.build(options.submission, config, options.task), config)
    tr_set, dv_set = plain_script.loaders(x, y, config, config["batch_size"])
    losses = Losses()
    trainer = pl.Trainer(
        max_epochs=config["epochs"],
        accelerator="cpu",
        callbacks=[losses],
        gradient_clip_val=config.get("grad_clip"),
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    started = time.perf_counter()
    trainer.fit(module, tr_set, dv_set)
    trained = time.perf_counter()
    rows = plain_script.CourseDataset(test_x)
    tt_set: DataLoader[Any] = DataLoader(rows, config["batch_size"], shuffle=False)
    preds = torch.cat(trainer.predict(module, tt_set))
    took = {"train_seconds": trained - started, "predict_seconds": time.perf_counter() - trained}
    plain_script.write_results(options, test_ids, preds, losses.record, took)


if __name__ == "__main__":
    main()
