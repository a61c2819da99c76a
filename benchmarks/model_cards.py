"""Write docs/models.md and the card of every model, docs/models/NAME.md, from the files in gan_restore/models.

    python benchmarks/model_cards.py              # write the pages
    python benchmarks/model_cards.py --figures    # draw the pictures in docs/models first

Everything that a file states is read from it; what no file can state is in `TEXTS`. A test fails if a page differs
from what this command writes. The pictures are drawn by model_figures.py.
"""

import sys
from pathlib import Path
from typing import Any, NamedTuple

import model_figures
import tables
from model_recipes import MODELS, changes_of
from model_tables import methods, sweep_table, table

from gan_restore.cli.arguments import parse
from gan_restore.files import UserError, read_json
from gan_restore.inference import Card, Measured, best_score, gain, load_generator, model_names, model_path
from gan_restore.recipes.base import Recipe

DOCS = Path(__file__).parent.parent / "docs"
KINDS = DOCS / "results" / "photo_kinds.json"


class Text(NamedTuple):
    """What a card says that cannot be computed."""

    use: str
    limits: tuple[str, ...]
    adversarial: str = ""
    """What the adversarial loss adds, where it was used: only what was measured or can be seen."""


_ENLARGED = (
    "It undoes bicubic downsampling. Blur of the lens or of motion stays, and JPEG artefacts and noise of the "
    "small image are enlarged with everything else.",
    "Letters and faces of a few pixels do not become readable or recognisable.",
)

TEXTS = {
    "salt-pepper": Text(
        "Gray and colour photos in which single pixels are black or white: dead sensor cells, bit errors.",
        (
            "It changes only pixels that are exactly black or exactly white in all channels. After JPEG "
            "compression or a change of size the noisy pixels have other values, and most of them stay.",
            "Single black or white pixels that belong to the photo are replaced too.",
        ),
    ),
    "scratches": Text(
        "Scans of old prints, in colour, gray or sepia, with scratches, cracks, creases, dust and grain.",
        (
            "Stains, faded areas and lost corners mostly stay. A crack of more than about ten pixels can leave a "
            "scar of another colour.",
            "A large lost area stays as it is. What lay under it cannot be known.",
            "Images of less than 64 pixels are hardly changed, because damage cannot be told from their details.",
            "Thin bright or dark lines that belong to the photo, such as wires, writing and single hairs, can be "
            "taken for scratches.",
            "In small faces, eyes, glasses and highlights can be taken for damage: of a portrait of 256 x 336 "
            "pixels, one eye became a gray smear. A mask (`--mask`) that leaves out the face prevents this.",
            "It does not sharpen, colourise or enlarge.",
        ),
    ),
    "photo": Text(
        "Photos that are slightly out of focus, noisy and compressed by JPEG, all together or one of them.",
        (
            "Fine texture that the noise covers is smoothed.",
            "Motion blur, haze, wrong exposure and scratches are not removed.",
        ),
    ),
    "face": Text(
        "Small or compressed portraits: one upright face that fills most of the image.",
        (
            "**Detail is invented, and the identity of a person may change.** Eyes, mouth and skin look plausible "
            "and need not be those of the person. Do not use it to recognise or identify anybody.",
            "Its faces in training were gray photos of adults in the public eye; colour was learned from photos of "
            "other things. Labeled Faces in the Wild, where the faces come from, shows very few children and old "
            "people, and a small share of women; many ethnic groups are hardly or not represented. For them it "
            "may be worse, which was not measured.",
            "Of damaged photos without faces it leaves smooth shapes: grass and hair lose their texture.",
            "A blurred or shrunk portrait without noise is hardly changed.",
        ),
    ),
    "x2": Text("Sharp photos without JPEG artefacts that are too small by half.", _ENLARGED),
    "x4": Text(
        "Sharp photos without JPEG artefacts that are too small by four. Among the possible originals it gives the "
        "mean, which is smooth and close to each of them.",
        (*_ENLARGED, "Textures of a few pixels are blurred; `x4-gan` draws them."),
    ),
    "x4-gan": Text(
        "Sharp photos without JPEG artefacts that are too small by four, where a sharp picture is wanted more than "
        "a true one.",
        (
            "**Textures are invented.** They are plausible and not those of the original. Do not use it for "
            "measurements, evidence or medical images; use `x4`.",
            *_ENLARGED,
        ),
        "Texture, at the cost of PSNR: [x4 and x4-gan side by side](../models.md#what-the-adversarial-loss-adds).",
    ),
}

INTRODUCTION = """\
# Models

These trained networks are part of the package. `gan-restore models` lists them, and a photo is restored without any
training:

```
gan-restore restore PHOTO --model {first} --out DIR
```

In Python, `gan_restore.load_restorer("{first}")` is a function degraded -> restored. Each model has a card, which
says what it was trained on, how it was measured, and where it fails. Its values are read from the model's file."""

ADVERSARIAL = (
    "## What the adversarial loss adds",
    "![Parts of photos enlarged four times by both models, beside the clean photo](models/gan.jpg)",
    "`x4` was trained with the pixel loss. Many originals fit a small image, and their mean has the smallest error "
    "and no texture. `x4-gan` was trained further with the adversarial loss: it draws one of these originals, "
    "usually not the true one, so its PSNR is lower.",
)

EVERYWHERE = (
    "## Against classical methods",
    "The strongest classical method of each test set, and what was aimed at. *Published* are results of larger "
    "networks that were trained on other data and measured by protocols of their own: EDSR-baseline "
    "([Lim et al. 2017](https://arxiv.org/abs/1707.02921)), SRResNet and SRGAN "
    "([Ledig et al. 2017](https://arxiv.org/abs/1609.04802)), and the U-Net that `unet-denoiser` follows "
    "([unet-denoiser.md](unet-denoiser.md)). Of a GAN, a higher PSNR is not the aim. What was tried where an aim "
    "is missed is in [results.md](results.md#missed-aims).",
    "<!-- table: models --><!-- end -->",
    "## On all test sets",
    "PSNR of the input and of the model's output, for the damage that each model was trained on, also on images "
    "that it was not made for. A model without a card was trained as a step to another one, or to be measured.",
    "<!-- everywhere: models --><!-- end -->",
    "## On undamaged images",
    "PSNR of the output against the undamaged input. The output of super-resolution was shrunk to the size of the "
    "input first.",
    "<!-- undamaged: models --><!-- end -->",
)

TERMS = """\
## Terms of use

The models were made from data sets with terms of their own, which the cards name as far as they are known
([data_sets.md](data_sets.md)). Whether such terms also bind trained weights is not settled. The licence of this
repository covers its code."""


def write_cards(figures: bool = False) -> None:
    """Write docs/models.md and the card of every model, docs/models/NAME.md.

    Example: python benchmarks/model_cards.py --figures

    Args:
        figures: Also draw the pictures.
    """
    if not model_names():
        raise UserError("there are no models to write cards for; train them first")
    written = pages()
    if figures:
        model_figures.draw_all(DOCS / "models")
    for old in set((DOCS / "models").glob("*.md")) - set(written):
        old.unlink()
    for path, text in written.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(DOCS.parent))


def pages() -> dict[Path, str]:
    """Every page and its text; none if there are no models.

    Raises:
        UserError: if a model has no text, or docs/results/models.json lacks results.
    """
    found = {DOCS / "models" / f"{name}.md": card_page(name) for name in model_names()}
    return found | ({DOCS / "models.md": overview()} if found else {})


def overview() -> str:
    """All models on one page. The first measurement of each stands for it."""
    header = ["model", "for", "recipe", "size", "test images", "input", "strongest classical method", "model"]
    lines, names = [], sorted(model_names(), key=list(TEXTS).index)
    for name in names:
        _, recipe, facts = load_generator(name)
        card: Card = facts["card"]
        first = card["measured"][0]
        images = f"{first['n_images']}, {first['data']}"
        psnr = [f"{best_score(first, kind)['psnr']:.2f}" for kind in ("input", "classical", "learned")]
        psnr[1] += f" ({best_score(first, 'classical')['method']})"
        link = f"[{name}](models/{name}.md)"
        lines.append([link, card["purpose"], f"`{recipe.name}`", _megabytes(name), images, *psnr])
    sections = [
        INTRODUCTION.format(first=names[0]),
        "\n".join(table(header, lines)),
        "PSNR (peak signal-to-noise ratio) in dB, the mean over the test images; higher is better.",
        "![A row for each model: before, after, and the clean photo](models/all.jpg)",
        model_figures.CAPTION,
        *(ADVERSARIAL if {"x4", "x4-gan"} <= set(names) else ()),
        *map(tables.fill, EVERYWHERE),
        TERMS,
    ]
    return "\n\n".join(sections) + "\n"


def card_page(name: str) -> str:
    """The card of a model."""
    if name not in TEXTS:
        raise UserError(f"model '{name}' has no text; add one to TEXTS in {Path(__file__).name}")
    generator, recipe, facts = load_generator(name)
    card: Card = facts["card"]
    text, adversarial = TEXTS[name], facts["stage"] == "adversarial"
    if adversarial and not text.adversarial:
        raise UserError(f"model '{name}' was trained with an adversarial loss; say in TEXTS what that adds")
    weights = sum(value.numel() for value in generator.parameters()) / 1e6
    file = f"{_megabytes(name)}, {weights:.2f} M weights in half precision"
    sections = [
        f"# {name}",
        f"{card['purpose'][0].upper()}{card['purpose'][1:]}. {_gain(card['measured'][0])}",
        f"```\ngan-restore restore PHOTO --model {name} --out DIR\n```",
        f"![Before, after, and the clean photo]({name}.jpg)",
        model_figures.CAPTION,
        "## Intended use",
        text.use,
        "## Where it fails",
        "\n".join(f"- {limit}" for limit in text.limits),
        f"![Failures: input, output, and the clean photo]({name}-limits.jpg)",
        "Damage that it cannot remove, and photos that it was not made for.",
        *(("## What the adversarial loss adds", text.adversarial) if adversarial else ()),
        "## Training",
        "\n".join(table(["", ""], [*_training(name, recipe, facts, card), ["file", file]])),
        f'`gan_restore.load_generator("{name}")[1]` is the whole recipe. The terms of the data are given as far as '
        "they are known ([data sets](../data_sets.md)).",
        "## Measurements",
        "Scores are means over the images. Every method restored the same degraded images. None of the images "
        "trained the model or chose its epoch.",
        *["\n".join([f"### {measured['data']}", "", *methods(measured)]) for measured in card["measured"]],
    ]
    if card["undamaged"]:
        sections += [
            "### Undamaged photos",
            "PSNR of the model's output against its input, which has no damage: how much it changes what it should "
            "leave alone." + " The output was shrunk to the size of the input first." * (recipe.factor > 1),
            "\n".join(
                f"- {kept['n_images']} images of {kept['data']}: {kept['psnr']:.2f} dB"
                for kept in card["undamaged"]
            ),
        ]
    sections += _kinds(name)
    for sweep in card["robustness"]:
        sections += [
            f"### Robustness: {sweep['setting']}",
            f"PSNR in dB on {sweep['n_images']} images of {sweep['data']}, for values of `{sweep['setting']}`"
            f"{_trained_with(recipe, sweep['setting'])}.",
            "\n".join(sweep_table(sweep)),
        ]
    return "\n\n".join(sections) + "\n"


def _kinds(name: str) -> list[str]:
    """The table of kinds of photos, if benchmarks/photo_kinds.py has measured this model."""
    results: Any = read_json(KINDS) if KINDS.exists() else {}
    if results.get("model") != name:
        return []
    header = ["kind", "input (dB)", "restored (dB)", "photos that became worse", "colour error of repaired pixels"]
    rows = [
        [
            kind["kind"],
            f"{kind['input']:.2f}",
            f"{kind['restored']:.2f}",
            str(kind["worse"]),
            f"{kind['chroma_shift']:.2f}/255",
        ]
        for kind in results["kinds"]
    ]
    return [
        "### Kinds of photos",
        f"{results['data']}, each given the tone or the size of a kind, damaged by the recipe and restored "
        "(`benchmarks/photo_kinds.py`). The colour error is the mean distance in Cb and Cr.",
        "\n".join(table(header, rows)),
    ]


def _gain(measured: Measured) -> str:
    return (
        f"On {measured['n_images']} images of {measured['data']} it reaches "
        f"{best_score(measured, 'learned')['psnr']:.2f} dB, {gain(measured):+.2f} dB against "
        f"the strongest classical method ({best_score(measured, 'classical')['method']})."
    )


def _training(name: str, recipe: Recipe, facts: dict[str, Any], card: Card) -> list[tuple[str, str]]:
    changes = [f"`{field}` {value}" for field, value in changes_of(recipe).items()]
    others = f" with other values for {', '.join(changes)}" if changes else ""
    data = "; ".join(f"{x['data']}, {x['images']:,} images, {x['licence']}" for x in card["trained_on"])
    versions = ", ".join(f"{name} {version}" for name, version in card["versions"].items())
    return [
        ("recipe", f"`{recipe.name}`, scale `small`{others}"),
        ("loss", _loss(recipe, facts)),
        ("starts from", _start(name, facts)),
        ("data and its terms", data),
        ("steps", f"{card['steps']:,} in {card['minutes']:,.0f} minutes; the weights after step {facts['step']:,}"),
        ("computed on", f"{card['device']}, {card['precision']}, seed {recipe.seed}"),
        ("versions", versions),
        ("commit", card["commit"] or "not known"),
    ]


def _start(name: str, facts: dict[str, Any]) -> str:
    """What the weights were before the first step."""
    if "started_from" not in facts:
        return "random weights"
    first = MODELS[name].start_from
    page = (
        f"[{first}]({first}.md)" if MODELS[first].part_of_package else f"`{first}` of benchmarks/model_recipes.py"
    )
    share = MODELS[name].start_share
    mean = f"; the published weights have a share of {share:g} of these" if share else ""
    return f"{page}, trained for {facts['started_from']['step']:,} steps{mean}"


def _loss(recipe: Recipe, facts: dict[str, Any]) -> str:
    """The terms that the weights were trained with, which depend on the stage that they are from."""
    pixel = f"{recipe.pixel_weight:g} {recipe.pixel_loss}"
    if facts["stage"] == "pixel loss":
        return f"{pixel}; no discriminator"
    others = {
        "perceptual": recipe.perceptual_weight,
        f"adversarial ({recipe.adversarial})": recipe.adversarial_weight,
    }
    return " + ".join([pixel, *(f"{weight:g} {term}" for term, weight in others.items() if weight)])


def _trained_with(recipe: Recipe, setting: str) -> str:
    value = getattr(recipe, setting)
    values = value if isinstance(value, tuple) else (value,)
    return f" (in training: {' to '.join(f'{x:.4g}' for x in values)})"


def _megabytes(name: str) -> str:
    return f"{model_path(name).stat().st_size / 1e6:.1f} MB"


if __name__ == "__main__":
    try:
        parse(write_cards, sys.argv[1:], "python benchmarks/model_cards.py")
    except UserError as error:
        sys.exit(f"model_cards.py: {error}")
