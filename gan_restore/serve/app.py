"""The web application: its routes, who may call them, and the headers of its responses."""

import concurrent.futures
import io
import ipaddress
import json
import traceback
from collections.abc import Callable
from typing import IO, Any
from urllib.parse import urlsplit

import flask
from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import Conflict, Forbidden, HTTPException, NotFound, ServiceUnavailable

from gan_restore.files import UserError
from gan_restore.inference import Compute
from gan_restore.serve.jobs import FAILED, Busy, Cancelled, Failed, Job, Jobs, Progress, Result
from gan_restore.serve.uploads import SUFFIXES, Limits, check_fields, read_image, read_order, read_switch, unfit
from gan_restore.serve.work import Models, preview

RETRY_SECONDS = 5
"""When to try again after a 503."""

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class _Request(flask.Request):
    """A request whose uploads stay in memory; by default, larger ones become temporary files."""

    def _get_file_stream(self, *_: Any, **__: Any) -> IO[bytes]:
        return io.BytesIO()


def is_loopback(host: str) -> bool:
    """Whether a host, a name or an address, always is this machine, which other machines cannot reach by it.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
        (True, True, False)
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def create_app(
    compute: Compute | None = None, limits: Limits | None = None, jobs: Jobs | None = None, *, local: bool = True
) -> Flask:
    """Make the web application.

    Args:
        compute: The device and precision.
        limits: What a request may hold.
        jobs: The worker and its queue.
        local: Answer only requests to this machine's loopback names and addresses (`is_loopback`). This keeps out
            pages of other sites whose names are made to point at the loopback address (DNS rebinding).

    Raises:
        UserError: If the package holds no models, or this machine has no such device.
    """
    models, limits, jobs = Models(compute or Compute()), limits or Limits(), jobs or Jobs()
    app = Flask("gan_restore.serve", static_folder="page", static_url_path="/page")
    app.request_class = _Request
    # Werkzeug counts what it buffers of a file against MAX_FORM_MEMORY_SIZE, too.
    app.config.update(MAX_CONTENT_LENGTH=limits.bytes, MAX_FORM_MEMORY_SIZE=limits.bytes, MAX_FORM_PARTS=32)
    app.extensions["gan_restore_jobs"] = jobs

    @app.before_request
    def refuse_other_sites() -> None:
        if local and not is_loopback(_host_name(request.host)):
            raise Forbidden("this server answers to localhost and loopback addresses such as 127.0.0.1 only")
        if request.method in ("GET", "HEAD", "OPTIONS"):
            return
        site, origin = request.headers.get("Sec-Fetch-Site", "none"), request.headers.get("Origin")
        if site not in ("same-origin", "none") or (origin and urlsplit(origin).netloc != request.host):
            raise Forbidden("pages of other sites cannot use this server")

    @app.after_request
    def add_headers(response: Response) -> Response:
        response.headers.extend(_HEADERS)
        if request.path.startswith("/api/"):
            response.headers["Cache-Control"] = "no-store"
        return response

    @app.errorhandler(HTTPException)
    def say(error: HTTPException) -> tuple[Response, int]:
        return jsonify(error=error.description), error.code or 500

    @app.errorhandler(UserError)
    def say_unfit(error: UserError) -> tuple[Response, int]:
        return say(unfit(error))

    @app.errorhandler(Busy)
    def say_busy(_: Busy) -> tuple[Response, int, dict[str, str]]:
        message = f"the server restores other photos, and {jobs.waiting} wait already; try again in a moment"
        return jsonify(error=message), 503, {"Retry-After": str(RETRY_SECONDS)}

    @app.errorhandler(Exception)
    def say_failed(error: Exception) -> tuple[Response, int]:
        if not isinstance(error, Failed):
            traceback.print_exc()
        return jsonify(error=FAILED), 500

    @app.get("/")
    def page() -> Response:
        return app.send_static_file("index.html")

    @app.get("/healthz")
    def health() -> Response:
        return jsonify(status="ok")

    @app.get("/api/openapi.json")
    def description() -> Response:
        return flask.send_from_directory(app.root_path, "openapi.json")

    @app.get("/api/models")
    def list_models() -> Response:
        listed = [
            {"name": name, "purpose": models.purposes[name], "factor": models.factors[name]}
            for name in models.factors
        ]
        return jsonify(models=listed, megapixels=limits.megapixels, bytes=limits.bytes, formats=list(SUFFIXES))

    def work() -> Callable[[Progress], Result]:
        jobs.check()  # before the upload is read
        order = read_order(request, models.factors, limits)
        return lambda progress: models.restore(order, progress)

    @app.post("/api/restore")
    def restore() -> Response:
        return _send(_wait(jobs, jobs.submit(work())))

    @app.post("/api/preview")
    def show() -> Response:
        jobs.check()
        check_fields(request, ("photo",))
        photo, _ = read_image(request, "photo", limits)
        return _send(_wait(jobs, jobs.submit(lambda progress: preview(photo))))

    @app.post("/api/advice")
    def advise() -> Response:
        jobs.check()
        check_fields(request, ("photo", "same_size"))
        photo, _ = read_image(request, "photo", limits)
        same_size = read_switch(request, "same_size", False)
        advice = _wait(jobs, jobs.submit(lambda progress: models.advise(photo, same_size)))
        return Response(advice.content, mimetype=advice.mimetype)

    @app.post("/api/jobs")
    def start() -> tuple[Response, int, dict[str, str]]:
        job = jobs.submit(work())
        return jsonify(_state(jobs, job)), 202, {"Location": flask.url_for("look", id=job.id)}

    @app.get("/api/jobs/<id>")
    def look(id: str) -> Response:
        return jsonify(_state(jobs, _find(jobs, id)))

    @app.get("/api/jobs/<id>/result")
    def fetch(id: str) -> Response:
        job = _find(jobs, id)
        if job.state in ("waiting", "running", "cancelled"):
            raise Conflict(f"the job is {job.state}")
        return _send(job.future.result())

    @app.delete("/api/jobs/<id>")
    def drop(id: str) -> tuple[str, int]:
        jobs.drop(_find(jobs, id))
        return "", 204

    return app


def _host_name(host: str) -> str:
    """The name in a Host header, in lower case, without the port; empty if it is malformed."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _find(jobs: Jobs, id: str) -> Job:
    job = jobs.find(id)
    if job is None:
        raise NotFound("there is no such job; results are kept for some minutes only")
    return job


def _state(jobs: Jobs, job: Job) -> dict[str, Any]:
    """The JSON that describes a job."""
    state = job.state
    told: dict[str, Any] = {"id": job.id, "state": state, "progress": job.progress, "ahead": jobs.ahead(job)}
    if state == "done":
        told |= {"name": job.future.result().name, "warnings": list(job.future.result().warnings)}
    if state == "failed":
        told["error"] = str(job.future.exception())
    return told


def _wait(jobs: Jobs, job: Job) -> Result:
    """The result of a job; if the client goes away, the job is cancelled."""
    gone = request.environ.get("waitress.client_disconnected", lambda: False)
    try:
        while not concurrent.futures.wait([job.future], timeout=1).done:
            if gone():
                job.cancel()
        return job.future.result()
    except (Cancelled, concurrent.futures.CancelledError):
        raise ServiceUnavailable("the job was cancelled") from None
    finally:
        jobs.drop(job)


def _send(result: Result) -> Response:
    response = flask.send_file(
        io.BytesIO(result.content), result.mimetype, as_attachment=True, download_name=result.name
    )
    if result.warnings:  # JSON, because header fields hold ASCII only
        response.headers["Gan-Restore-Warnings"] = json.dumps(result.warnings)
    return response
