"""`gan-restore cache`: show and clear the cache of decoded images."""

import time
from pathlib import Path

from tyro.conf import Positional

from gan_restore.cli.arguments import parse
from gan_restore.data.store import StoreSummary, cache_root, list_stores, remove_store
from gan_restore.files import UserError, printable


def main(args: list[str]) -> None:
    """Show the stores of the cache, or delete them.

    Raises:
        UserError: If a store cannot be deleted, or a source has none.
    """

    def run(sources: Positional[tuple[Path, ...]] = (), unused_for: float = 0, clear: bool = False) -> None:
        """Show the cache of decoded images, or clear it.

        Each data set has one or more stores in the cache: one for its images as they are, and one for each size of
        squares. A store that is missing is built again when it is needed. The environment variable
        GAN_RESTORE_CACHE sets the folder of the cache.

        Example: gan-restore cache --unused-for 30 --clear

        Args:
            sources: Only the stores of these data sets: folders of images, or FER2013's csv or zip.
            unused_for: Only stores that were not used for this many days.
            clear: Delete these stores.
        """
        named = {printable(source.resolve()) for source in sources}
        stores = [store for store in list_stores() if not named or store.source in named]
        missing = named - {store.source for store in stores}
        if missing:
            raise UserError(f"the cache holds nothing of {', '.join(sorted(missing))}; see gan-restore cache")
        chosen = [store for store in stores if time.time() - store.used >= unused_for * 24 * 3600]
        for store in chosen:
            if clear:
                remove_store(store.folder)
            print(_line(store))
        total = sum(store.size for store in chosen) / 1e6
        done = "deleted from" if clear else "in"
        print(f"{len(chosen)} store{'s' * (len(chosen) != 1)}, {total:,.1f} MB, {done} {cache_root()}")

    parse(run, args, "gan-restore cache")


def _line(store: StoreSummary) -> str:
    source = store.source or "unknown source"
    squares = f", squares of {store.square} pixels" if store.square else ""
    used = time.strftime("%Y-%m-%d %H:%M", time.localtime(store.used))
    return f"{store.size / 1e6:>12,.1f} MB  last used {used}  {source}{squares}"
