"""What a result was computed with: versions, commit, device, precision."""

import importlib.metadata
import platform
import subprocess
from pathlib import Path

import torch

PACKAGES = (
    "gan-restore",
    "torch",
    "torchvision",
    "lightning-fabric",
    "torchmetrics",
    "scikit-image",
    "numpy",
)


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that can change a result.

    Example:
        >>> {"python", "gan-restore", "torch"} <= set(versions())
        True
    """
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in PACKAGES}


def device_name(device: torch.device) -> str:
    """A readable name of a device, such as "NVIDIA H100 80GB HBM3" or "CPU, 2 threads"."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return "Apple GPU"
    return f"{device.type.upper()}, {torch.get_num_threads()} threads"


def commit() -> str | None:
    """The git commit of this library, followed by "-dirty" if tracked files were changed since.

    None where the library was not installed from a clone (`pip install -e`), or git is missing.
    """
    package = Path(__file__).parent.parent
    git = ["git", "-C", str(package)]
    try:
        # Inside somebody else's repository (a virtual environment in a project), the package is not tracked.
        subprocess.run([*git, "ls-files", "--error-unmatch", "__init__.py"], check=True, capture_output=True)
        described = subprocess.run(
            [*git, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return None
    return described.stdout.strip()
