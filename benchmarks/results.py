"""Train every recipe on real data, evaluate it beside the classical methods, and write one table.

    python benchmarks/results.py DATA --size cpu     # each at most half an hour on one core
    python benchmarks/results.py DATA --size small   # the scale `small`, for a GPU

DATA holds fer2013.zip, faces/ (train/ and val/), bsd400/, cbsd68/ and set5/. A recipe whose run is finished is
evaluated only; one that was stopped goes on.
"""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from gan_restore import evaluation, recipes, training
from gan_restore.cli.arguments import parse
from gan_restore.files import UserError, read_csv, write_json
from gan_restore.inference.checkpoints import LAST, METRICS, read_recipe
from gan_restore.inference.devices import Compute
from gan_restore.recipes.names import RECIPES

# recipe -> (trained on, tested on, split of it)
DATA = {
    "unet-denoiser": ("fer2013.zip", "fer2013.zip", "val"),
    "pix2pix": ("faces", "faces", "val"),
    "resnet-gan": ("bsd400", "cbsd68", "all"),
    "face-cgan": ("faces", "faces", "val"),
    "srgan": ("bsd400", "set5", "all"),
}
# In half an hour one core makes some thousand steps of a small network: what differs from `small`.
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
    recipe_names: Annotated[tuple[str, ...], tyro.conf.arg(name="recipes")] = tuple(RECIPES),
    out: Path = Path("runs/results"),
    seed: int = 0,
) -> None:
    """Train and evaluate every recipe on real data.

    Example: python benchmarks/results.py ../shared/data --size cpu --recipes srgan

    Args:
        data: The folder of the data sets.
        size: cpu takes smaller networks than the scale small.
        recipe_names: Which recipes.
        out: Where the runs and the table go.
        seed: Where all randomness starts.
    """
    compute = Compute(precision="bf16-mixed" if size == "cpu" else "auto")
    results = {}
    for name in recipe_names:
        trained_on, tested_on, split = DATA[name]
        changes = CPU[name] if size == "cpu" else {}
        recipe = recipes.get(name, "small", data=str((data / trained_on).resolve()), seed=seed, **changes)
        folder = out / size / name
        training.train(recipe, folder, compute, resume=(folder / LAST).exists())
        rows = evaluation.evaluate_checkpoint(folder, str(data / tested_on), split, compute=compute)
        last = read_csv(folder / METRICS)[-1]
        results[name] = {
            "minutes": last["seconds"] / 60,
            "steps": int(last["step"]),
            "changes": changes,
            "recipe": dataclasses.asdict(read_recipe(folder)),
            "rows": rows,
        }
        print(f"\n{evaluation.as_text(rows)}\n")
        write_json(out / size / "results.json", results)
        (out / size / "results.md").write_text("\n".join(as_markdown(*item) for item in results.items()))
    print(f"The table: {out / size / 'results.md'}")


def as_markdown(name: str, result: dict[str, Any]) -> str:
    """A section for one recipe: how it was trained, and every restorer, the best last."""
    recipe, rows = result["recipe"], sorted(result["rows"], key=lambda row: row["psnr"])
    first = rows[0]
    changes = ", ".join(f"{field} {value}" for field, value in result["changes"].items())
    with_changes = f" but for {changes}" if changes else ""
    lines = [
        f"## {name}\n",
        f"Trained on {Path(recipe['data']).name}: {result['steps']:,} steps, {result['minutes']:.0f} minutes, seed "
        f"{recipe['seed']}, scale `small`{with_changes}. Measured on {first['n_images']} images of "
        f"{first['data']}, {first['channel']}, range {first['range']}, "
        f"{first['crop_border']} pixels of border left out. Damage: `{first['damage']}`.\n",
        "| method | kind | PSNR (dB) | SSIM | MSE |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['method']} | {row['kind']} | {row['psnr']:.2f} | {row['ssim']:.4f} | {row['mse']:.2e} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    try:
        parse(run, sys.argv[1:], "benchmarks/results.py")
    except UserError as error:
        sys.exit(f"results.py: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
