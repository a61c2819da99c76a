"""`gan-restore export`: a trained network as a file for programs without this library."""

from pathlib import Path

from tyro.conf import Positional

from gan_restore.cli.arguments import parse
from gan_restore.files import UserError
from gan_restore.inference.exporting import Format, export


def main(args: list[str]) -> None:
    """Export the network of a model, a checkpoint or a run.

    Raises:
        UserError: If there is no such model or checkpoint, or the file exists or cannot be written.
    """

    def run(model: Positional[str], out: Path, format: Format = "onnx", overwrite: bool = False) -> None:
        """Write a trained network to a file that onnxruntime or plain PyTorch can run.

        The network takes RGB images N x 3 x H x W in [0, 1] of any size. The file holds the network alone: it
        lacks the tiles for large photos, the repair over scales and the tone. docs/restoring.md says more.

        Example: gan-restore export x4 --out x4.onnx

        Example: gan-restore export runs/soft --format torch --out soft.pt2

        Args:
            model: The name of a model that is part of the package, a best.safetensors or a run folder.
            out: The file to write: .onnx or .pt2.
            format: onnx is Open Neural Network Exchange; torch is a program that torch.export.load reads.
            overwrite: Replace the file if it exists.
        """
        if out.exists() and not overwrite:
            raise UserError(f"{out} exists; give another --out, or --overwrite")
        export(model, out, format)
        print(f"wrote {out}, {out.stat().st_size / 1e6:.1f} MB")

    parse(run, args, "gan-restore export")
