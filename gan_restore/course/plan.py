"""Which notebooks the course runs, with which recipes and data sets, and in which order."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gan_restore import recipes
from gan_restore.files import UserError
from gan_restore.recipes.base import DOWNLOAD, Recipe
from gan_restore.recipes.names import RECIPES

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
TRAINING, EVALUATION = "05_training", "06_evaluation"
ONCE: tuple[str, ...] = (
    "00_start_here",
    "01_data",
    "02_generator",
    "03_a_gan_in_forty_lines",
    "04_discriminator",
    TRAINING,
    "07_restore_your_photos",
    "08_batch_runs",
)
PER_RECIPE: tuple[str, ...] = (EVALUATION,)
EXAMPLE = "srgan"  # the recipe that 05 trains


@dataclass(frozen=True)
class Step:
    """One run of one notebook."""

    notebook: str
    """Its file name without the suffix."""
    recipe: str | None = None
    """The recipe that the notebook is about; None if the notebook names its own."""

    @property
    def name(self) -> str:
        """The name of the executed notebook.

        Example:
            >>> Step("06_evaluation", "srgan").name, Step("01_data").name
            ('06_evaluation-srgan', '01_data')
        """
        return f"{self.notebook}-{self.recipe}" if self.notebook in PER_RECIPE else self.notebook


def plan(names: Sequence[str]) -> list[Step]:
    """The steps of a course on the recipes `names`. Those that train come first, because they take longest."""
    steps = [Step(notebook, name) for notebook in PER_RECIPE for name in names]
    steps += [Step(notebook, EXAMPLE if notebook == TRAINING else None) for notebook in ONCE]
    return sorted(steps, key=lambda step: (step.recipe is None, step.notebook))


def needed_by(step: Step, steps: Sequence[Step]) -> list[Step]:
    """The steps that must succeed before `step` starts."""
    if step.notebook != EVALUATION:
        return []
    # 06 evaluates the network that 05 trained. The other recipes it trains itself.
    return [other for other in steps if other.notebook == TRAINING and other.recipe == step.recipe]


def data_sets(chosen: Sequence[Recipe], folder: Path | None) -> dict[str, str | None]:
    """The data set of every recipe in `folder`, the one that it prefers, after all its images were opened.

    Args:
        chosen: the recipes.
        folder: a folder that holds data sets by their names; None uses the photos inside scikit-image.

    Raises:
        UserError: if a recipe has no data set, or one that does not fit.
    """
    if folder is None:
        if chosen[0].scale != "smoke":
            needed = ", ".join(dict.fromkeys(recipe.data_sets[0] for recipe in chosen))
            raise UserError(
                f"scale {chosen[0].scale} needs data sets: run `{DOWNLOAD} NAME` for each of {needed}, "
                "then pass the folder that holds them: --data data"
            )
        return {recipe.name: None for recipe in chosen}
    if not folder.is_dir():
        raise UserError(f"no folder {folder}; --data names the folder that holds the data sets")
    if any(folder.name in kind.data_sets for kind in RECIPES.values()):
        raise UserError(
            f"{folder} is one data set; pass the folder that holds one for each recipe: --data {folder.parent}"
        )
    return {recipe.name: str(_data_set(recipe, folder)) for recipe in chosen}


def _data_set(recipe: Recipe, folder: Path) -> Path:
    found = [folder / name for name in recipe.data_sets if (folder / name).is_dir()]
    if not found:
        raise UserError(
            f"{folder} holds no {' or '.join(recipe.data_sets)} for {recipe.name}; run "
            f"`{DOWNLOAD} {recipe.data_sets[0]} --root {folder}`, or name other recipes with --recipes"
        )
    try:
        own = recipes.get(recipe.name, recipe.scale, data=str(found[0]))
        for split in ("train", "val", "test"):
            own.images(split)
    except UserError as error:
        raise UserError(f"{recipe.name} cannot use {found[0]}: {error}") from None
    return found[0]
