"""What each option of `unet-denoiser` brings: the default, each option taken back alone, and the published all.

    python benchmarks/unet_denoiser_options.py --data fer2013.zip

Trains a small network once for each line (one epoch, width 8) and prints validation PSNR in the order measured.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import tyro

from gan_restore import recipes, training
from gan_restore.files import read_csv
from gan_restore.inference.devices import Compute
from gan_restore.recipes.unet_denoiser import UnetDenoiser

LINES = {
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


@dataclass
class Options:
    data: str
    """fer2013.csv or its zip."""
    epochs: int = 1
    """Epochs of each run."""
    width: int = 8
    """Width of each network."""
    precision: str = "auto"
    """Lightning Fabric's precision."""


def main(options: Options) -> None:
    print("| variant | PSNR on PublicTest (dB) | training seconds |\n|---|---|---|")
    for name, changes in LINES.items():
        common = {
            "data": options.data,
            "epochs": options.epochs,
            "width": options.width,
            "batch_size": 16,
            "ema": 0.99,
        }
        recipe = recipes.get("unet-denoiser", "small", **(common | changes))
        with tempfile.TemporaryDirectory() as folder:
            training.train(recipe, folder, Compute(precision=options.precision))
            last = read_csv(Path(folder) / "metrics.csv")[-1]
        print(f"| {name} | {last['val_psnr']:.2f} | {last['seconds']:.0f} |", flush=True)


if __name__ == "__main__":
    main(tyro.cli(Options))
