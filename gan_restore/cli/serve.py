"""`gan-restore serve`: a web page that restores photos."""

from gan_restore.cli.arguments import parse
from gan_restore.files import UserError
from gan_restore.inference.devices import Compute, Device


def main(args: list[str]) -> None:
    """Serve the page until Ctrl-C.

    Raises:
        UserError: If Flask or waitress is not installed, the port is taken, or there is no such device.
    """

    def run(
        host: str = "127.0.0.1",
        port: int = 8000,
        device: Device = "auto",
        max_megapixels: float = 100,
        max_megabytes: float = 64,
    ) -> None:
        """Serve a web page that restores photos with the models of the package.

        The page works without any other network, and photos are kept in memory only. One photo is restored at a
        time, and four more may wait. The page explains itself; programs use POST /api/restore, which
        /api/openapi.json describes. Ctrl-C ends the server.

        Example: gan-restore serve

        Example: gan-restore serve --host 0.0.0.0 --port 8080 --max-megapixels 30

        Args:
            host: The address to listen on. With the default, only this machine reaches the page; with 0.0.0.0,
                every machine of the network does.
            port: The port; 0 takes a free one.
            device: Device to compute on; auto uses a GPU if there is one.
            max_megapixels: Photos with more pixels, and photos whose result would have more, are refused before
                they are decoded.
            max_megabytes: Larger uploads are refused.
        """
        from gan_restore import serve

        if not (max_megapixels > 0 and max_megabytes > 0):
            raise UserError("max-megapixels and max-megabytes must be greater than 0")
        local = serve.is_loopback(host)
        limits = serve.Limits(max_megapixels, max_megabytes)
        server = serve.Server(serve.create_app(Compute(device=device), limits, local=local), host, port)
        if not local:
            print("Anyone on the network can use this page: --host is not a loopback address.", flush=True)
        print(f"Restore photos at {server.address} (Ctrl-C ends the server)", flush=True)
        try:
            server.run()
        finally:
            server.close()

    parse(run, args, "gan-restore serve")
