"""Jobs of the page: one at a time, a few wait, and results stay in memory for some minutes."""

import secrets
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from gan_restore.files import UserError
from gan_restore.inference.heap import one_heap

State = Literal["waiting", "running", "done", "failed", "cancelled"]
Progress = Callable[[float], None]
"""Takes the part of the work that is done, from 0 to 1; raises `Cancelled` if the job was cancelled."""

FAILED = "the server failed; its terminal says why"
"""The message for an unexpected error."""

_MOST_ENDED = 64  # jobs that are remembered after their end


class Busy(Exception):
    """As many jobs wait as may wait."""


class Failed(Exception):
    """The work ended in an unexpected error, which the terminal shows."""


class Cancelled(Exception):
    """The job was cancelled."""


@dataclass(frozen=True)
class Result:
    """The file that a job made."""

    content: bytes
    name: str
    """For the download: a file name without folders."""
    mimetype: str
    warnings: tuple[str, ...] = ()
    """What the owner of the photo should know."""


class Job:
    """Work that waits, runs or has ended.

    Args:
        work: makes the result; it calls its argument with the progress now and then.

    Attributes:
        id: cannot be guessed, so that nobody else gets the result.
        progress: the part of the work that is done, from 0 to 1.
        future: the result, or the error.
        ended: when the job ended, by `time.monotonic`; None before.
    """

    def __init__(self, work: Callable[[Progress], Result]) -> None:
        self.id = secrets.token_urlsafe(16)
        self.progress = 0.0
        self.future: Future[Result] = Future()
        self.ended: float | None = None
        self._work: Callable[[Progress], Result] | None = work
        self._cancelled = False

    @property
    def state(self) -> State:
        """What the job does at the moment."""
        if self._cancelled and not self._succeeded:
            return "cancelled"
        if not self.future.done():
            return "running" if self.future.running() else "waiting"
        return "done" if self._succeeded else "failed"

    @property
    def size(self) -> int:
        """Bytes of the result; 0 without one."""
        return len(self.future.result().content) if self._succeeded else 0

    @property
    def _succeeded(self) -> bool:
        return self.future.done() and not self.future.cancelled() and self.future.exception() is None

    def run(self) -> Result:
        """Do the work.

        Raises:
            Cancelled: if the job was cancelled before it or during it.
            UserError: if the user can mend what is wrong.
            Failed: after any other error.
        """
        work, self._work = self._work, None  # the upload is freed with the work
        if work is None:
            raise Cancelled
        try:
            return work(self._told)
        except (UserError, Cancelled):
            raise
        except Exception:
            traceback.print_exc()
            raise Failed(FAILED) from None

    def _told(self, part: float) -> None:
        if self._cancelled:
            raise Cancelled
        self.progress = part

    def end(self, future: Future[Result]) -> None:
        """Note the time; the future calls it."""
        self.ended = time.monotonic()
        error = None if future.cancelled() else future.exception()
        if error is not None:  # its frames hold the upload and the photo
            error.__traceback__ = error.__context__ = error.__cause__ = None

    def cancel(self) -> None:
        """Drop the job if it waits; if it runs, it ends at its next progress."""
        self._cancelled, self._work = True, None
        self.future.cancel()


class Jobs:
    """A worker that does one job at a time.

    Args:
        waiting: number of jobs that may wait for the worker.
        keep_bytes: the oldest results are dropped until all have at most this many bytes; the newest always stays.
        keep_seconds: results are dropped after this time, at the next request.
    """

    def __init__(self, waiting: int = 4, keep_bytes: int = 2**28, keep_seconds: float = 600) -> None:
        self.waiting, self._keep_bytes, self._keep_seconds = waiting, keep_bytes, keep_seconds
        one_heap()  # for the worker, which restores
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="restore")
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()

    def check(self) -> None:
        """Look whether another job is taken.

        Raises:
            Busy: if not.
        """
        with self._lock:
            self._check()

    def _check(self) -> None:
        if len(self._unfinished()) > self.waiting:
            raise Busy

    def submit(self, work: Callable[[Progress], Result]) -> Job:
        """Take a job.

        Raises:
            Busy: if too many wait.
        """
        with self._lock:
            self._forget()
            self._check()
            job = Job(work)
            self._jobs[job.id] = job
            job.future = self._worker.submit(job.run)
            job.future.add_done_callback(job.end)
        return job

    def find(self, id: str) -> Job | None:
        """The job of an id, unless it was dropped."""
        with self._lock:
            self._forget()
            return self._jobs.get(id)

    def ahead(self, job: Job) -> int:
        """How many jobs are done before this one."""
        with self._lock:
            unfinished = self._unfinished()
        return unfinished.index(job) if job in unfinished else 0

    def drop(self, job: Job) -> None:
        """Cancel a job, or forget its result."""
        job.cancel()
        with self._lock:
            if job.future.done():  # what still runs counts until it stops
                self._jobs.pop(job.id, None)

    def stop(self) -> None:
        """Cancel all jobs and wait until the running one has noticed, at its next tile."""
        with self._lock:
            for job in self._jobs.values():
                job.cancel()
        self._worker.shutdown(cancel_futures=True)

    def _unfinished(self) -> list[Job]:
        return [job for job in self._jobs.values() if not job.future.done()]

    def _forget(self) -> None:
        """Drop old results."""
        ended = [job for job in self._jobs.values() if job.ended is not None]
        kept, now = 0, time.monotonic()
        for number, job in enumerate(reversed(ended)):
            kept += job.size
            too_many = number > 0 and (kept > self._keep_bytes or number >= _MOST_ENDED)
            if too_many or now - (job.ended or 0) > self._keep_seconds:
                del self._jobs[job.id]
