"""Fine-tuning the last stages of a network on categories.

AdamW; learning rates that grow towards the head, warm up and decay as a cosine; label smoothing;
photos augmented anew in each epoch. Everything random is a function of (seed, epoch, photo), so
that a killed run, resumed from its last complete epoch, gives the same result.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import cos, isfinite, pi
from pathlib import Path
from time import monotonic
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter
from torch import Tensor
from torch.nn import functional

from models.domain.errors import InvalidInput
from models.encoders.networks.architectures import PhotoTransform
from models.training.data.arrays import OnProgress
from models.training.data.augment import Augmentation, augment
from models.training.data.pixels import PixelSet
from models.training.losses import create_loss
from models.training.network import FineTunedNetwork
from models.training.recipe import Recipe
from models.training.state import load_state, save_state

WARM_UP: Final = 0.1
"""The share of all steps in which learning rates rise."""
STAGE_DECAY: Final = 0.3
"""The learning rate of each stage, as a share of that of the stage after it."""
WEIGHT_DECAY: Final = 0.01
CROP_SHARE: Final = 0.8
"""The side of training crops, as a share of the side at inference.

Random crops show objects larger than whole photos do; a larger inference size makes up for it, and
training costs less. Touvron et al., "Fixing the train-test resolution discrepancy", NeurIPS 2019.
"""
VALIDATION_BATCH: Final = 64


@dataclass(frozen=True, slots=True)
class Epoch:
    """Figures of an epoch: mean losses, accuracies (shares of photos), seconds.

    Those of training are of augmented photos, by a network that was still learning.
    """

    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float
    seconds: float


_EPOCHS: Final = TypeAdapter(list[Epoch])


class FineTuning:
    """A fine-tuning run, resumed from its checkpoint if there is one."""

    def __init__(
        self,
        network: FineTunedNetwork,
        train: PixelSet,
        validation: PixelSet,
        recipe: Recipe,
        transform: PhotoTransform,
        device: torch.device,
    ) -> None:
        self.network = network.to(device)
        self._train = train
        self._validation = validation
        self._recipe = recipe
        self._transform = transform
        self._device = device
        self._optimiser = torch.optim.AdamW(_parameter_groups(network, recipe.lr))
        self._loss = create_loss(
            train.targets,
            len(network.weight),
            recipe.metric_loss,
            recipe.metric_weight,
            device,
        )
        self.history: list[Epoch] = []
        self._best: dict[str, Tensor] = {}

    @property
    def best(self) -> int:
        """The number of the epoch with the lowest validation loss, from 0 on.

        Not by accuracy, which varies by a few photos from one epoch to the next.
        """
        losses = [epoch.validation_loss for epoch in self.history]
        return losses.index(min(losses))

    def run(
        self, checkpoint: Path, on_epoch: Callable[[int, Epoch], None], on_progress: OnProgress
    ) -> None:
        """Train to the end, then restore the weights of the best epoch.

        `on_epoch` gets each epoch once it is in the checkpoint. Raises `WeightsRefused`
        for a damaged checkpoint, and `InvalidInput` if training diverges: the rate is too high.
        """
        if checkpoint.is_file():
            self._restore(checkpoint)
        while not self._has_ended():
            number = len(self.history)
            self.history.append(self._epoch(number, on_progress))
            if self.best == number:
                self._best = _copies(self.network.trainable_parameters())
            self._save(checkpoint)
            on_epoch(number, self.history[-1])
        _assign(self.network.trainable_parameters(), self._best)

    def _has_ended(self) -> bool:
        done = len(self.history)
        return done >= self._recipe.epochs or (
            done > 0 and done - 1 - self.best >= self._recipe.patience
        )

    def _epoch(self, number: int, on_progress: OnProgress) -> Epoch:
        started = monotonic()
        losses, right = 0.0, 0
        batches = list(self._batches(number))
        for done, rows in enumerate(batches):
            self._set_learning_rates(
                number * len(batches) + done, self._recipe.epochs * len(batches)
            )
            photos = augment(
                self._train.photos(rows).to(self._device),
                rows,
                size=round(self._recipe.size * CROP_SHARE),
                seed=self._recipe.seed,
                epoch=number,
                augmentation=Augmentation(),
            )
            targets = self._targets(self._train, rows)
            output = self.network(self._normalised(photos))
            loss = self._loss(output, targets)
            self._optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self._optimiser.step()
            losses += loss.item()
            right += int((output.logits.argmax(dim=1) == targets).sum())
            on_progress(number * len(batches) + done + 1, self._recipe.epochs * len(batches))
        if not isfinite(losses):
            raise InvalidInput("Training has diverged: a smaller learning rate (--lr) is needed.")
        return Epoch(
            losses / len(batches),
            right / sum(map(len, batches)),
            *self.validate(),
            monotonic() - started,
        )

    def _batches(self, epoch: int) -> Iterator[NDArray[np.int64]]:
        """All photos in a new order; an incomplete last batch is dropped."""
        order = np.random.default_rng((self._recipe.seed, epoch)).permutation(len(self._train))
        size = min(self._recipe.batch, len(order))
        for start in range(0, len(order) - size + 1, size):
            yield order[start : start + size]

    def _set_learning_rates(self, step: int, steps: int) -> None:
        rising = max(1, round(steps * WARM_UP))
        if step < rising:
            share = (step + 1) / rising
        else:
            share = (1 + cos(pi * (step - rising) / (steps - rising))) / 2
        for group in self._optimiser.param_groups:
            group["lr"] = group["max_lr"] * share

    @torch.no_grad()
    def validate(self) -> tuple[float, float]:
        """Loss and accuracy on the validation photos, transformed as for searches."""
        loss, right = 0.0, 0
        transform = self._transform
        start = round((transform.resize - transform.crop) / 2)
        middle = slice(start, start + transform.crop)
        for first in range(0, len(self._validation), VALIDATION_BATCH):
            rows = range(first, min(first + VALIDATION_BATCH, len(self._validation)))
            photos = self._validation.photos(rows)[:, :, middle, middle].to(self._device)
            targets = self._targets(self._validation, rows)
            logits = self.network(self._normalised(photos)).logits
            loss += functional.cross_entropy(logits, targets, reduction="sum").item()
            right += int((logits.argmax(dim=1) == targets).sum())
        return loss / len(self._validation), right / len(self._validation)

    def _normalised(self, photos: Tensor) -> Tensor:
        mean, std = (
            photos.new_tensor(values)[:, None, None]
            for values in (self._transform.mean, self._transform.std)
        )
        return ((photos - mean) / std).contiguous(memory_format=torch.channels_last)

    def _targets(self, pixels: PixelSet, rows: Sequence[int] | NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(pixels.targets[np.asarray(rows)]).to(self._device)

    def _save(self, checkpoint: Path) -> None:
        moments = {
            f"{number}.{name}": value
            for number, values in self._optimiser.state_dict()["state"].items()
            for name, value in values.items()
        }
        save_state(
            checkpoint,
            _prefixed("network", self.network.trainable_parameters())
            | _prefixed("best", self._best)
            | _prefixed("moments", moments),
            {"history": [asdict(epoch) for epoch in self.history]},
        )

    def _restore(self, checkpoint: Path) -> None:
        tensors, facts = load_state(checkpoint)
        _assign(self.network.trainable_parameters(), _with_prefix("network", tensors))
        self._best = _with_prefix("best", tensors)
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in _with_prefix("moments", tensors).items():
            number, _, moment = name.partition(".")
            state.setdefault(int(number), {})[moment] = value
        groups = self._optimiser.state_dict()["param_groups"]
        self._optimiser.load_state_dict({"state": state, "param_groups": groups})
        self.history = _EPOCHS.validate_python(facts["history"])


def _parameter_groups(network: FineTunedNetwork, rate: float) -> list[dict[str, object]]:
    """The trained parameters by learning rate; weight decay applies to matrices only."""
    stages = list(reversed(network.tuned))
    groups: list[dict[str, object]] = [
        {"params": [network.weight], "max_lr": rate, "weight_decay": 0.0}
    ]
    for distance, stage in enumerate(stages):
        for is_matrix in (True, False):
            chosen = [one for one in stage.parameters() if (one.ndim > 1) is is_matrix]
            groups.append(
                {
                    "params": chosen,
                    "max_lr": rate * STAGE_DECAY**distance,
                    "weight_decay": WEIGHT_DECAY if is_matrix else 0.0,
                }
            )
    return groups


def _copies(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in tensors.items()}


@torch.no_grad()
def _assign(tensors: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        tensor.copy_(values[name])


def _prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}/{name}": value for name, value in tensors.items()}


def _with_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(f"{prefix}/"): value
        for name, value in tensors.items()
        if name.startswith(f"{prefix}/")
    }
