"""`gan-restore course`: run every notebook without a browser."""

from pathlib import Path
from typing import Annotated

import tyro

from gan_restore.cli.arguments import parse
from gan_restore.inference.devices import Device
from gan_restore.recipes.base import Scale
from gan_restore.recipes.names import RECIPES


def main(args: list[str]) -> None:
    """Run the notebooks."""

    def run(
        scale: Scale = "smoke",
        recipes: Annotated[tuple[str, ...], tyro.conf.arg(metavar="RECIPE ...")] = tuple(RECIPES),
        data: Path | None = None,
        out: Path = Path("runs/course"),
        seed: int = 0,
        device: Device = "auto",
    ) -> None:
        """Run every notebook without a browser and make a page of the results, OUT/SCALE/index.html.

        Example: gan-restore course --scale smoke --recipes unet-denoiser

        Args:
            scale: smoke takes minutes on two CPU cores; small and full need data sets and a GPU.
            recipes: Recipes to train and evaluate.
            data: For small and full: the folder that holds their data sets by name, such as div2k.
            out: Folder for the results.
            seed: Seed of all random numbers.
            device: Device to compute on; auto uses a GPU if there is one.
        """
        from gan_restore.course import run_course

        run_course(scale, recipes, data, out, seed, device)

    parse(run, args, "gan-restore course")
