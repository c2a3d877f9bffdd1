"""Which network a file of weights is of, found out by a process of its own.

That process imports torch and reads a file that anybody may have made; this one stays small.
"""

from functools import lru_cache
from pathlib import Path
from typing import Final

from models.domain.errors import WeightsRefused
from models.domain.processes import ProgramFailed, run_program
from models.encoders.networks.architectures import Architecture, architecture_named

PROGRAM: Final = "models.encoders.networks.recognise_weights"
"""The program; it prints one JSON object, with the network's name or the reason of a refusal."""
NETWORK: Final = "network"
REFUSED: Final = "refused"


@lru_cache(maxsize=8)
def recognised(weights: Path, sha256: str) -> Architecture:
    """The network whose weights the file with this SHA-256 has; takes seconds the first time.

    Raises `WeightsRefused` if it is damaged, unsafe, or of no network here.
    """
    del sha256  # a file that has changed is read again
    if not _may_be_weights(weights):
        raise WeightsRefused(f"The weights in {weights} are neither safetensors nor a state dict.")
    try:
        answer = run_program(PROGRAM, str(weights))
    except ProgramFailed as error:
        raise WeightsRefused(f"The weights in {weights} can't be read: {error}") from error
    if REFUSED in answer:
        raise WeightsRefused(str(answer[REFUSED]))
    return architecture_named(str(answer[NETWORK]))


def _may_be_weights(path: Path) -> bool:
    """Whether it begins as safetensors do, or as what torch saves: a zip archive or a pickle."""
    with path.open("rb") as file:
        first = file.read(9)
    return first[8:] == b"{" or first.startswith((b"PK\x03\x04", b"\x80"))
