"""The command line: `gan-restore recipes · train · evaluate · restore · course`."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, get_args

import tyro
from lightning_fabric.utilities.rank_zero import rank_zero_only
from tqdm.auto import tqdm
from tyro.conf import OmitArgPrefixes, Positional

from gan_restore import __version__, evaluation, figures, recipes, restoration, training
from gan_restore.arguments import parse
from gan_restore.checkpoints import BEST, METRICS, PRETRAINED
from gan_restore.data import Part
from gan_restore.devices import Compute, Device
from gan_restore.files import UserError, read_csv, write_json
from gan_restore.images import list_images
from gan_restore.recipes import RECIPES, Scale

USAGE = """\
gan-restore: image restoration with GANs

  gan-restore recipes                                 what can be trained
  gan-restore train RECIPE [--scale smoke] ...        train one, into a run folder
  gan-restore evaluate RUN_OR_CHECKPOINT ...          compare it with the classical methods
  gan-restore restore PHOTO... --checkpoint FILE ...  restore your own photos
  gan-restore course [--scale smoke] ...              run every notebook and make a page of the results

`gan-restore COMMAND --help` shows options and an example."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 2 for a mistake of the user's, 130 after Ctrl-C."""
    args = list(sys.argv[1:] if argv is None else argv)
    try:
        if not args or args[0] in ("-h", "--help"):
            print(USAGE)
            return 0
        if args[0] == "--version":
            print(f"gan-restore {__version__}")
            return 0
        if args[0] not in COMMANDS:
            raise UserError(f"no command '{args[0]}'; choose one of {', '.join(COMMANDS)}")
        COMMANDS[args[0]](args[1:])
    except UserError as error:
        print(f"gan-restore: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `gan-restore ... | head`
        sys.stdout = None
        return 0
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def list_recipes(args: list[str]) -> None:
    """The recipes, their data and their scales."""

    def run() -> None:
        """List the recipes.

        Example: gan-restore recipes
        """
        for name, kind in RECIPES.items():
            print(f"{name}: {kind.title}. {kind.__doc__.splitlines()[0]}")
            for scale in kind.scales:
                recipe = recipes.get(name, scale)
                size = sum(p.numel() for p in recipe.generator().parameters()) / 1e6
                print(
                    f"    --scale {scale:6} {size:6.2f} M parameters, crops of {recipe.image_size}, "
                    f"{recipe.epochs} epochs of batches of {recipe.batch_size}"
                )
            print(f"    data at small and full: {kind.get_data}")

    parse(run, args, "gan-restore recipes")


def train(args: list[str]) -> None:
    """Train a recipe; its fields are flags whose defaults depend on `--scale`."""
    if not args or args[0] not in RECIPES:
        listed = ", ".join(RECIPES)
        if args and args[0] in ("-h", "--help"):
            print(
                f"usage: gan-restore train RECIPE [options]\n\nRecipes: {listed}\n\n"
                "Example: gan-restore train unet-denoiser --scale smoke --out runs/denoiser\n"
                "All options: gan-restore train unet-denoiser --help"
            )
            return
        wrong = f"no recipe '{args[0]}'" if args else "which recipe?"
        raise UserError(f"{wrong}; choose one of {listed}")
    name = args[0]

    @dataclass(frozen=True)
    class Train:
        recipe: OmitArgPrefixes[RECIPES[name]]
        compute: OmitArgPrefixes[Compute]
        out: Path | None = None
        """The run folder; by default runs/RECIPE-SCALE."""
        resume: bool = False
        """Go on from the run folder's last state."""
        overwrite: bool = False
        """Start anew although the run folder already holds a run."""
        skip_unreadable: bool = False
        """Leave out damaged image files, and count them, instead of stopping."""

    scale = _scale_of(args)
    chosen = parse(
        Train,
        args[1:],
        f"gan-restore train {name}",
        default=Train(recipe=recipes.get(name, scale), compute=Compute()),
        description=f"Train {name} and keep the best model on validation.\n\n"
        f"Example: gan-restore train {name} --scale smoke --epochs 2 --out runs/first",
    )
    recipe = chosen.recipe
    out = chosen.out or Path("runs") / f"{name}-{recipe.scale}"
    training.train(
        recipe, out, chosen.compute,
        resume=chosen.resume, overwrite=chosen.overwrite, skip_unreadable=chosen.skip_unreadable,
    )  # fmt: skip
    if rank_zero_only.rank:  # of several processes, one reports
        return
    rows = read_csv(out / METRICS)
    figures.save(figures.curves(rows, f"{name}, {recipe.scale}"), out / "figures" / "curves.png")
    best = max(row["val_psnr"] for row in rows if "val_psnr" in row)
    kept = PRETRAINED if recipe.two_stages else BEST
    print(f"best on validation: {best:.2f} dB, kept in {out / kept}; curves in {out / 'figures'}")
    if recipe.two_stages:
        print(f"after the adversarial stage: {rows[-1]['val_psnr']:.2f} dB, kept in {out / BEST}")
    print(f"next: gan-restore evaluate {out}")


def _scale_of(args: list[str]) -> Scale:
    """`--scale` before everything else is read: the other flags' defaults hang on it."""
    scale: Scale = "smoke"
    for flag, value in pairwise([*" ".join(args).replace("=", " ").split(), ""]):
        if flag == "--scale" and value in get_args(Scale):
            scale = value
    return scale


def evaluate(args: list[str]) -> None:
    """Compare a checkpoint with the classical methods."""

    def run(
        run: Positional[Path],
        data: str | None = None,
        part: Part = "test",
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
            part: Which part of them; "all" for a set that is for testing only.
            limit: Take only the first so many images; 0 takes all.
            out: Also write the table to this JSON file.
            skip_unreadable: Leave out damaged image files instead of stopping.
            compute: Where to compute.
        """
        rows = evaluation.evaluate_checkpoint(run, data, part, limit, compute, skip_unreadable=skip_unreadable)
        print(evaluation.as_text(rows))
        if out:
            write_json(out, rows)

    parse(run, args, "gan-restore evaluate")


def restore(args: list[str]) -> None:
    """Restore photos with a checkpoint."""

    def run(
        photos: Positional[tuple[Path, ...]],
        checkpoint: Path,
        out: Path,
        compute: OmitArgPrefixes[Compute] = Compute(),  # noqa: B008
    ) -> None:
        """Restore photos, each into a file of the same name in the folder OUT.

        A photo that cannot be read is left out and named at the end.

        Example: gan-restore restore old.png album/ --checkpoint runs/unet-denoiser-smoke --out restored

        Args:
            photos: Image files, or folders of them.
            checkpoint: A best.safetensors or a run folder.
            out: The folder for the restored photos; it must not be the one they come from.
            compute: Where to compute.
        """
        if not photos:
            raise UserError("no photos given; name at least one image file")
        photos = tuple(file for path in photos for file in (list_images(path) if path.is_dir() else [path]))
        targets = [out / photo.name for photo in photos]
        if len(set(targets)) < len(targets):
            raise UserError("two of the photos have the same file name; restore them into different folders")
        for photo, target in zip(photos, targets, strict=True):
            if target.exists() and target.resolve() == photo.resolve():
                raise UserError(f"{photo} would be overwritten; choose another --out")
        restorer, failed = restoration.load_restorer(checkpoint, compute), []
        for photo, target in tqdm(list(zip(photos, targets, strict=True)), unit="photo", disable=len(photos) == 1):
            try:
                restoration.restore_file(photo, target, restorer)
            except UserError as error:
                failed.append(str(error))
        done = len(photos) - len(failed)
        print(f"restored {done} photo{'s' * (done != 1)} into {out}")
        if failed:
            raise UserError(f"left out {len(failed)} of {len(photos)}: {'; '.join(failed)}; save them anew")

    parse(run, args, "gan-restore restore")


def course(args: list[str]) -> None:
    """Run the notebooks."""

    def run(
        scale: Scale = "smoke",
        recipes: Annotated[tuple[str, ...], tyro.conf.arg(metavar="RECIPE ...")] = tuple(RECIPES),
        data: str | None = None,
        out: Path = Path("runs/course"),
        seed: int = 0,
        device: Device = "auto",
    ) -> None:
        """Run every notebook headless and make a page of the results, OUT/SCALE/index.html.

        Example: gan-restore course --scale smoke --recipes unet-denoiser

        Args:
            scale: smoke takes minutes on two CPU cores; small and full need data sets and a GPU.
            recipes: Which recipes to train.
            data: The data set, for small and full.
            out: Where the folder of results goes.
            seed: Where all randomness starts.
            device: auto, cpu, cuda or mps.
        """
        from gan_restore.course import run_course

        run_course(scale, recipes, data, out, seed, device)

    parse(run, args, "gan-restore course")


COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "recipes": list_recipes,
    "train": train,
    "evaluate": evaluate,
    "restore": restore,
    "course": course,
}
