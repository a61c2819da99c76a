"""The work behind the page: photos restored by the models of the package, files and results in memory."""

import dataclasses
import functools
import json

from gan_restore import inference
from gan_restore.files import MemoryFile, UserError
from gan_restore.inference import Compute, Restorer
from gan_restore.inference.models import listed, model_path
from gan_restore.photos import photo_warnings
from gan_restore.serve.jobs import Progress, Result
from gan_restore.serve.uploads import FORMATS, MIMETYPES, Order

_LOADED = 8  # restorers that stay in memory


class Models:
    """The models of the package on one device.

    Args:
        compute: the device and precision.

    Attributes:
        factors: name -> by how much it enlarges.
        purposes: name -> what it restores, in one line.

    Raises:
        UserError: if the package holds no models, or this machine has no such device.
    """

    def __init__(self, compute: Compute) -> None:
        names = inference.model_names()
        if not names:
            raise UserError(f"{listed()}; train some first")
        compute.fabric()
        paths = {name: model_path(name) for name in names}
        self.factors = {name: inference.load_recipe(path).factor for name, path in paths.items()}
        self.purposes = {name: inference.load_card(path)["purpose"] for name, path in paths.items()}

        def load(name: str, strength: float, preserve: float, ensemble: bool) -> Restorer:
            options = {"strength": strength, "preserve": preserve, "ensemble": ensemble}
            return inference.load_restorer(paths[name], compute, **options)

        self._load = functools.lru_cache(_LOADED)(load)

    def restore(self, order: Order, progress: Progress) -> Result:
        """Restore a photo.

        Raises:
            UserError: if the photo or the mask is damaged, or they do not fit each other.
        """
        progress(0.0)
        restorers = [self._load(name, **order.options) for name in order.models]
        with photo_warnings() as messages:
            photo = inference.read_photo(order.photo, FORMATS)
            mask = None if order.mask is None else inference.read_mask(order.mask, FORMATS)
            restored = inference.restore_photo(
                photo, *restorers, guarded=order.guarded, mask=mask, progress=progress
            )
        return _result(order.name, restored, messages)

    def advise(self, photo: MemoryFile, same_size: bool) -> Result:
        """Choose models for a photo: a JSON file of what `inference.advise` says.

        Raises:
            UserError: if the photo is damaged.
        """
        with photo_warnings():
            read = inference.read_photo(photo, FORMATS)

        def load(name: str) -> Restorer:
            return self._load(name, strength=1.0, preserve=0.0, ensemble=False)

        advice = inference.advise(read, load, same_size=same_size)
        content = json.dumps({"advice": [dataclasses.asdict(choice) for choice in advice]})
        return Result(content.encode(), "advice.json", "application/json")


def preview(photo: MemoryFile) -> Result:
    """A photo as a PNG file, for browsers that cannot show its format.

    Raises:
        UserError: if it is damaged.
    """
    with photo_warnings() as messages:
        read = inference.read_photo(photo, FORMATS)
    return _result("preview.png", read, messages)


def _result(name: str, photo: inference.Photo, messages: list[str]) -> Result:
    file = MemoryFile(name)
    inference.write_photo(file, photo)
    return Result(file.getvalue(), name, MIMETYPES[f".{name.rpartition('.')[2]}"], tuple(messages))
