"""`gan-restore exercises`: write the notebooks without the solutions of their exercises."""

from pathlib import Path

from gan_restore.cli.arguments import parse


def main(args: list[str]) -> None:
    """Write the learner's notebooks."""

    def run(out: Path = Path("lab"), overwrite: bool = False) -> None:
        """Write the notebooks without the solutions of their exercises, to be solved in JupyterLab.

        Notebooks in OUT that you have changed stay as they are.

        Example: gan-restore exercises --out lab

        Args:
            out: Folder for the notebooks.
            overwrite: Replace notebooks that you have changed, too.
        """
        from gan_restore.course.plan import NOTEBOOKS
        from gan_restore.exercises import write_copies

        written, kept = write_copies(NOTEBOOKS, out, overwrite)
        print(f"{len(written)} notebook{'s' * (len(written) != 1)} written to {out}")
        if kept:
            names = ", ".join(path.stem for path in kept)
            print(f"kept as you changed them: {names} (--overwrite replaces them)")

    parse(run, args, "gan-restore exercises")
