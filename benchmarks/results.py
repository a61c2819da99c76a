"""Train every recipe on real data and compare it with the classical methods on test images.

    python benchmarks/results.py DATA --size cpu     # each recipe takes at most half an hour on one core
    python benchmarks/results.py DATA --size small   # the scale `small`, for a GPU
    python benchmarks/tables.py runs/results/cpu     # write the tables in docs/ from the results

DATA is a folder that holds fer2013.zip, faces/ (with train/ and val/), bsd400/, cbsd68/ and set5/. A recipe whose
run is finished is only evaluated; a run that was stopped is resumed. No test image takes part in training or in the
choice of the best epoch.
"""

import sys
from pathlib import Path
from typing import Any, Literal

import torch
import tyro

from gan_restore import evaluation, training
from gan_restore.cli.arguments import parse
from gan_restore.files import UserError, read_csv, write_json
from gan_restore.inference.checkpoints import LAST, METRICS
from gan_restore.inference.devices import Compute
from gan_restore.recipes.names import RECIPES
from gan_restore.recipes.names import get as get_recipe

# recipe -> (trained on, tested on, split of the latter). The best epoch is chosen on `val` of the former.
DATA = {
    "unet-denoiser": ("fer2013.zip", "fer2013.zip", "test"),
    "pix2pix": ("faces", "faces", "test"),
    "resnet-gan": ("bsd400", "cbsd68", "all"),
    "face-cgan": ("faces", "faces", "test"),
    "srgan": ("bsd400", "set5", "all"),
}
# In half an hour one core computes a few thousand steps of a small network. These values differ from `small`.
_FEW = {
    "learning_rate": 7e-4, "batch_size": 8, "crops_per_image": 2, "val_images": 20, "discriminator_width": 16,
    "ema": 0.99,
}  # fmt: skip
CPU: dict[str, dict[str, Any]] = {
    "unet-denoiser": {},
    "pix2pix": {**_FEW, "width": 32, "levels": 5, "image_size": 128, "epochs": 8},
    "resnet-gan": {
        "width": 32, "blocks": 4, "discriminator_width": 32, "image_size": 96, "batch_size": 8,
        "crops_per_image": 16, "epochs": 6, "learning_rate": 1e-3, "val_images": 10,
    },
    "face-cgan": {**_FEW, "width": 32, "blocks": 4, "image_size": 96, "epochs": 12},
    "srgan": {
        "width": 32, "blocks": 8, "crops_per_image": 40, "epochs": 5, "pretrain_epochs": 5, "learning_rate": 1e-3,
        "val_images": 10,
    },
}  # fmt: skip


def run(
    data: tyro.conf.Positional[Path],
    size: Literal["cpu", "small"] = "cpu",
    recipes: tuple[str, ...] = tuple(RECIPES),
    out: Path = Path("runs/results"),
    seed: int = 0,
) -> None:
    """Train every recipe on real data and evaluate it on test images; the results go to OUT/SIZE/results.json.

    Example: python benchmarks/results.py path/to/data --size cpu --recipes srgan

    Args:
        data: The folder of the data sets.
        size: cpu uses smaller networks and shorter runs than the scale small.
        recipes: Which recipes.
        out: The folder for the runs and the results.
        seed: The seed of all random draws.
    """
    compute = Compute(precision=fast_precision())
    results: dict[str, Any] = {"scale": size, "seed": seed, **compute.environment(compute.fabric().device)}
    results |= {"training": {}, "recipes": {}}
    for name in recipes:
        trained_on, tested_on, split = DATA[name]
        changes = CPU[name] if size == "cpu" else {}
        recipe = get_recipe(name, "small", data=str((data / trained_on).resolve()), seed=seed, **changes)
        folder = out / size / name
        training.train(recipe, folder, compute, resume=(folder / LAST).exists())
        rows = evaluation.evaluate_checkpoint(folder, str(data / tested_on), split, compute=compute)
        last = read_csv(folder / METRICS)[-1]
        results["training"][name] = {
            "trained_on": trained_on,
            "scale": "small",
            "changes": changes,
            "steps": int(last["step"]),
            "minutes": last["seconds"] / 60,
        }
        results["recipes"][name] = rows
        print(f"\n{evaluation.as_text(rows)}\n")
        write_json(out / size / "results.json", results)
    print(f"next: python benchmarks/tables.py {out / size}")


def fast_precision() -> Literal["auto", "bf16-mixed"]:
    """bfloat16 on a CPU that computes it in hardware, `auto` elsewhere: emulation takes several times longer.

    x86 processors compute it with AVX512-BF16 or AMX.
    """
    capabilities = torch.cpu.get_capabilities()
    in_hardware = capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")
    return "bf16-mixed" if in_hardware and not torch.cuda.is_available() else "auto"


if __name__ == "__main__":
    try:
        parse(run, sys.argv[1:], "python benchmarks/results.py")
    except UserError as error:
        sys.exit(f"results.py: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
