"""`gan-restore train`: train a recipe into a run folder."""

from dataclasses import dataclass, field, make_dataclass
from pathlib import Path

import torch.distributed as dist
from tyro.conf import DisallowNone, OmitArgPrefixes

from gan_restore import figures, recipes, training
from gan_restore.cli.arguments import parse
from gan_restore.files import UserError, did_you_mean, read_csv
from gan_restore.inference.checkpoints import BEST, METRICS, PRETRAINED, load_facts
from gan_restore.inference.devices import Compute
from gan_restore.recipes.base import Scale
from gan_restore.recipes.names import RECIPES


@dataclass(frozen=True)
class Options:
    """The options that do not belong to the recipe."""

    compute: Compute = field(default_factory=Compute)
    out: DisallowNone[Path | None] = None
    """The run folder; by default runs/RECIPE-SCALE."""
    resume: bool = False
    """Continue the run in the run folder."""
    overwrite: bool = False
    """Remove the run in the run folder and start again."""
    skip_unreadable: bool = False
    """Leave out damaged image files and report their number, instead of stopping."""
    save_every: float = 10.0
    """Minutes between two saves of the training state, besides the one after each epoch."""
    keep_every: int = 0
    """Epochs between two generators that are kept as epoch-0010.safetensors; 0 keeps none."""
    tensorboard: bool = False
    """Write the curves and validation images for TensorBoard, too: tensorboard --logdir runs."""


def main(args: list[str]) -> None:
    """Train a recipe; its fields are options whose defaults depend on `--scale`.

    Raises:
        UserError: if the arguments do not fit, or for the reasons that `training.train` lists.
    """
    listed = ", ".join(RECIPES)
    if args and args[0] in ("-h", "--help"):
        print(
            f"usage: gan-restore train RECIPE [options]\n\nRecipes: {listed}\n\n"
            "Example: gan-restore train unet-denoiser --scale smoke --out runs/denoiser\n"
            "All options: gan-restore train unet-denoiser --help"
        )
        return
    if not args or args[0] not in RECIPES:
        problem = f"no recipe '{args[0]}'{did_you_mean(args[0], RECIPES)}" if args else "no recipe named"
        raise UserError(f"{problem}; choose one of {listed}")
    name = args[0]
    recipe = recipes.get(name, _scale_of(name, args[1:]))
    chosen = parse(
        make_dataclass("Train", [("recipe", type(recipe), field(default=recipe))], bases=(Options,), frozen=True),
        args[1:],
        f"gan-restore train {name}",
        config=(OmitArgPrefixes,),
        description=f"Train {name} and keep the best generator on validation.\n\n"
        f"Example: gan-restore train {name} --scale smoke --epochs 2 --out runs/first",
    )
    run = training.train(
        chosen.recipe,
        chosen.out or Path("runs") / f"{name}-{chosen.recipe.scale}",
        chosen.compute,
        resume=chosen.resume,
        overwrite=chosen.overwrite,
        skip_unreadable=chosen.skip_unreadable,
        save_every=chosen.save_every,
        keep_every=chosen.keep_every,
        watchers=[training.TensorBoard()] if chosen.tensorboard else [],
    )
    if not dist.is_initialized() or dist.get_rank() == 0:  # only one of several processes reports
        _report(run, f"{name}, {chosen.recipe.scale}")


def _report(run: Path, title: str) -> None:
    """Draw the curves of a run and print what each of its checkpoints holds."""
    curves = run / "figures" / "curves.png"
    figures.save_figure(figures.curves(read_csv(run / METRICS), title), curves)
    print(f"curves: {curves}")
    for checkpoint in (run / PRETRAINED, run / BEST):
        if checkpoint.exists():
            facts = load_facts(checkpoint)
            kept = "best" if facts["chosen_on"] else "latest"
            print(
                f"{checkpoint}: {kept} generator of the {facts['stage']} stage, "
                f"step {facts['step']} of {facts['steps']}, {facts['val_psnr']:.2f} dB on validation"
            )
    print(f"next: gan-restore evaluate {run}")


def _scale_of(name: str, args: list[str]) -> Scale:
    """The value of `--scale`, read before everything else because the other options' defaults depend on it."""

    def first(scale: Scale = "smoke") -> Scale:
        return scale

    command = f"gan-restore train {name}"
    return parse(first, args, command, return_unknown_args=True, add_help=False)[0]
