"""The tables of docs/results/models.json, which train_models.py writes; `tables.py` puts them into the texts.

- `table: models` has one line for each model and test set;
- `summary: models` has one line for each model of the package;
- `table: models NAME` has every method of one model, and `table: models NAME WORDS` only those for the test images
  whose name contains WORDS;
- `undamaged: models` says how well each model leaves undamaged images as they are;
- `everywhere: models` has all models on all test sets;
- `robustness: models NAME` is the robustness sweep of one model;
- `seeds: models` has one model trained with several seeds.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from model_recipes import MODELS

from gan_restore.files import UserError
from gan_restore.inference.models import Measured, Sweep, best_score, gain

Results = dict[str, Any]
Entry = dict[str, Any]


def overview(results: Results) -> str:
    """One line for each model and test set: PSNR of input, strongest classical method and model; its target."""
    lines = []
    for name, entry in _models(results):
        for measured, target in zip(entry["card"]["measured"], entry["targets"], strict=True):
            before, classical, own = (best_score(measured, kind) for kind in ("input", "classical", "learned"))
            lines.append(
                [
                    f"`{name}`",
                    f"{measured['n_images']}, {measured['data']}",
                    f"`{measured['damage'].rsplit(', seed ', 1)[0]}`",
                    f"{before['psnr']:.2f}",
                    f"{classical['psnr']:.2f} ({classical['method']})",
                    f"{own['psnr']:.2f}",
                    target["published"],
                    f"{gain(measured):+.2f}",
                    _judged(gain(measured), target["gain"], "+g") or _judged(own["psnr"], target["psnr"]),
                ]
            )
    header = ["model", "test images", "damage", "input", "strongest classical method", "model", "published", "gain"]
    trained: dict[str, list[str]] = {}
    for name, entry in _models(results):
        trained.setdefault(_how_trained(entry), []).append(f"`{name}`")
    notes = [f"- {', '.join(names)}: {how}" for how, names in trained.items()]
    return "\n".join([*table([*header, "target"], lines), "", *notes])


def summary(results: Results) -> str:
    """One line for each model of the package, on its first test set."""
    lines = []
    for name, entry in _models(results):
        if not MODELS[name].part_of_package:
            continue
        first = entry["card"]["measured"][0]
        before, classical, own = (best_score(first, kind) for kind in ("input", "classical", "learned"))
        lines.append(
            [
                *(f"`{name}`", entry["card"]["purpose"], f"{first['n_images']}, {first['data']}"),
                *(
                    f"{before['psnr']:.2f}",
                    f"{classical['psnr']:.2f} ({classical['method']})",
                    f"{own['psnr']:.2f}",
                    entry["targets"][0]["published"],
                ),
            ]
        )
    header = ["model", "for", "test images", "input", "strongest classical method", "model", "published"]
    return "\n".join(table(header, lines))


def one_model(results: Results, name: str, data: str = "") -> str:
    """How a model was trained, and every method on its test sets, the best last."""
    entry = _entry(results, name)
    card = entry["card"]
    images = ", ".join(f"{part['images']:,} images of {part['data']}" for part in card["trained_on"])
    changes = ", ".join(f"`{field}` {value}" for field, value in entry["changes"].items())
    lines = [
        f"Recipe `{entry['recipe']}`, trained on {images}: {card['steps']:,} steps in {card['minutes']:.0f} "
        f"minutes, scale `small`{changes and f' with other values for {changes}'}. {_how_trained(entry)}"
    ]
    for measured in card["measured"]:
        if data in measured["data"]:
            lines += ["", *methods(measured)]
    return "\n".join(lines)


def undamaged(results: Results) -> str:
    """PSNR of each model's output against its input on undamaged images."""
    lines = [
        [f"`{name}`", f"{images['n_images']}, {images['data']}", f"{images['psnr']:.2f}", judged]
        for name, entry in _models(results)
        for images in entry["card"]["undamaged"]
        for judged in [_judged(images["psnr"], entry["least_undamaged"])]
    ]
    return "\n".join(table(["model", "undamaged images", "PSNR of the output against the input", "target"], lines))


def everywhere(results: Results) -> str:
    """All models on all test sets, each with the damage that it was trained on: PSNR of input and model."""
    found = {name: {images["data"]: images for images in entry["everywhere"]} for name, entry in _models(results)}
    sets = {data: images["n_images"] for by_data in found.values() for data, images in by_data.items()}
    lines = [
        [f"`{name}`", *(_change(by_data[data]["input"], by_data[data]["model"]) for data in sets)]
        for name, by_data in found.items()
    ]
    return "\n".join(table(["model", *(f"{count}, {data}" for data, count in sets.items())], lines))


def _change(before: float, after: float) -> str:
    return f"{before:.2f} → {after:.2f}{' (worse)' * (after < before)}"


def robustness(results: Results, name: str) -> str:
    """The robustness sweep of one model: one line for each method, the model last."""
    lines = []
    for sweep in _entry(results, name)["card"]["robustness"]:
        lines += [*sweep_table(sweep), "", f"PSNR on {sweep['n_images']} images of {sweep['data']}."]
    return "\n".join(lines)


def sweep_table(sweep: Sweep) -> list[str]:
    """One line for each method, one column for each value of the setting."""
    header = ["method", *(f"`{sweep['setting']}` {value:g}" for value in sweep["values"])]
    lines = [[method, *(f"{psnr:.2f}" for psnr in own)] for method, own in sweep["psnr"].items()]
    return table(header, lines)


def seeds(results: Results) -> str:
    """One model trained with several seeds, on the same damaged images."""
    runs = results["seeds"]["runs"]
    lines = []
    for name in runs[0]["scores"]:
        values = [run["scores"][name] for run in runs]
        spec = ".2f" if name.startswith("PSNR") else ".3f"
        lines.append([name, *(f"{value:{spec}}" for value in [*values, max(values) - min(values)])])
    header = [f"`{results['seeds']['model']}`", *(f"seed {run['seed']}" for run in runs), "largest difference"]
    return "\n".join(table(header, lines))


FORMS = {
    "summary": summary,
    "undamaged": undamaged,
    "everywhere": everywhere,
    "robustness": robustness,
    "seeds": seeds,
}


def _models(results: Results) -> Iterator[tuple[str, Entry]]:
    return ((name, results["models"][name]) for name in MODELS if name in results["models"])


def _entry(results: Results, name: str) -> Entry:
    if name not in results["models"]:
        raise UserError(f"no results of '{name}'; there are {', '.join(results['models'])}")
    return results["models"][name]


def methods(measured: Measured) -> list[str]:
    """The protocol of a measurement and its table, the best method last."""
    extra = list(measured["rows"][0]["extra"])
    lines = [
        [
            *(row["method"], row["kind"], f"{row['psnr']:.2f}", f"{row['ssim']:.4f}", f"{row['mse']:.2e}"),
            *(f"{row['extra'][name]:.4g}" for name in extra),
        ]
        for row in sorted(measured["rows"], key=lambda row: row["psnr"])
    ]
    notes = [f"- {row['method']}: {row['note']}." for row in measured["rows"] if row["note"]]
    return [
        f"{measured['n_images']} images of {measured['data']}, {measured['sizes']} pixels. "
        f"Channel {measured['channel']}, {measured['crop_border']} pixels cropped at each border. "
        f"Damage: `{measured['damage']}`. Clean images: {measured['preparation']}.",
        "",
        *table(["method", "kind", "PSNR (dB)", "SSIM", "MSE", *extra], lines),
        *(["", *notes] if notes else []),
    ]


def _judged(value: float, least: float | None, spec: str = "g") -> str:
    return "" if least is None else f"{least:{spec}} dB: {'reached' if value >= least else 'missed'}"


def short(commit: str) -> str:
    """The first seven digits of a commit, and the mark of changes beyond it.

    >>> short("fa6b0b9c1d2e3f405162738495a6b7c8d9e0f1a2-dirty")
    'fa6b0b9-dirty'
    """
    return commit[:7] + commit[40:]


def _how_trained(entry: Entry) -> str:
    card = entry["card"]
    versions = ", ".join(f"{name} {version}" for name, version in card["versions"].items())
    commits = [short(commit) for commit in (card["commit"] or "unknown").split(", then ")]
    return (
        f"Size `{entry['size']}`, trained on {card['device']}, {card['precision']}, seed {entry['seed']}, "
        f"{versions}, commit {', then '.join(commits)}."
    )


def table(header: Iterable[str], lines: Iterable[Iterable[str]]) -> list[str]:
    """The lines of a Markdown table."""
    header = list(header)
    return ["| " + " | ".join(cells) + " |" for cells in [header, ["---"] * len(header), *lines]]
