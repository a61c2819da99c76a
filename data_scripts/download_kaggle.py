"""Download the data sets of the course from Kaggle.

    python data_scripts/download_kaggle.py list
    python data_scripts/download_kaggle.py get NAME [--root data] [--from-zip FILE]
    python data_scripts/download_kaggle.py verify NAME [--root data]

A data set is the folder ROOT/NAME. It appears by one rename, after every file was checked against the archive, so
it is complete or absent. It holds a record of its files for `verify`. Unfinished downloads are in ROOT/.NAME.
"""

import contextlib
import io
import os
import shutil
import stat
import sys
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.util import find_spec
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Annotated, Any, Literal

import tyro
from filelock import FileLock, Timeout
from tqdm.auto import tqdm
from tyro.conf import Positional

from gan_restore.cli.arguments import parse
from gan_restore.files import UserError, read_json, write_json

SCRIPT = "python data_scripts/download_kaggle.py"
RECORD = ".files.json"  # file -> [size, CRC-32]; hidden, so that image loaders ignore it
_SPARE = 64 * 2**20  # bytes to leave free: a full disk breaks other programs
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError)


@dataclass(frozen=True)
class DataSet:
    """A data set on Kaggle.

    Attributes:
        address: owner/name on Kaggle.
        size: size of the archive, as far as known.
        licence: as far as known; the page of the data set decides.
        recipes: the recipes that train on it.
        layout: patterns of the required files; a `*` stands for one part of a path.
    """

    address: str
    size: str
    licence: str
    recipes: tuple[str, ...]
    layout: tuple[str, ...]

    @property
    def url(self) -> str:
        """The page of the data set, with its licence and the download in a browser."""
        return f"https://www.kaggle.com/datasets/{self.address}"


# "own terms" are those of the authors of the data set. docs/data_sets.md says more.
FACES = "humanface8000/landscape Images"
DATA_SETS = {
    "div2k": DataSet(
        "soumikrakshit/div2k-high-resolution-images", "unknown", "academic research only (DIV2K's own terms)",
        ("resnet-gan", "srgan"), ("DIV2K_train_HR/DIV2K_train_HR/*.png", "DIV2K_valid_HR/DIV2K_valid_HR/*.png"),
    ),
    "humanface8000": DataSet(
        "bharatadhikari/humanface8000", "475 MB", "unknown",
        ("pix2pix",), (f"{FACES}/color/*.jpg", f"{FACES}/gray/*.jpg"),
    ),
    "celeba": DataSet(
        "jessicali9530/celeba-dataset", "1.3 GB", "non-commercial research only (CelebA's own terms)",
        ("face-cgan",), ("img_align_celeba/img_align_celeba/*.jpg", "list_eval_partition.csv"),
    ),
    "lfw": DataSet(
        "jessicali9530/lfw-dataset", "unknown", "unknown",
        ("face-cgan",), ("lfw-deepfunneled/lfw-deepfunneled/*/*.jpg",),
    ),
    "ffhq": DataSet(
        "arnaud58/flickrfaceshq-dataset-ffhq", "unknown", "CC BY-NC-SA 4.0 (FFHQ's own terms)",
        ("face-cgan",), ("*.png",),
    ),
    "fer2013-csv": DataSet("deadskull7/fer2013", "unknown", "unknown", ("unet-denoiser",), ("fer2013.csv",)),
    "fer2013": DataSet(
        "msambare/fer2013", "unknown", "unknown", ("unet-denoiser",), ("train/*/*.jpg", "test/*/*.jpg"),
    ),
}  # fmt: skip
Name = Annotated[Literal[tuple(DATA_SETS)], tyro.conf.arg(metavar="NAME", help=f"One of {', '.join(DATA_SETS)}.")]
Zip = Annotated[Path | None, tyro.conf.arg(metavar="FILE")]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit code: 0, 2 for an error that the user can correct, 130 after Ctrl-C.
    """
    args = list(sys.argv[1:] if argv is None else argv)
    commands = {"list": list_all, "get": get, "verify": verify}
    try:
        if not args or args[0] in ("-h", "--help"):
            print(f"{__doc__.strip()}\n\nExample: {SCRIPT} get fer2013-csv")
            return 0
        if args[0] not in commands:
            raise UserError(f"no command '{args[0]}'; choose one of {', '.join(commands)}")
        parse(commands[args[0]], args[1:], f"{SCRIPT} {args[0]}")
    except UserError as error:
        print(f"download_kaggle: {str(error).replace(chr(10), ' ')}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ndownload_kaggle: stopped; the same command continues from here", file=sys.stderr)
        return 130
    except SystemExit as stop:  # --help was shown
        return int(stop.code or 0)
    return 0


def list_all() -> None:
    """List the data sets with address, size of the archive, licence and the recipes that use them.

    Example: python data_scripts/download_kaggle.py list
    """
    for name, kind in DATA_SETS.items():
        print(f"{name}: {kind.url}\n    size {kind.size}; licence {kind.licence}; for {', '.join(kind.recipes)}")


def get(name: Positional[Name], root: Path = Path("data"), from_zip: Zip = None) -> None:
    """Download a data set into ROOT/NAME. A complete data set is not downloaded again.

    Example: python data_scripts/download_kaggle.py get fer2013-csv

    Args:
        root: The folder that holds the data sets.
        from_zip: An archive that you downloaded yourself; it is used instead of a download and is not changed.
    """
    folder = root / name
    if from_zip and not from_zip.is_file():
        raise UserError(f"no such file: {from_zip}; check --from-zip")
    with _working_on(name, root) as work:
        shutil.rmtree(work / "files", ignore_errors=True)  # left by a killed run
        if folder.exists():
            print(f"{folder} exists already; nothing is downloaded")
        else:
            archive = from_zip or _download(name, work)
            try:
                record = _extract(archive, name, work / "files")
            except _BROKEN as error:
                if not from_zip:
                    archive.unlink()
                again = "download it again" if from_zip else "it was removed; run the same command again"
                raise UserError(
                    f"{archive} is damaged or incomplete ({error}): nothing was installed; {again}"
                ) from None
            write_json(work / "files" / RECORD, record)
            (work / "files").rename(folder)
            (work / _zip_name(name)).unlink(missing_ok=True)
    verify(name, root)


def verify(name: Positional[Name], root: Path = Path("data")) -> None:
    """Check every file of ROOT/NAME against its archive, count the files, and print the next command.

    Example: python data_scripts/download_kaggle.py verify fer2013-csv

    Args:
        root: The folder that holds the data sets.
    """
    folder = root / name
    if not folder.is_dir():
        raise UserError(f"no folder {folder}; download it with `{SCRIPT} get {name} --root {root}`")
    if not (folder / RECORD).is_file():
        raise UserError(
            f"{folder} holds no record of its files, so it cannot be verified; "
            f"move it away and run `{SCRIPT} get {name} --root {root}`"
        )
    record = read_json(folder / RECORD)
    progress = tqdm(record.items(), desc=f"verifying {name}", unit="file", leave=False)
    damaged = [file for file, (size, checksum) in progress if _checksum(folder / file, size) != checksum]
    if damaged:
        raise UserError(
            f"{len(damaged)} of {len(record)} files in {folder} are missing or changed, such as {damaged[0]}; "
            f"remove the folder and run `{SCRIPT} get {name} --root {root}`"
        )
    for pattern, count in _count(name, list(record)).items():
        print(f"{folder / pattern}: {count} file{'s' * (count != 1)}")
    if name == "fer2013-csv":
        with (folder / "fer2013.csv").open("rb") as file:
            print(f"{folder / 'fer2013.csv'}: {sum(1 for _ in file) - 1} rows")
    for recipe in DATA_SETS[name].recipes:
        print(f'next: gan-restore train {recipe} --scale small --data "{folder}" --out "runs/{recipe}-{name}"')


def _zip_name(name: str) -> str:
    """The file name that the Kaggle client gives the archive."""
    return DATA_SETS[name].address.split("/")[1] + ".zip"


@contextlib.contextmanager
def _working_on(name: str, root: Path) -> Iterator[Path]:
    """The folder for unfinished files, locked for one process.

    Raises:
        UserError: if another process holds the lock, or the disk cannot be read or written.
    """
    work = root / f".{name}"
    try:
        work.mkdir(parents=True, exist_ok=True)
        # The lock file is never removed: otherwise a second and a third process could both hold a lock.
        with FileLock(work / "lock", timeout=0):
            yield work
    except Timeout:
        raise UserError(f"another process is downloading {name}; wait for it, then run this again") from None
    except OSError as error:
        raise UserError(
            f"cannot read or write {error.filename or root}: {error.strerror or error}; "
            "free some space or choose another --root"
        ) from None


def _download(name: str, work: Path) -> Path:
    """Download the archive into `work`, continuing an interrupted download; returns its path.

    Raises:
        UserError: if the client is missing, or Kaggle or the connection refuses the download.
    """
    if not find_spec("kaggle"):
        raise UserError("the kaggle package is missing; install it with `pip install kaggle`")
    from requests import RequestException
    from urllib3.exceptions import HTTPError as BrokenConnection

    archive = work / _zip_name(name)
    try:
        _sign_in(name).dataset_download_files(DATA_SETS[name].address, path=str(work), quiet=False)
    except (RequestException, BrokenConnection) as error:
        raise UserError(_explain(error, DATA_SETS[name], f"run `{SCRIPT} get {name} --from-zip FILE`")) from None
    except ValueError as error:  # the size differs from the announced one
        archive.unlink(missing_ok=True)
        raise UserError(f"{error}; the download was removed: run the same command again") from None
    return archive


def _sign_in(name: str) -> Any:
    """The Kaggle client, signed in.

    Raises:
        UserError: if there are no valid credentials.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):  # the client prints long advice
            import kaggle  # signs in, but hides errors: hence authenticate() again

            kaggle.api.authenticate()
    except (SystemExit, TypeError):  # TypeError: kaggle.json is JSON but not an object
        source = _credentials()
        wrong = f"Kaggle finds nothing valid in {source}" if source else "no Kaggle credentials found"
        by_hand = f"download {DATA_SETS[name].url} in a browser and run `{SCRIPT} get {name} --from-zip FILE`"
        raise UserError(f"{wrong}; {_NEW_TOKEN}; or {by_hand}") from None
    for warning in {line for line in said.getvalue().splitlines() if line.startswith("Warning")}:
        print(warning, file=sys.stderr)  # such as: other users can read kaggle.json
    return kaggle.api


_NEW_TOKEN = (
    "sign in at https://www.kaggle.com/settings/api, press 'Generate New Token', save the token as "
    "~/.kaggle/access_token (or set KAGGLE_API_TOKEN to it) and run the same command again"
)


def _credentials() -> str:
    """The credentials that the client sends, in its order of preference; empty if there are none."""
    import kaggle
    from kagglesdk import get_access_token_from_env

    token, source = get_access_token_from_env()
    if token:  # used even if it is invalid and a valid kaggle.json exists
        return source if source.startswith("KAGGLE") else f"~/.kaggle/{source}"
    if {"KAGGLE_USERNAME", "KAGGLE_KEY"} <= os.environ.keys():
        return "KAGGLE_USERNAME and KAGGLE_KEY"
    return kaggle.api.config if Path(kaggle.api.config).exists() else ""


def _explain(error: Exception, kind: DataSet, from_zip: str) -> str:
    """One line on a failed request to Kaggle, with what to do."""
    response = getattr(error, "response", None)
    if response is None:
        return (
            f"the connection to Kaggle failed ({type(error).__name__}): check the network and run the same "
            "command again; it continues where it stopped"
        )
    seconds = response.headers.get("Retry-After", "")
    told = {
        401: f"Kaggle refuses the credentials in {_credentials() or '`kaggle auth login`'}: wrong or expired; "
        + _NEW_TOKEN,
        403: f"Kaggle denies access: open {kind.url} signed in, accept its rules if it asks, and run the same "
        f"command again; or download it there and {from_zip}",
        404: f"Kaggle has no {kind.address}, or not for this account: open {kind.url} in a browser; if you find "
        f"an archive of this layout elsewhere, {from_zip}",
        429: f"too many requests to Kaggle: wait {seconds if seconds.isdigit() else 'a few hundred'} seconds, then "
        "run the same command again",
    }
    status = response.status_code
    return f"{told.get(status, f'Kaggle answered: {error}; run the same command again later')} (HTTP {status})"


def _extract(archive: Path, name: str, into: Path) -> dict[str, tuple[int, int]]:
    """Unpack into a new folder and check each file against its CRC-32; returns file -> (size, CRC-32).

    Raises:
        UserError: if the archive is not this data set, is unsafe, or does not fit on the disk.
    """
    with zipfile.ZipFile(archive) as opened:
        members = [member for member in opened.infolist() if not member.is_dir()]
        for member in members:
            if not _stays_inside(member):
                raise UserError(
                    f"{archive} holds {member.filename!r}, a link or a path outside its folder: nothing was "
                    f"installed; do not trust it, and download {DATA_SETS[name].url} again"
                )
        for pattern, count in _count(name, [member.filename for member in members]).items():
            if not count:
                raise UserError(
                    f"{archive} holds no {pattern}: nothing was installed; make sure that it comes from "
                    f"{DATA_SETS[name].url}, or remove it"
                )
        needed, free = sum(member.file_size for member in members) + _SPARE, shutil.disk_usage(into.parent).free
        if needed > free:
            raise UserError(
                f"{name} needs {needed / 1e9:.2f} GB in {into.parent.parent} and {free / 1e9:.2f} GB are free; "
                "free some space or choose another --root"
            )
        into.mkdir()
        for member in tqdm(members, desc=f"unpacking {name}", unit="file", leave=False):
            target = into / member.filename
            target.parent.mkdir(parents=True, exist_ok=True)
            with opened.open(member) as packed, target.open("wb") as file:
                shutil.copyfileobj(packed, file)
    return {member.filename: (member.file_size, member.CRC) for member in members}


def _stays_inside(member: zipfile.ZipInfo) -> bool:
    path, kind = PurePosixPath(member.filename), stat.S_IFMT(member.external_attr >> 16)
    plain = "\\" not in member.filename and not PureWindowsPath(member.filename).drive
    return plain and not path.is_absolute() and ".." not in path.parts and kind in (0, stat.S_IFREG)


def _count(name: str, files: list[str]) -> dict[str, int]:
    """The number of files that match each required pattern."""
    return {
        pattern: sum(file.count("/") == pattern.count("/") and fnmatchcase(file, pattern) for file in files)
        for pattern in DATA_SETS[name].layout
    }


def _checksum(path: Path, size: int) -> int | None:
    """CRC-32 of a file; None if the file cannot be read or has another size."""
    checksum = 0
    try:
        if path.stat().st_size != size:
            return None
        with path.open("rb") as file:
            while block := file.read(2**20):
                checksum = zlib.crc32(block, checksum)
    except OSError:
        return None
    return checksum


if __name__ == "__main__":
    sys.exit(main())
