"""The restoration page: upload a photo, choose models, compare, download. `gan-restore serve` runs it.

Nothing is written to disk: uploads and results stay in memory, and only for minutes. One photo is restored at a
time; a few wait; more are refused with status 503.
"""

from gan_restore.files import UserError, install

try:
    import flask  # noqa: F401
    import waitress  # noqa: F401
except ModuleNotFoundError as error:
    raise UserError(f"the page needs the package {error.name}: {install('web')}") from None

from gan_restore.serve.app import create_app, is_loopback
from gan_restore.serve.jobs import Busy, Cancelled, Job, Jobs, Result
from gan_restore.serve.server import Server
from gan_restore.serve.uploads import Limits

__all__ = ["Busy", "Cancelled", "Job", "Jobs", "Limits", "Result", "Server", "create_app", "is_loopback"]
