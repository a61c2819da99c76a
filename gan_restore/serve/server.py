"""The production server of the page: waitress, with everything in memory."""

import socket

import waitress
from flask import Flask

from gan_restore.files import UserError
from gan_restore.serve.jobs import Jobs

_MORE_THREADS = 4  # than requests that wait for a result: pages and progress are answered meanwhile
_CONNECTIONS = 40  # at once; each may hold an upload in memory
_SECONDS = 60  # of silence after which a connection is closed


class Server:
    """A web application that listens.

    Args:
        app: made by `create_app`.
        host: the address to bind to.
        port: the port; 0 takes a free one.

    Attributes:
        host, port: where it listens.

    Raises:
        UserError: if it cannot listen there.
    """

    def __init__(self, app: Flask, host: str = "127.0.0.1", port: int = 8000) -> None:
        self._jobs: Jobs = app.extensions["gan_restore_jobs"]
        try:
            family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            self._socket = socket.create_server(address[:2], family=family)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UserError(
                f"cannot listen on {host}, port {port}: {reason}; try another --host or --port"
            ) from None
        self.host, self.port = self._socket.getsockname()[:2]
        body = app.config["MAX_CONTENT_LENGTH"]
        self._server = waitress.create_server(
            app,
            sockets=[self._socket],
            threads=self._jobs.waiting + 1 + _MORE_THREADS,
            connection_limit=_CONNECTIONS,
            channel_timeout=_SECONDS,
            channel_request_lookahead=1,  # notices a client that goes away
            # waitress moves what is larger than these into temporary files.
            max_request_body_size=body + 1,
            inbuf_overflow=body + 2,
            outbuf_overflow=2**40,
            ident=None,
        )

    @property
    def address(self) -> str:
        """The address of the page."""
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"

    def run(self) -> None:
        """Answer requests until Ctrl-C."""
        self._server.run()

    def close(self) -> None:
        """Cancel all jobs and end. The current tile is finished first."""
        self._jobs.stop()
        self._server.close()
        self._socket.close()
