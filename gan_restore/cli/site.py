"""`gan-restore site`: the site of a finished course."""

from pathlib import Path

from gan_restore.cli.arguments import parse
from gan_restore.recipes.base import Scale


def main(args: list[str]) -> None:
    """Build the site."""

    def build(scale: Scale = "smoke", out: Path = Path("runs/course")) -> None:
        """Build the site of a finished course again, from its notebooks, the docs and the docstrings.

        Example: gan-restore site --scale smoke

        Args:
            scale: The scale of the course.
            out: The folder that the course was written to.
        """
        from gan_restore.course.site import build_site

        print(f"The course, with its results: {build_site(out / scale)}")

    parse(build, args, "gan-restore site")
