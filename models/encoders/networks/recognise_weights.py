"""The program that `recognition` starts: prints what network the file in its argument is of."""

import json
import sys
from pathlib import Path

from models.domain.errors import WeightsRefused
from models.encoders.networks.build import recognise
from models.encoders.networks.recognition import NETWORK, REFUSED


def main(weights: Path) -> None:
    """Print a JSON object: the network's name, or why the file is refused."""
    try:
        answer = {NETWORK: recognise(weights).name}
    except WeightsRefused as error:
        answer = {REFUSED: str(error)}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
