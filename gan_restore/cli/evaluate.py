"""`gan-restore evaluate`: a trained model beside the classical methods."""

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
        """Compare a trained model with the input and every classical method, under the same damage.

        Example: gan-restore evaluate runs/unet-denoiser-smoke --out results.json

        Args:
            run: A run folder or a best.safetensors.
            data: Clean images to damage and restore; by default those that the run was trained on.
            split: Which split of them; "all" for a set that is for testing only.
            limit: Take only the first so many images; 0 takes all.
            out: Also write the table to this JSON file.
            skip_unreadable: Leave out damaged image files instead of stopping.
            compute: Where to compute.
        """
        rows = evaluation.evaluate_checkpoint(run, data, split, limit, compute, skip_unreadable=skip_unreadable)
        print(evaluation.as_text(rows))
        if out:
            write_json(out, rows)

    parse(run, args, "gan-restore evaluate")
