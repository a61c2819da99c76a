"""`gan-restore recipes`: list the recipes, their scales and their data sets."""

import inspect

from gan_restore import recipes
from gan_restore.cli.arguments import parse
from gan_restore.recipes.names import RECIPES


def main(args: list[str]) -> None:
    """List the recipes."""

    def run() -> None:
        """List the recipes, their scales and their data sets.

        Example: gan-restore recipes
        """
        for name, kind in RECIPES.items():
            print(f"{name}: {(inspect.getdoc(kind) or kind.title).splitlines()[0]}")
            for scale in kind.scales:
                recipe = recipes.get(name, scale)
                size = sum(p.numel() for p in recipe.generator().parameters()) / 1e6
                print(
                    f"    --scale {scale:6} {size:6.2f} M parameters, crops of {recipe.image_size}, "
                    f"{recipe.epochs} epochs, batches of {recipe.batch_size}"
                )
            print(f"    data for small and full: {kind.get_data()}")

    parse(run, args, "gan-restore recipes")
