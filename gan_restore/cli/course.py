"""`gan-restore course`: run every notebook without a browser."""

import sys
from pathlib import Path
from typing import Annotated

import tyro

from gan_restore.cli.arguments import parse
from gan_restore.inference.devices import Device
from gan_restore.recipes.base import Scale
from gan_restore.recipes.names import RECIPES


def main(args: list[str]) -> None:
    """Run the notebooks. Exits with code 1 if one of them fails."""

    def run(
        scale: Scale = "smoke",
        recipes: Annotated[tuple[str, ...], tyro.conf.arg(metavar="RECIPE ...")] = tuple(RECIPES),
        data: Path | None = None,
        out: Path = Path("runs/course"),
        seed: int = 0,
        device: Device = "auto",
        jobs: int | None = None,
    ) -> None:
        """Run every notebook without a browser, several at a time, and make a site of them, OUT/SCALE/site.

        Example: gan-restore course --scale smoke --recipes unet-denoiser

        Args:
            scale: smoke takes minutes on two CPU cores; small and full need data sets and a GPU.
            recipes: Recipes to train and evaluate.
            data: For small and full: the folder that holds their data sets by name, such as div2k.
            out: Folder for the results.
            seed: Seed of all random numbers.
            device: Device to compute on; auto uses a GPU if there is one.
            jobs: Notebooks that run at the same time; the default is one for each core, at most 4, and 1 on a GPU.
        """
        from gan_restore.course import CourseFailed, run_course

        try:
            run_course(scale, recipes, data, out, seed, device, jobs)
        except CourseFailed as failed:
            print(f"gan-restore: {failed}", file=sys.stderr)
            raise SystemExit(1) from None

    parse(run, args, "gan-restore course")
