"""The device that a network is trained on."""

import torch


def best_device() -> torch.device:
    """An accelerator where there is one, else the CPU."""
    if torch.accelerator.is_available():
        return torch.accelerator.current_accelerator() or torch.device("cpu")
    return torch.device("cpu")


def prefers_bfloat16(device: torch.device) -> bool:
    """Whether it multiplies bfloat16 matrices faster than float32 ones.

    Of CPUs those with AMX do: fine-tuning took half the time. Others only emulate it.
    """
    return device.type != "cpu" or bool(torch.cpu.get_capabilities().get("amx_bf16", False))
