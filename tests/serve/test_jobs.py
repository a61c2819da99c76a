import threading
from collections.abc import Iterator

import pytest

from gan_restore.serve import Busy, Cancelled, Jobs, Result
from gan_restore.serve import jobs as module


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    made = Jobs(waiting=1, keep_bytes=100)
    yield made
    made.stop()


def result(size: int = 1):
    return lambda progress: Result(bytes(size), "a.png", "image/png")


def test_one_job_runs_one_waits_and_a_third_is_refused(jobs: Jobs) -> None:
    started, go = threading.Event(), threading.Event()

    def slow(progress) -> Result:
        progress(0.25)
        started.set()
        go.wait(60)
        return Result(b"1", "a.png", "image/png")

    first = jobs.submit(slow)
    started.wait(60)
    second = jobs.submit(result())
    assert (first.state, first.progress, jobs.ahead(first)) == ("running", 0.25, 0)
    assert (second.state, jobs.ahead(second)) == ("waiting", 1)
    for refuse in (jobs.check, lambda: jobs.submit(result())):
        with pytest.raises(Busy):
            refuse()
    go.set()
    assert first.future.result(60).content == b"1" and second.future.result(60).content == b"\0"
    assert first.state == second.state == "done" and jobs.find(first.id) is first
    assert len(first.id) > 20 and first.id != second.id
    jobs.check()


def test_a_job_that_waits_is_dropped_at_once_and_one_that_runs_at_its_next_tile(jobs: Jobs) -> None:
    started, go = threading.Event(), threading.Event()

    def slow(progress) -> Result:
        started.set()
        go.wait(60)
        progress(0.5)
        raise AssertionError("it was cancelled")

    running = jobs.submit(slow)
    started.wait(60)
    waiting = jobs.submit(result())
    jobs.drop(waiting)
    assert waiting.state == "cancelled" and jobs.find(waiting.id) is None and waiting._work is None
    jobs.drop(running)
    jobs.submit(result())
    with pytest.raises(Busy):
        jobs.submit(result())  # what still computes counts
    go.set()
    with pytest.raises(Cancelled):
        running.future.result(60)
    assert running.state == "cancelled" and running.size == 0


def test_a_failure_is_kept_without_the_upload_and_the_worker_goes_on(jobs: Jobs) -> None:
    def fail(progress) -> Result:
        raise ZeroDivisionError

    job = jobs.submit(fail)
    jobs.submit(result()).future.result(60)
    assert job.state == "failed" and job.future.exception().__traceback__ is None


def test_old_results_are_dropped_by_bytes_number_and_age(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(size: int) -> str:
        job = jobs.submit(result(size))
        job.future.result(60)
        jobs.submit(result(0)).future.result(60)  # its end is noted after that of the first
        return job.id

    first, second = run(60), run(30)
    assert jobs.find(first) and jobs.find(second)
    third = run(60)
    assert not jobs.find(first) and jobs.find(second) and jobs.find(third)
    jobs.drop(jobs.find(third))
    assert not jobs.find(third)
    monkeypatch.setattr(module, "_MOST_ENDED", 2)
    assert not jobs.find(second)
    last = run(500)
    jobs._keep_seconds = -1
    assert not jobs.find(last)


def test_at_the_end_all_jobs_are_cancelled() -> None:
    jobs, started = Jobs(), threading.Event()

    def endless(progress) -> Result:
        while True:
            started.set()
            progress(0.5)

    running, waiting = jobs.submit(endless), jobs.submit(result())
    started.wait(60)
    jobs.stop()
    assert running.state == waiting.state == "cancelled"
