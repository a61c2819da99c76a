"""`gan-restore models`: list the trained models that are part of the package."""

from gan_restore.cli.arguments import parse
from gan_restore.inference.checkpoints import load_card
from gan_restore.inference.models import best_score, gain, listed, model_names, model_path


def main(args: list[str]) -> None:
    """List the models."""

    def run() -> None:
        """List the trained models: what each restores, how well, and what it was trained on.

        A gain is the PSNR of the model minus that of the strongest classical method, on images that the model was
        not trained on. The values are read from the models' files.

        Example: gan-restore models
        """
        if not model_names():
            print(f"{listed()}; train a network of your own: gan-restore train --help")
        for name in model_names():
            card = load_card(name)
            first = card["measured"][0]
            data = ", ".join(f"{trained['data']} ({trained['images']:,} images)" for trained in card["trained_on"])
            print(
                f"{name}: {card['purpose']}\n"
                f"    {model_path(name).stat().st_size / 1e6:.1f} MB; {gain(first):+.2f} dB over "
                f"{best_score(first, 'classical')['method']} on {first['n_images']} images of {first['data']}\n"
                f"    trained on {data}"
            )

    parse(run, args, "gan-restore models")
