"""`gan-restore evaluate`: compares trained networks with the classical methods."""

from pathlib import Path

from tyro.conf import OmitArgPrefixes, Positional

from gan_restore import evaluation
from gan_restore.cli.arguments import parse
from gan_restore.data.layouts import Split
from gan_restore.files import write_json
from gan_restore.inference.devices import Compute


def main(args: list[str]) -> None:
    """Compare a checkpoint with the classical methods."""

    def run(
        run: Positional[Path],
        data: str | None = None,
        split: Split = "test",
        limit: int = 0,
        out: Path | None = None,
        skip_unreadable: bool = False,
        compute: OmitArgPrefixes[Compute] = Compute(),  # noqa: B008
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
            compute: Device and precision.
        """
        rows = evaluation.evaluate_checkpoint(run, data, split, limit, compute, skip_unreadable=skip_unreadable)
        print(evaluation.as_text(rows))
        if out:
            write_json(out, rows)

    parse(run, args, "gan-restore evaluate")
