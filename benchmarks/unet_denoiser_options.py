"""Measure what each option of `unet-denoiser` changes: one option at a time, then all published options.

    python benchmarks/unet_denoiser_options.py --data fer2013.zip
    python benchmarks/tables.py runs/results/unet_denoiser_options    # write the table in docs/unet-denoiser.md

Trains a small network for each variant (one epoch, width 8) and measures PSNR on the validation split, since
options are chosen by it.
"""

import sys
import tempfile
from pathlib import Path

from gan_restore import recipes, training
from gan_restore.cli.arguments import parse
from gan_restore.files import UserError, read_csv, write_json
from gan_restore.inference.checkpoints import METRICS
from gan_restore.inference.devices import Compute
from gan_restore.recipes.unet_denoiser import UnetDenoiser

VARIANTS = {
    "default": {},
    "without residual": {"residual": False},
    "without mask_input": {"mask_input": False},
    "without either": {"residual": False, "mask_input": False},
    "with dropout 0.2": {"dropout": 0.2},
    "with BatchNorm": {"norm": "batch"},
    "without unshuffle": {"unshuffle": 1},
    "without lr_decay": {"lr_decay": "none"},
    "without ema": {"ema": 0.0},
    "with pixel_loss l1": {"pixel_loss": "l1"},
    "with adversarial_weight 1e-5": {"adversarial_weight": 1e-5, "discriminator_width": 16},
    "published options": {name: getattr(UnetDenoiser, name) for name in (*UnetDenoiser.improved, "ema")},
}


def run(
    data: Path,
    epochs: int = 1,
    width: int = 8,
    precision: str = "auto",
    out: Path = Path("runs/results/unet_denoiser_options"),
) -> None:
    """Train every variant and print its PSNR; the results go to OUT/results.json.

    Example: python benchmarks/unet_denoiser_options.py --data fer2013.zip

    Args:
        data: fer2013.csv or its zip.
        epochs: Epochs of each run.
        width: Width of each network.
        precision: Lightning Fabric's precision.
        out: The folder for the results.
    """
    compute = Compute(precision=precision).for_training()
    results = {"seed": 0, **compute.environment(compute.fabric().device), "data": "", "variants": []}
    for name, changes in VARIANTS.items():
        common = {"data": str(data), "epochs": epochs, "width": width, "batch_size": 16, "ema": 0.99}
        recipe = recipes.get("unet-denoiser", "small", **(common | changes))
        with tempfile.TemporaryDirectory() as folder:
            training.train(recipe, folder, compute)
            last = read_csv(Path(folder) / METRICS)[-1]
        results["data"] = f"{recipe.val_images} images of {data.name} (val)"
        results["variants"].append({"variant": name, "psnr": last["val_psnr"], "seconds": last["seconds"]})
        print(f"{name:30} {last['val_psnr']:6.2f} dB {last['seconds']:5.0f} s", flush=True)
        write_json(out / "results.json", results)
    print(f"next: python benchmarks/tables.py {out}")


if __name__ == "__main__":
    try:
        parse(run, sys.argv[1:], "python benchmarks/unet_denoiser_options.py")
    except UserError as error:
        sys.exit(f"unet_denoiser_options.py: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
