"""Downloading and reading pretrained weights."""

import pickle
import re
from pathlib import Path

import torch
from torch import Tensor

from gan_restore.files import UserError


def weights_file(url: str, path: str | Path | None = None) -> Path:
    """The file of trained weights: `path` if it is given, else torch hub's cache, filled from `url` if need be.

    Raises:
        UserError: if `path` is missing, or nothing is in the cache and the download fails.
    """
    if path is not None:
        if not Path(path).is_file():
            raise UserError(f"no such file: {path}; fetch {url} and give its path")
        return Path(path)
    cached = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[1]
    if not cached.is_file():
        checksum = re.search(r"-([0-9a-f]{8,})\.", cached.name)
        try:
            cached.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(cached), checksum and checksum[1])
        except (OSError, RuntimeError) as error:  # no network, a full disk, a wrong checksum
            raise UserError(f"cannot download {url}: {error}; fetch it elsewhere and put it at {cached}") from None
    return cached


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors in a file of weights; code in it is not run.

    Raises:
        UserError: if the file is cut short or holds something else.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError):
        raise UserError(f"{path} is cut short or no file of weights; fetch it again") from None
