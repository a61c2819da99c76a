"""Fetch the data sets of the course from Kaggle, whole or not at all.

    python data_scripts/download_kaggle.py list
    python data_scripts/download_kaggle.py get NAME [--root data] [--from-zip FILE]
    python data_scripts/download_kaggle.py verify NAME [--root data]

A data set is the folder ROOT/NAME. It appears by one rename, after every file in it was checked against the
archive, and holds a record of its files for `verify`. What is unfinished lies in ROOT/.NAME, which nothing reads.
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
RECORD = ".files.json"  # file -> [size, CRC-32]; hidden, so that no image loader trips over it
_SPARE = 64 * 2**20  # bytes to leave free: a disk filled to the brim breaks other programs
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError)


@dataclass(frozen=True)
class DataSet:
    """A data set on Kaggle.

    Attributes:
        address: owner/name on Kaggle.
        size: of the archive, as far as known.
        licence: as far as known; the data set's page has the last word.
        recipes: the recipes that train on it.
        layout: patterns of the files that must be there, one path part a `*`.
    """

    address: str
    size: str
    licence: str
    recipes: tuple[str, ...]
    layout: tuple[str, ...]

    @property
    def url(self) -> str:
        """The page to read the licence on, and to download by hand from."""
        return f"https://www.kaggle.com/datasets/{self.address}"


# As far as known: "own terms" are those of the set's makers; the page on Kaggle has the last word.
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
    """Run one command; returns the exit code: 0, 2 for what only the user can mend, 130 after Ctrl-C."""
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
        print("\ndownload_kaggle: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    except SystemExit as stop:  # --help was shown
        return int(stop.code or 0)
    return 0


def list_all() -> None:
    """List the data sets: address, size of the archive, licence and the recipes that use them.

    Example: python data_scripts/download_kaggle.py list
    """
    for name, kind in DATA_SETS.items():
        print(f"{name}: {kind.url}\n    size {kind.size}; licence {kind.licence}; for {', '.join(kind.recipes)}")


def get(name: Positional[Name], root: Path = Path("data"), from_zip: Zip = None) -> None:
    """Fetch a data set into ROOT/NAME, or do nothing if it is there and whole.

    Example: python data_scripts/download_kaggle.py get fer2013-csv

    Args:
        root: The folder that holds the data sets.
        from_zip: An archive that you downloaded by hand; nothing is fetched then, and it is left as it is.
    """
    folder = root / name
    if from_zip and not from_zip.is_file():
        raise UserError(f"no such file: {from_zip}; check --from-zip")
    with _working_on(name, root) as work:
        shutil.rmtree(work / "files", ignore_errors=True)  # left by a killed run
        if folder.exists():
            print(f"{folder} is there already; nothing is fetched")
        else:
            archive = from_zip or _download(name, work)
            try:
                record = _extract(archive, name, work / "files")
            except _BROKEN as error:
                if not from_zip:
                    archive.unlink()
                again = "download it again" if from_zip else "it is removed; run the same command again"
                raise UserError(
                    f"{archive} is damaged or cut short ({error}): nothing installed; {again}"
                ) from None
            write_json(work / "files" / RECORD, record)
            (work / "files").rename(folder)
            (work / _zip_name(name)).unlink(missing_ok=True)
    verify(name, root)


def verify(name: Positional[Name], root: Path = Path("data")) -> None:
    """Check every file of ROOT/NAME against the archive it came from, count them, and say what to run next.

    Example: python data_scripts/download_kaggle.py verify fer2013-csv

    Args:
        root: The folder that holds the data sets.
    """
    folder = root / name
    if not folder.is_dir():
        raise UserError(f"no folder {folder}; fetch it with `{SCRIPT} get {name} --root {root}`")
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
            f"{len(damaged)} of {len(record)} files in {folder} are missing or changed, as {damaged[0]}; "
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
    """What the Kaggle client calls the archive."""
    return DATA_SETS[name].address.split("/")[1] + ".zip"


@contextlib.contextmanager
def _working_on(name: str, root: Path) -> Iterator[Path]:
    """Give the folder of what is unfinished, to one process at a time; `UserError` if the disk fails."""
    work = root / f".{name}"
    try:
        work.mkdir(parents=True, exist_ok=True)
        # The lock stays when all else goes: removing it would let a third process in beside a second.
        with FileLock(work / "lock", timeout=0):
            yield work
    except Timeout:
        raise UserError(f"another process is fetching {name}; wait for it, then run this again") from None
    except OSError as error:
        raise UserError(
            f"cannot read or write {error.filename or root}: {error.strerror or error}; "
            "free some space or choose another --root"
        ) from None


def _download(name: str, work: Path) -> Path:
    """Fetch the archive into `work`, going on where an earlier call stopped; returns its path."""
    if not find_spec("kaggle"):
        raise UserError("the kaggle package is missing; install it with `pip install kaggle`")
    from requests import RequestException
    from urllib3.exceptions import HTTPError as BrokenConnection

    archive = work / _zip_name(name)
    try:
        _sign_in(name).dataset_download_files(DATA_SETS[name].address, path=str(work), quiet=False)
    except (RequestException, BrokenConnection) as error:
        raise UserError(_explain(error, DATA_SETS[name], f"run `{SCRIPT} get {name} --from-zip FILE`")) from None
    except ValueError as error:  # the client got another size than was announced
        archive.unlink(missing_ok=True)
        raise UserError(f"{error}; what was fetched is removed: run the same command again") from None
    return archive


def _sign_in(name: str) -> Any:
    """The Kaggle client, with credentials; `UserError` if there are none or Kaggle does not know them."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):  # pages of advice; ours is one line
            import kaggle  # signs in by itself, but hides what goes wrong: hence once more

            kaggle.api.authenticate()
    except (SystemExit, TypeError):  # TypeError: kaggle.json is JSON, but not of names and values
        source = _credentials()
        wrong = f"Kaggle finds nothing valid in {source}" if source else "no Kaggle credentials found"
        by_hand = f"download {DATA_SETS[name].url} in a browser and run `{SCRIPT} get {name} --from-zip FILE`"
        raise UserError(f"{wrong}; {_NEW_TOKEN}; or {by_hand}") from None
    for warning in {line for line in said.getvalue().splitlines() if line.startswith("Warning")}:
        print(warning, file=sys.stderr)  # that others can read kaggle.json
    return kaggle.api


_NEW_TOKEN = (
    "sign in at https://www.kaggle.com/settings/api, press 'Generate New Token', save the token as "
    "~/.kaggle/access_token (or set KAGGLE_API_TOKEN to it) and run the same command again"
)


def _credentials() -> str:
    """Which of the user's credentials the client sends, in the client's own order; empty if there are none."""
    import kaggle
    from kagglesdk import get_access_token_from_env

    token, source = get_access_token_from_env()
    if token:  # sent even where Kaggle did not know it and a valid kaggle.json lies beside
        return source if source.startswith("KAGGLE") else f"~/.kaggle/{source}"
    if {"KAGGLE_USERNAME", "KAGGLE_KEY"} <= os.environ.keys():
        return "KAGGLE_USERNAME and KAGGLE_KEY"
    return kaggle.api.config if Path(kaggle.api.config).exists() else ""


def _explain(error: Exception, kind: DataSet, from_zip: str) -> str:
    """What went wrong between here and Kaggle, and what to do."""
    response = getattr(error, "response", None)
    if response is None:
        return (
            f"the connection to Kaggle failed ({type(error).__name__}): check the network and run the same "
            "command again; it goes on where it stopped"
        )
    seconds = response.headers.get("Retry-After", "")
    told = {
        401: f"Kaggle refuses the credentials in {_credentials() or '`kaggle auth login`'}: wrong or expired; "
        + _NEW_TOKEN,
        403: f"Kaggle denies access: open {kind.url} signed in, accept its rules if it asks, and run the same "
        f"command again; or download it there and {from_zip}",
        404: f"Kaggle has no {kind.address}, or not for this account: see whether {kind.url} opens; if you find "
        f"an archive of this layout elsewhere, {from_zip}",
        429: f"too many requests to Kaggle: wait {seconds if seconds.isdigit() else 'some hundred'} seconds, then "
        "run the same command again",
    }
    status = response.status_code
    return f"{told.get(status, f'Kaggle answers: {error}; run the same command again later')} (HTTP {status})"


def _extract(archive: Path, name: str, into: Path) -> dict[str, tuple[int, int]]:
    """Unpack into a new folder, each file checked against its CRC-32; returns file -> (size, CRC-32)."""
    with zipfile.ZipFile(archive) as opened:
        members = [member for member in opened.infolist() if not member.is_dir()]
        for member in members:
            if not _stays_inside(member):
                raise UserError(
                    f"{archive} holds {member.filename!r}, a link or a path out of its folder: nothing was "
                    f"installed; do not trust it, fetch {DATA_SETS[name].url} anew"
                )
        for pattern, count in _count(name, [member.filename for member in members]).items():
            if not count:
                raise UserError(
                    f"{archive} holds no {pattern}: nothing was installed; make sure that it comes from "
                    f"{DATA_SETS[name].url}, and remove it if it does not"
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
    """How many files there are of each pattern that the data set must have."""
    return {
        pattern: sum(file.count("/") == pattern.count("/") and fnmatchcase(file, pattern) for file in files)
        for pattern in DATA_SETS[name].layout
    }


def _checksum(path: Path, size: int) -> int | None:
    """CRC-32 of a file; None if it cannot be read or has another size."""
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
