"""What a process of its own imports."""

import subprocess
import sys

HEAVY = {"torch", "torchvision", "faiss", "pandas", "onnxruntime", "numpy", "skimage"}


def modules_after(statement: str) -> set[str]:
    """The modules that are imported once a new process has run the statement."""
    code = f"{statement}; import sys; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())
