"""`gan-restore evaluate`: compares trained networks with the classical methods."""

from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from gan_restore import evaluation
from gan_restore.cli.arguments import parse
from gan_restore.data.layouts import Split
from gan_restore.files import write_json
from gan_restore.inference.devices import Compute, Device, Precision


def main(args: list[str]) -> None:
    """Compare a checkpoint with the classical methods."""

    def run(
        run: Positional[Path],
        data: str | None = None,
        split: Split = "test",
        limit: int = 0,
        out: Path | None = None,
        skip_unreadable: bool = False,
        device: Device = "auto",
        precision: Literal["auto"] | Precision = "auto",
        compile: Literal["off", "on"] = "off",
    ) -> None:
        """Compare a trained network with the degraded input and every classical method on the same degraded images.

        Example: gan-restore evaluate runs/unet-denoiser-smoke --out results.json

        Args:
            run: A run folder, a checkpoint (best.safetensors) or the name of a model (gan-restore models).
            data: Clean images to degrade and restore; by default the data set that the run was trained on.
            split: The split to measure on. Training uses train, and val chooses the epoch, so scores on these two
                are optimistic; all is for data sets that are made for testing.
            limit: Number of images, a random sample drawn with the recipe's seed; 0 takes all.
            out: Also write the table to this JSON file.
            skip_unreadable: Leave out image files that cannot be read instead of stopping.
            device: auto uses a GPU if there is one.
            precision: auto uses bfloat16 on GPUs that have it in hardware, and 32 bits elsewhere.
            compile: on compiles the networks with torch.compile first; docs/restoring.md says when it pays.
        """
        compute = Compute(device, precision=precision, compile=compile)
        rows = evaluation.evaluate_checkpoint(run, data, split, limit, compute, skip_unreadable=skip_unreadable)
        print(evaluation.as_text(rows))
        if out:
            write_json(out, rows)

    parse(run, args, "gan-restore evaluate")
