"""Write the tables of the README and of docs/ from the JSON files in docs/results/.

    python benchmarks/tables.py                        # write the tables again
    python benchmarks/tables.py runs/course/smoke      # copy the results of a course first

In a text, `<!-- table: FILE -->` and `<!-- end -->` mark the place of a table; the text between them is replaced.
Three forms exist:

- `table: FILE` has one line for each recipe;
- `table: FILE RECIPE` has one line for each method;
- `table: FILE RECIPE WORDS` has them for the test images whose name contains WORDS, if there are several sets.

`table: adversarial TASK` has the losses that `adversarial.py` compared.

The forms of docs/results/models.json are those of `model_tables`.

`<!-- minutes: FILE -->` marks the place of the minutes that a course took. A test fails if a text differs from what
this command writes.
"""

import math
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import model_tables
import tyro

from gan_restore.cli.arguments import parse
from gan_restore.files import UserError, read_json, write_json

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "docs" / "results"
TEXTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MARK = re.compile(
    r"(<!-- (table|minutes|summary|undamaged|everywhere|robustness|seeds): ([^>]*?) -->)(.*?)(<!-- end -->)",
    re.DOTALL,
)

Row = dict[str, Any]
Results = dict[str, Any]


def write_tables(add: tyro.conf.Positional[Path | None] = None) -> None:
    """Write the tables of the README and of docs/ from the JSON files in docs/results/.

    Example: python benchmarks/tables.py runs/course/smoke

    Args:
        add: A folder of results to copy into docs/results/ first: a course's or that of a benchmark.
    """
    if add:
        print(f"{add_results(add).relative_to(ROOT)}: written")
    for path in TEXTS:
        text = path.read_text(encoding="utf-8")
        if (new := fill(text)) != text:
            path.write_text(new, encoding="utf-8")
            print(f"{path.relative_to(ROOT)}: tables written")


def add_results(folder: Path) -> Path:
    """Copy the results of a run into docs/results/, named after the folder; returns the new file.

    Raises:
        UserError: if the folder holds no results.
    """
    for name in ("summary.json", "results.json"):
        if (folder / name).is_file():
            target = RESULTS / f"{folder.resolve().name}.json"
            write_json(target, read_json(folder / name))
            return target
    raise UserError(f"no summary.json and no results.json in {folder}; name a folder of finished results")


def fill(text: str) -> str:
    """The text with every table and number between marks as the JSON files give them.

    Raises:
        UserError: if a mark names a file or recipe that does not exist.
    """

    def replace(mark: re.Match[str]) -> str:
        opening, what, argument, _, closing = mark.groups()
        name, *rest = argument.split(maxsplit=2)
        results = read_json(RESULTS / f"{name}.json")
        if what == "minutes":
            return f"{opening}{math.ceil(results['seconds'] / 60)}{closing}"  # rounded up, for the site
        if what in model_tables.FORMS:
            table = model_tables.FORMS[what](results, *rest)
        elif "tasks" in results:
            table = losses(results, *rest)
        elif "models" in results:
            table = model_tables.one_model(results, *rest) if rest else model_tables.overview(results)
        else:
            table = one_recipe(results, *rest) if rest else overview(results)
        return f"{opening}\n\n{table}\n\n{closing}"

    return MARK.sub(replace, text)


def overview(results: Results) -> str:
    """One line for each recipe and set of test images: PSNR of input, strongest classical method and network."""
    if "variants" in results:
        return variants(results)
    lines = [
        "| recipe | test images | input | strongest classical method | network | training |",
        "|---|---|---|---|---|---|",
    ]
    for name, rows in results["recipes"].items():
        for data in dict.fromkeys(row["data"] for row in rows):
            group = [row for row in rows if row["data"] == data]
            first = next(row for row in group if row["kind"] == "input")
            classical = max((row for row in group if row["kind"] == "classical"), key=lambda row: row["psnr"])
            # Before training is worth a number only where trained weights were the start.
            starts = [row for row in group if row["kind"] == "start" and row["note"].startswith("the weights of")]
            learned = starts + [row for row in group if row["kind"] == "learned"]
            networks = [
                f"{row['psnr']:.2f}" + (f" ({row['method']})" if len(learned) > 1 else "") for row in learned
            ]
            lines.append(
                f"| `{name}` | {first['n_images']}, {data} | {first['psnr']:.2f} "
                f"| {classical['psnr']:.2f} ({classical['method']}) | {', '.join(networks)} "
                f"| {_minutes(_training_minutes(results, name))} |"
            )
    every_row = [row for rows in results["recipes"].values() for row in rows]
    return "\n".join([*lines, "", *_notes(every_row), _made_by(results)])


def one_recipe(results: Results, name: str, data: str = "") -> str:
    """How a recipe was trained and measured, and every method, the best last."""
    if name not in results["recipes"]:
        raise UserError(f"no results of '{name}'; there are {', '.join(results['recipes'])}")
    rows = sorted((row for row in results["recipes"][name] if data in row["data"]), key=lambda row: row["psnr"])
    first, training = rows[0], results.get("training", {}).get(name)
    lines = []
    if training:
        changes = ", ".join(f"`{field}` {value}" for field, value in training["changes"].items())
        lines.append(
            f"Trained on {training['trained_on']}: {training['steps']:,} steps in {training['minutes']:.0f} "
            f"minutes, scale `{training['scale']}`{changes and f' with other values for {changes}'}."
        )
    lines += [
        f"Measured on {first['n_images']} images of {first['data']}. Channel {first['channel']}, range "
        f"{first['range']}, {first['crop_border']} pixels cropped at each border. Damage: `{first['damage']}`.",
        *[f"Clean images: {first['preparation']}." for _ in range(bool(first.get("preparation")))],
        "",
        "| method | kind | PSNR (dB) | SSIM | MSE |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['method']} | {row['kind']} | {row['psnr']:.2f} | {row['ssim']:.4f} | {row['mse']:.2e} |"
        for row in rows
    ]
    return "\n".join([*lines, "", *_notes(rows), _made_by(results)])


def variants(results: Results) -> str:
    """One line for each variant of one recipe."""
    lines = ["| variant | PSNR (dB) | training seconds |", "|---|---|---|"]
    lines += [f"| {row['variant']} | {row['psnr']:.2f} | {row['seconds']:.0f} |" for row in results["variants"]]
    return "\n".join([*lines, "", f"Measured on {results['data']}.", _made_by(results)])


def losses(results: Results, name: str) -> str:
    """The same network trained on with different losses: one line for each."""
    task = results["tasks"][name]
    lines = [
        [
            *(row["method"], f"{row['psnr']:.2f}", f"{row['ssim']:.4f}", f"{row['efficientnet_distance']:.3f}"),
            *(f"{row['texture_distance']:.2f}", f"{row['steps']:,}" if "steps" in row else ""),
        ]
        for row in task["rows"]
    ]
    header = ["method", "PSNR (dB)", "SSIM", "EfficientNet-lite0 distance", "texture distance", "steps"]
    return "\n".join(
        [
            f"Recipe `{task['recipe']}`, trained on {task['trained_on']}. Measured on {task['n_images']} images of "
            f"{task['tested_on']}. Damage: `{task['damage']}`.",
            "",
            *model_tables.table(header, lines),
            "",
            _made_by(task),
        ]
    )


def _notes(rows: Sequence[Row]) -> list[str]:
    """What a reader must know about the scores of the networks; one line for those that share a note."""
    methods: dict[str, list[str]] = {}
    for row in rows:
        if row.get("note"):
            methods.setdefault(row["note"], []).append(f"{row['method']} on {row['data']}")
    lines = [f"- {'; '.join(dict.fromkeys(names))}: {note}." for note, names in methods.items()]
    return [*lines, ""] if lines else []


def _training_minutes(results: Results, name: str) -> float:
    if "training" in results:
        return results["training"][name]["minutes"]
    return results["training_seconds"][name] / 60


def _minutes(minutes: float) -> str:
    return f"{minutes:.0f} min" if minutes >= 0.5 else f"{60 * minutes:.0f} s"


def _made_by(results: Results) -> str:
    """The conditions, as a line below a table."""
    facts = [
        results["device"] + (f", {results['jobs']} notebooks at a time" if results.get("jobs", 1) > 1 else ""),
        *([results["precision"]] if "precision" in results else []),
        f"seed {results['seed']}",
    ]
    facts += [f"{name} {version}" for name, version in results.get("versions", {}).items()]
    facts += [f"commit {model_tables.short(results['commit'])}"] if results.get("commit") else []
    source = f" Source: {results['source']}." if "source" in results else ""
    return f"Computed on {', '.join(facts)}.{source}"


if __name__ == "__main__":
    try:
        parse(write_tables, sys.argv[1:], "python benchmarks/tables.py")
    except UserError as error:
        sys.exit(f"tables.py: {error}")
