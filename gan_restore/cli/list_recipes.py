"""`gan-restore recipes`: the recipes, their data and their scales."""

from gan_restore import recipes
from gan_restore.cli.arguments import parse
from gan_restore.recipes.names import RECIPES


def main(args: list[str]) -> None:
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
            print(f"    data at small and full: {kind.get_data()}")

    parse(run, args, "gan-restore recipes")
