"""Training workflows: a linear probe on a frozen encoder, or a fine-tuned network and its head."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from models.domain.durable_files import sha256_of
from models.domain.types import EncoderSpec
from models.encoders.encoder import Encoder
from models.encoders.networks.architectures import Architecture, PhotoTransform
from models.encoders.networks.build import FeatureNetwork, build_network
from models.encoders.package import write_package
from models.encoders.specs import network_spec
from models.encoders.torch_encoder import TorchEncoder
from models.head import CategoryHead, head_path
from models.training.charts import draw_curves
from models.training.data.split import Part
from models.training.device import best_device, prefers_bfloat16
from models.training.finetune import Epoch, FineTuning
from models.training.measure import Candidate, calibrated, measure, measure_gain
from models.training.network import FineTunedNetwork
from models.training.probe import LinearProbe, best_probe, train_probes
from models.training.recipe import Recipe
from models.training.runs import FineTuneDetails, ProbeDetails, Run, RunMetrics
from models.training.scalars import scalar_log
from models.training.state import save_state

Vectors = Mapping[Part, NDArray[np.float32]]

CURVES: Final = "curves.png"
TENSORBOARD: Final = "tensorboard"
CHECKPOINT: Final = "checkpoint.safetensors"
WEIGHTS: Final = "weights.safetensors"

LOGIT_SCALE: Final = 16.0
"""Multiplies cosines to give logits: an inverse temperature."""


def train_probe(run: Run, encoder: Encoder, models_dir: Path) -> RunMetrics:
    """Train a head for a frozen encoder, save it in its package, and return its metrics."""
    torch.set_num_threads(run.threads)
    started = monotonic()
    vectors = run.vectors(encoder)
    featured = monotonic()
    probes = _probes(run, vectors)
    candidate = _probe_candidate(run, encoder.spec, vectors, best_probe(probes))
    seconds = {"features": featured - started, "training": monotonic() - featured}
    accuracies = [probe.accuracy for probe in probes]
    with scalar_log(run.folder / TENSORBOARD) as log:
        for step, accuracy in enumerate(accuracies):
            log(step, {"accuracy/validation": accuracy})
    draw_curves(
        run.folder / CURVES,
        ("1 / penalty", [probe.strength for probe in probes]),
        {"accuracy": {"validation": accuracies}},
        x_scale="log",
    )
    metrics = measure(candidate, run.parts, run.split.seed)
    candidate.head.save(head_path(models_dir, encoder.spec))
    return run.finish(candidate, metrics, ProbeDetails(best_probe(probes).strength, seconds))


def fine_tune(
    run: Run, architecture: Architecture, weights: Path, recipe: Recipe, models_dir: Path
) -> RunMetrics:
    """Fine-tune the last stages of a network of these weights; write it as a package with its head.

    Returns its metrics and those of a probe on the network before, at the same photo size.
    """
    torch.set_num_threads(run.threads)
    started = monotonic()
    transform = architecture.transform.of_size(recipe.size)
    plain = _encoder(run, architecture, weights, transform)
    vectors = run.vectors(plain)
    before = _probe_candidate(run, plain.spec, vectors, best_probe(_probes(run, vectors)))
    featured = monotonic()
    network = build_network(architecture, weights)
    tuning = _train_network(run, network, recipe, transform, _class_means(run, vectors))
    trained = monotonic()
    tuned = _encoder(run, architecture, run.folder / WEIGHTS, transform)
    after = _trained_candidate(run, tuning.network, tuned)
    metrics = measure(after, run.parts, run.split.seed)
    details = FineTuneDetails(
        probe=measure(before, run.parts, run.split.seed),
        gain=measure_gain(before, after, run.parts, run.split.seed),
        best_epoch=tuning.best + 1,
        epochs=tuning.history,
        seconds={
            "features": featured - started,
            "training": sum(epoch.seconds for epoch in tuning.history),
            "measuring": monotonic() - trained,
        },
    )
    measured = asdict(metrics)
    facts = {
        "from": plain.spec.fingerprint,
        "photos": run.split.digest,
        **run.config,
        "accuracy": measured["accuracy"],
        "search": measured["search"],
    }
    write_package(
        models_dir,
        architecture,
        weights=run.folder / WEIGHTS,
        transform=transform,
        facts={"training": facts},
    )
    after.head.save(head_path(models_dir, after.encoder))
    return run.finish(after, metrics, details)


def _encoder(
    run: Run, architecture: Architecture, weights: Path, transform: PhotoTransform
) -> TorchEncoder:
    spec = network_spec(architecture, sha256_of(weights), transform)
    return TorchEncoder(spec, architecture, weights, run.threads, transform)


def _probes(run: Run, vectors: Vectors) -> list[LinearProbe]:
    return train_probes(
        vectors[Part.TRAIN],
        run.parts[Part.TRAIN].targets,
        vectors[Part.VALIDATION],
        run.parts[Part.VALIDATION].targets,
        partial(run.on_progress, "probes"),
    )


def _probe_candidate(
    run: Run, spec: EncoderSpec, vectors: Vectors, probe: LinearProbe
) -> Candidate:
    head = CategoryHead(run.split.categories, probe.weight, probe.bias, 1.0, spec.fingerprint)
    return calibrated(Candidate(spec, vectors, head), run.parts)


def _class_means(run: Run, vectors: Vectors) -> NDArray[np.float32]:
    """The mean vector of each category, (categories, dimension), to initialise a head."""
    targets = run.parts[Part.TRAIN].targets
    centres = [vectors[Part.TRAIN][targets == number] for number in range(run.categories)]
    return np.stack([vectors.mean(axis=0) for vectors in centres])


def _train_network(
    run: Run,
    network: FeatureNetwork,
    recipe: Recipe,
    transform: PhotoTransform,
    head: NDArray[np.float32],
) -> FineTuning:
    """Train or resume, and keep the weights of the best epoch in the run's folder."""
    device = best_device()
    tuning = FineTuning(
        FineTunedNetwork(
            network,
            recipe.stages,
            torch.from_numpy(head),
            scale=LOGIT_SCALE,
            mixed=prefers_bfloat16(device),
        ),
        run.pixels(Part.TRAIN, transform.resize),
        run.pixels(Part.VALIDATION, transform.resize),
        recipe,
        transform,
        device,
    )
    with scalar_log(run.folder / TENSORBOARD) as log:

        def on_epoch(number: int, epoch: Epoch) -> None:
            log(number, {name.replace("_", "/"): value for name, value in asdict(epoch).items()})
            run.on_message(
                f"epoch {number + 1}: loss {epoch.loss:.3f}, accuracy {epoch.accuracy:.1%}, "
                f"validation {epoch.validation_accuracy:.1%}, {epoch.seconds:.0f} s"
            )

        tuning.run(run.folder / CHECKPOINT, on_epoch, partial(run.on_progress, "training"))
    save_state(run.folder / WEIGHTS, network.body.state_dict(), {})
    _draw_history(run.folder / CURVES, tuning.history)
    return tuning


def _trained_candidate(run: Run, network: FineTunedNetwork, encoder: TorchEncoder) -> Candidate:
    """The trained network as an encoder, with its calibrated head."""
    weight = network.head_weight().detach().cpu().numpy()
    bias = np.zeros(run.categories, np.float32)
    head = CategoryHead(run.split.categories, weight, bias, 1.0, encoder.spec.fingerprint)
    return calibrated(Candidate(encoder.spec, run.vectors(encoder), head), run.parts)


def _draw_history(path: Path, history: Sequence[Epoch]) -> None:
    draw_curves(
        path,
        ("epoch", [float(number + 1) for number in range(len(history))]),
        {
            "loss": {
                "train": [epoch.loss for epoch in history],
                "validation, categories alone": [epoch.validation_loss for epoch in history],
            },
            "accuracy": {
                "train, changed photos": [epoch.accuracy for epoch in history],
                "validation": [epoch.validation_accuracy for epoch in history],
            },
        },
    )
