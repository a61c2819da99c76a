"""`gan-restore train`: train a recipe into a run folder."""

from dataclasses import dataclass
from pathlib import Path

from lightning_fabric.utilities.rank_zero import rank_zero_only
from tyro.conf import OmitArgPrefixes

from gan_restore import figures, recipes, training
from gan_restore.cli.arguments import parse
from gan_restore.files import UserError, read_csv
from gan_restore.inference.checkpoints import BEST, METRICS, PRETRAINED
from gan_restore.inference.devices import Compute
from gan_restore.recipes.base import Scale
from gan_restore.recipes.names import RECIPES


def main(args: list[str]) -> None:
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

    scale = _scale_of(name, args[1:])
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
    figures.save_figure(figures.curves(rows, f"{name}, {recipe.scale}"), out / "figures" / "curves.png")
    best = max(row["val_psnr"] for row in rows if "val_psnr" in row)
    kept = PRETRAINED if recipe.two_stages else BEST
    print(f"best on validation: {best:.2f} dB, kept in {out / kept}; curves in {out / 'figures'}")
    if recipe.two_stages:
        print(f"after the adversarial stage: {rows[-1]['val_psnr']:.2f} dB, kept in {out / BEST}")
    print(f"next: gan-restore evaluate {out}")


def _scale_of(name: str, args: list[str]) -> Scale:
    """The value of `--scale`, read before everything else because the other options' defaults depend on it."""

    def first(scale: Scale = "smoke") -> Scale:
        return scale

    command = f"gan-restore train {name}"
    return parse(first, args, command, return_unknown_args=True, add_help=False)[0]
