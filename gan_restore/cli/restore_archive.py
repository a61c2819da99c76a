"""`gan-restore restore --ray`: photos restored on a Ray cluster."""

import sys
from collections.abc import Sequence

from tqdm.auto import tqdm

from gan_restore.cli.restore import stopped, summary
from gan_restore.files import UserError, printable
from gan_restore.inference.cluster import Settings, find_photos, missing, restore_archive


def restore_on_ray(photos: Sequence[str], out: str, address: str, settings: Settings) -> None:
    """Restore the photos that have no result in `out` yet, and print each failure and warning as it comes.

    Args:
        photos: paths, patterns and URLs, as `find_photos` takes them.
        out: path or URL of the folder for the restored photos.
        address: of the Ray cluster, as `restore_archive` takes it.
        settings: how to restore.

    Raises:
        UserError: if there is no such photo or cluster, or photos were left out.
    """
    targets = find_photos(photos, out)
    todo = targets if settings.overwrite else missing(targets, out)
    restored = failed = 0
    if todo:
        bar = tqdm(restore_archive(todo, address, settings), total=len(todo), unit="photo")
        try:
            for photo in bar:
                failed += bool(photo.error)
                restored += not photo.error
                for message in filter(None, (photo.error, photo.warned)):
                    tqdm.write(printable(f"gan-restore: {photo.source}: {message}"), file=sys.stderr)
        except KeyboardInterrupt:
            bar.close()
            print(stopped(restored, len(todo), settings.overwrite))
            raise
    print(summary(restored, out, len(targets) - len(todo)))
    if failed:
        raise UserError(f"left out {failed} of {len(targets)}, which are named above")
