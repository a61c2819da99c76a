"""Archives of photos, restored by the workers of a Ray cluster.

Ray Data gives the photos to actors, each with its own restorer and device, and starts an actor again if it died.
Photos and results are in any file system that fsspec knows, such as s3:// or a folder that all workers see.
"""

import logging
import os
import socket
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
from torch import Tensor

from gan_restore.files import UserError, install
from gan_restore.images import SUFFIXES, writable_names
from gan_restore.inference.checkpoints import BEST
from gan_restore.inference.devices import Compute
from gan_restore.inference.restored_photos import restore_file
from gan_restore.inference.restorer import load_restorer
from gan_restore.photos import photo_warnings

_TASKS = 1000  # at most; what a task has not finished when its worker dies is begun again
_ATTEMPTS = 3  # then a photo is given up: it may need more memory than a worker has


@dataclass(frozen=True)
class Restored:
    """What became of a photo."""

    source: str
    error: str
    """Why it could not be restored; empty if it was."""
    warned: str
    """What `restore_photo` warned of; empty if nothing."""


@dataclass(frozen=True)
class Settings:
    """How the workers restore."""

    checkpoints: tuple[bytes, ...]
    """The contents of the checkpoints, because workers need not see the same files."""
    compute: Compute
    """The device and precision."""
    options: dict[str, Any]
    """`strength`, `preserve` and `ensemble` of `Restorer`."""
    guarded: bool = True
    """As `restore_photo` takes it."""
    mask: Tensor | None = None
    """As `restore_photo` takes it."""
    overwrite: bool = False
    """Restore photos whose target exists, too."""


class Worker:
    """The restorers on one device; each actor of Ray has one."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._restorers = settings, []
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / BEST
            for contents in settings.checkpoints:
                file.write_bytes(contents)
                self._restorers.append(load_restorer(file, settings.compute, **settings.options))

    def __call__(self, row: dict[str, str]) -> dict[str, str]:
        """Restore `row["source"]` into `row["target"]`, both URLs.

        A target that exists is left alone, unless it is to be overwritten: a worker that died may have written it.

        Returns:
            The fields of `Restored`.
        """
        error = warned = ""
        try:
            warned = self._restore(row["source"], row["target"])
        except UserError as problem:
            error = str(problem)
        except Exception as problem:  # one photo must not end the work on an archive
            error = f"{type(problem).__name__}: {problem}"
        return {"source": row["source"], "error": error, "warned": warned}

    def _restore(self, source: str, target: str) -> str:
        """Restore a photo, and return what it was warned of."""
        files, place = _opened(target)
        if not self._settings.overwrite and files.exists(place):
            return ""
        with tempfile.TemporaryDirectory() as folder:
            photos, where = _opened(source)
            photo = Path(folder, "photo", PurePosixPath(where).name)
            result = Path(folder, "restored", PurePosixPath(place).name)
            photo.parent.mkdir()
            photos.get_file(where, str(photo))
            with photo_warnings() as told:
                try:
                    restore_file(
                        photo, result, *self._restorers, guarded=self._settings.guarded, mask=self._settings.mask
                    )
                except UserError as error:
                    raise UserError(str(error).replace(str(photo), source).replace(str(result), target)) from None
            _put(files, result, place)
        return "; ".join(told).replace(f"{photo}: ", "")


class Attempts:
    """How often the work on each photo was begun without an end, because its process was lost."""

    def __init__(self) -> None:
        self._begun: Counter[str] = Counter()

    def begin(self, target: str) -> bool:
        """Count an attempt; False if the photo is to be given up."""
        self._begun[target] += 1
        return self._begun[target] <= _ATTEMPTS

    def end(self, target: str) -> None:
        """Forget the attempts: the photo is restored, or it is known why not."""
        del self._begun[target]


class _Actor(Worker):
    """A worker whose settings, which hold the weights, come from Ray's object store; its attempts are counted.

    Args:
        settings: a reference to `Settings`.
        attempts: a handle of `Attempts`, which is an actor, too.
    """

    def __init__(self, settings: Any, attempts: Any) -> None:
        import ray

        super().__init__(ray.get(settings))
        self._attempts, self._get = attempts, ray.get

    def __call__(self, row: dict[str, str]) -> dict[str, str]:
        """As `Worker`, but a photo with which too many processes were lost is not tried again."""
        if not self._get(self._attempts.begin.remote(row["target"])):
            error = f"{row['source']}: {_ATTEMPTS} processes were lost with it; it may need more memory"
            return {"source": row["source"], "error": error, "warned": ""}
        done = super().__call__(row)
        self._get(self._attempts.end.remote(row["target"]))
        return done


def _put(files: fsspec.AbstractFileSystem, local: Path, place: str) -> None:
    """Copy a file to another file system, where it appears whole or not at all."""
    folder, _, name = place.rpartition("/")
    files.makedirs(folder, exist_ok=True)
    part = f"{folder}/.{name}-{uuid.uuid4().hex}.part"
    try:
        files.put_file(str(local), part)
        files.mv(part, place)
    finally:
        if files.exists(part):
            files.rm_file(part)


def find_photos(places: Sequence[str], out: str) -> dict[str, str]:
    """The photo to restore into each target; both are URLs of fsspec.

    Args:
        places: paths or URLs of image files, of folders, or patterns such as "s3://bucket/scans/*.jpg".
        out: path or URL of the folder for the restored photos. The photos of a folder keep their place in its
            subfolders; if there are several folders, each gets a folder of its name in `out`.

    Returns:
        Target -> photo.

    Raises:
        UserError: if there is no such photo, a file system is unknown, two photos have the same target, or a target
            is its own photo.
    """
    out_files, out_folder = _opened(out)
    found: list[tuple[str, str]] = []
    roots: list[tuple[fsspec.AbstractFileSystem, str]] = []
    for files, place in map(_opened, places):
        matches = [place] if files.exists(place) else sorted(files.glob(place))
        if not matches:
            raise UserError(f"no photo {files.unstrip_protocol(place)}; check the path")
        roots += [(files, match) for match in matches]
    several = sum(files.isdir(root) for files, root in roots) > 1
    for files, root in roots:
        if files.isdir(root):
            below = f"{PurePosixPath(root).name}/" if several else ""
            inside = [path for path in sorted(files.find(root)) if _is_photo(path.removeprefix(root))]
            if files == out_files and out_folder.startswith(f"{root}/"):  # results of an earlier run
                inside = [path for path in inside if not path.startswith(f"{out_folder}/")]
            found += [
                (f"{below}{path.removeprefix(root).strip('/')}", files.unstrip_protocol(path)) for path in inside
            ]
        else:
            found.append((PurePosixPath(root).name, files.unstrip_protocol(root)))
    targets: dict[str, str] = {}
    for name, source in found:
        target = out_files.unstrip_protocol(f"{out_folder}/{name}")
        other = targets.setdefault(target, source)
        if other != source:
            raise UserError(f"{other} and {source} would both become {target}; restore them into different folders")
    targets = dict(zip(writable_names(targets), targets.values(), strict=True))
    for target, source in targets.items():
        if target == source:
            raise UserError(f"{source} would be overwritten; choose another --out")
    if not targets:
        raise UserError(f"no images in {', '.join(places)}; give other photos")
    return targets


def _is_photo(path: str) -> bool:
    """Whether a path below a folder is an image file that is not hidden."""
    parts = PurePosixPath(path).parts
    return PurePosixPath(path).suffix.lower() in SUFFIXES and not any(part.startswith(".") for part in parts)


def _opened(place: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system of a path or URL, and the place in it.

    Raises:
        UserError: if fsspec does not know the file system, or the package for it is missing.
    """
    try:
        files, path = fsspec.url_to_fs(place)
    except (ValueError, ImportError) as error:
        raise UserError(f"cannot open {place}: {error}") from None
    return files, path.rstrip("/")


def missing(targets: dict[str, str], out: str) -> dict[str, str]:
    """Those of `find_photos` whose target does not exist yet in `out`."""
    files, folder = _opened(out)
    there = {files.unstrip_protocol(path) for path in files.find(folder)}
    return {target: source for target, source in targets.items() if target not in there}


def restore_archive(targets: dict[str, str], address: str, settings: Settings) -> Iterator[Restored]:
    """Restore photos on a Ray cluster, with one actor for each GPU, or for each processor core if there is none.

    Args:
        targets: what `find_photos` returns.
        address: of the cluster, as `ray.init` takes it; "local" starts one on this machine for this work alone.
        settings: how to restore.

    Yields:
        What became of each photo, in the order in which they are done.

    Raises:
        UserError: if Ray is not installed, there is no cluster at this address, it has no GPU and
            `settings.compute.device` is "cuda", or its workers cannot load the restorers.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # otherwise Ray reports each cluster to its makers
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # Ray's messages would break the progress bar
    try:
        import ray
        import ray.data
    except ModuleNotFoundError as error:
        raise UserError(f"a cluster needs the package {error.name}: {install('cluster')}") from None
    host, _, port = address.rpartition(":")
    try:
        if port.isdigit() and "/" not in host:  # ray.init takes minutes to find that nobody answers
            socket.create_connection((host, int(port)), timeout=20).close()
        ray.init(address=address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # Ray raises many types of errors for a cluster that does not answer
        raise UserError(f"no Ray cluster at {address}: {str(error).splitlines()[0]}") from None
    try:
        yield from _results(targets, settings)
    finally:
        ray.shutdown()


def _results(targets: dict[str, str], settings: Settings) -> Iterator[Restored]:
    """What `restore_archive` yields, on the cluster to which this process is connected."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    for handler in logging.getLogger("ray.data").handlers:
        if isinstance(handler, logging.StreamHandler):  # the log files keep everything
            handler.setLevel(logging.ERROR)
    resources = ray.cluster_resources()
    device = settings.compute.device
    gpus = int(resources.get("GPU", 0)) if device in ("auto", "cuda") else 0
    if device == "cuda" and not gpus:
        raise UserError("the Ray cluster has no GPU; try --device auto")
    # On the machine of this process, so that the loss of another one does not end it.
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    attempts = ray.remote(num_cpus=0, scheduling_strategy=here)(Attempts).remote()  # type: ignore[call-overload]
    rows = [{"source": source, "target": target} for target, source in targets.items()]
    restored = ray.data.from_items(rows, override_num_blocks=min(len(rows), _TASKS)).map(
        _Actor,  # type: ignore[arg-type] # Ray makes the objects
        fn_constructor_args=(ray.put(settings), attempts),
        # Each actor has one task at a time, so that none waits for one actor while another has nothing to do.
        compute=ray.data.ActorPoolStrategy(
            size=min(gpus or int(resources.get("CPU", 1)), len(rows)), max_tasks_in_flight_per_actor=1
        ),
        num_gpus=1 if gpus else None,
        num_cpus=None if gpus else 1,
    )
    restored.context.enable_progress_bars = False
    try:
        for row in restored.iter_rows():
            yield Restored(**row)
    except ray.exceptions.RayError as error:  # such as a worker on whose machine this package is missing
        raise UserError(f"the Ray cluster gave up: {str(error).strip().splitlines()[-1]}") from None
