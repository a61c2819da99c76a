"""Fixtures that the tests share: small photos, a small FER2013, a file in VGG19's layout."""

import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch._dynamo.backends.registry import lookup_backend
from torchvision.models import vgg19

from gan_restore.images import write
from gan_restore.inference import compiling, models

# A job in the background of a shell ignores Ctrl-C, and so would the tests and the processes that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
torch.set_num_threads(1)  # the tests' tensors are so small that threads cost more than they save


@pytest.fixture
def photo() -> torch.Tensor:
    """A smooth colour picture with an edge, 1 x 3 x 48 x 64, without pure black or white."""
    rows, columns = torch.meshgrid(torch.linspace(0.1, 0.9, 48), torch.linspace(0.1, 0.9, 64), indexing="ij")
    image = torch.stack([rows, columns, (rows + columns) / 2])
    image[:, 20:30, 20:40] = torch.tensor([0.8, 0.3, 0.2])[:, None, None]
    return (image[None] * 255).round() / 255


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of 30 small photos of different sizes."""
    rng = np.random.default_rng(0)
    for i in range(30):
        height, width = 40 + i % 3, 44 + i % 5
        flat = rng.random((1, 3, 1, 1), dtype=np.float32) * 0.8 + 0.1
        noise = rng.random((1, 3, height, width), dtype=np.float32) * 0.1
        write(tmp_path / "photos" / f"photo_{i:02d}.png", torch.from_numpy(flat + noise))
    return tmp_path / "photos"


@pytest.fixture
def models_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, still missing, that the library takes for that of its models; `support.save_model` writes there."""
    monkeypatch.setattr(models, "MODELS", tmp_path / "models")
    return models.MODELS


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> list[torch.fx.GraphModule]:
    """The graphs that `torch.compile` made. Instead of compiling them, which takes a minute, PyTorch runs them."""
    found: list[torch.fx.GraphModule] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Callable[..., object]:
        found.append(graph)
        return lookup_backend("aot_eager")(graph, inputs)

    for name in compiling._OPTIONS:
        monkeypatch.setitem(compiling._OPTIONS, name, {"backend": backend})
    torch.compiler.reset()
    return found


@pytest.fixture
def fer_csv(tmp_path: Path) -> Path:
    """A small fer2013.csv in Kaggle's form."""
    rng = np.random.default_rng(0)
    lines = ["emotion,pixels,Usage"]
    for split, count in (("Training", 8), ("PublicTest", 3), ("PrivateTest", 2)):
        for _ in range(count):
            lines.append(f"3,{' '.join(map(str, rng.integers(0, 256, 48 * 48)))},{split}")
    path = tmp_path / "fer2013.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="session")
def vgg_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """VGG19's layout filled with random weights: only the machinery is tested, and no photo is judged by it."""
    torch.manual_seed(0)
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in vgg19().state_dict().items() if "features" in name}
    # One random kernel for each output, shared by all inputs, keeps the file small.
    state = {
        name: torch.randn(shape[0], 1, *shape[2:]).div(9 * shape[1] ** 0.5).expand(shape)
        if len(shape) == 4
        else 0.1 * torch.rand(shape)
        for name, shape in shapes.items()
    }
    path = tmp_path_factory.mktemp("weights") / "vgg19-dcbb9e9d.pth"
    torch.save(state, path)
    return path
