"""Creates `.venv` with everything installed. Uses only the standard library: it runs first."""

import hashlib
import subprocess
import sys
import threading
import urllib.request
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / ".installed"
MINIMUM = (3, 11)
# All that is installed but torch: versions, and the SHA-256 of their files. `make lock` writes it.
LOCK = "requirements-dev.lock"

# The default build of torch for Linux carries several GB for GPUs; this index has the CPU build.
# Where it can't be reached, pip takes whatever build its own configuration leads to. Which build
# that is can't be known when the lock is written: torch is pinned by version, and not by hashes.
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
TORCH = ("torch==2.13.*", "torchvision==0.28.*")
REACHABLE_WITHIN_S = 3.0


def main() -> None:
    """Install unless nothing has changed since the last time."""
    if sys.version_info < MINIMUM:
        sys.exit(f"Marketlens needs Python {MINIMUM[0]}.{MINIMUM[1]} or newer: make PYTHON=...")
    wanted = fingerprint()
    if STAMP.exists() and STAMP.read_text() == wanted:
        return
    create_venv()
    print("Installing into .venv (a minute or two the first time) ...", flush=True)
    if not has_torch():
        pip(*cpu_index_options(), *TORCH)
    # The lock is complete: nothing is resolved, and no file is taken that is not in it.
    pip("--require-hashes", "--no-deps", "--requirement", str(ROOT / LOCK))
    # Built by the setuptools of the lock, not by one that is fetched for it.
    pip("--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    STAMP.write_text(wanted)


def fingerprint() -> str:
    """Changes when what is to be installed does."""
    digest = hashlib.sha256(sys.version.encode())
    for name in ("pyproject.toml", LOCK):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def create_venv() -> None:
    """Make the virtual environment if it is not there."""
    if (VENV / "bin" / "pip").exists():
        return
    try:
        venv.create(VENV, with_pip=True, clear=True)
    except subprocess.CalledProcessError:
        sys.exit(
            "Python can't make a virtual environment here. On Debian and Ubuntu: "
            "apt install python3-venv"
        )


def has_torch() -> bool:
    """Whether a torch is installed already: a CPU build must not be replaced."""
    return any(VENV.glob("lib/python*/site-packages/torch/__init__.py"))


def cpu_index_options() -> list[str]:
    """Options that take torch from the CPU index, if it answers soon; pip would retry for long."""
    answered = threading.Event()

    def ask() -> None:
        try:
            with urllib.request.urlopen(f"{CPU_INDEX}/torch/", timeout=REACHABLE_WITHIN_S):
                answered.set()
        except OSError:
            pass

    # In a thread, because looking a name up has no time limit of its own.
    threading.Thread(target=ask, daemon=True).start()
    if answered.wait(REACHABLE_WITHIN_S):
        # What it needs is in the lock.
        return ["--no-deps", "--index-url", CPU_INDEX]
    print("The PyTorch CPU index can't be reached; using the package index as configured.")
    return []


def pip(*arguments: str) -> None:
    """Run the environment's pip; end with its exit code if it fails."""
    command = [str(VENV / "bin" / "python"), "-m", "pip", "install", *arguments]
    # A terminal shows progress; a log only needs errors.
    quiet = [] if sys.stdout.isatty() else ["--quiet"]
    done = subprocess.run([*command, "--disable-pip-version-check", *quiet], check=False)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    main()
