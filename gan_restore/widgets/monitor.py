"""The monitor of a training run: live curves and validation images, and controls that steer the run."""

import io
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ipywidgets
from IPython.display import display
from PIL import Image

from gan_restore import figures
from gan_restore.files import UserError
from gan_restore.inference.devices import Compute
from gan_restore.recipes.base import Recipe
from gan_restore.training import Trainer, View, Watcher, train
from gan_restore.widgets.pictures import encoded, grid, png, rendered

_SECONDS = 3.0
"""The least time between two drawings of the curves; one takes about as long as a small training step."""


class RunMonitor(ipywidgets.VBox, Watcher):
    """Shows a run while it trains, and lets the reader steer it.

    `train` shows the monitor and trains in a thread of its own, because a kernel hears no controls while a cell
    runs. `wait`, in the next cell, waits for the end.

    The monitor shows the curves of metrics.csv, validation images after each epoch, and the discriminator's map of
    them. The slider multiplies the learning rates; the log and the saved state keep the change. Pause holds the run
    after a step. Stop saves the state, and `resume=True` continues the run with the same or a new monitor. When the
    run has ended, `wait` gives the shown monitor a static picture, for pages without a kernel.

    Random numbers that other cells draw meanwhile come from the same generator as the dropout of the run, so such a
    run is not repeatable.

    Attributes:
        rate, pause, stop: the ipywidgets to steer with.
        status, curves, images: the ipywidgets that show the run: a line of text, and two PNG files.

    Example:
        >>> monitor = RunMonitor()
        >>> monitor.train(recipe, "runs/watched")  # doctest: +SKIP
        >>> run = monitor.wait()  # doctest: +SKIP
    """

    shows_progress = True

    def __init__(self) -> None:
        style = {"description_width": "initial"}
        self.rate = ipywidgets.FloatLogSlider(
            1.0, min=-2, max=1, step=0.05, description="learning rate x", style=style, readout_format=".2f"
        )
        self.pause = ipywidgets.ToggleButton(False, description="Pause", icon="pause")
        self.stop = ipywidgets.ToggleButton(False, description="Stop and save", icon="stop")
        self.status = ipywidgets.Label("")
        self.curves, self.images = (
            ipywidgets.Image(format="png", layout={"max_width": "100%", "object_fit": "contain"}) for _ in range(2)
        )
        self._rows: Sequence[Mapping[str, float]] = ()
        self._drawn = 0.0
        self._thread: threading.Thread | None = None
        self._place: Any = None
        self._run: Path | None = None
        self._error: BaseException | None = None
        controls = ipywidgets.HBox([self.rate, self.pause, self.stop])
        super().__init__([controls, self.status, self.curves, self.images])

    def train(self, recipe: Recipe, out: str | Path, compute: Compute | None = None, **options: Any) -> None:
        """Show the monitor and start `training.train` with these arguments; returns at once.

        Raises:
            UserError: if the run before has not ended.
        """
        if self._thread is not None and self._thread.is_alive():
            raise UserError("this monitor's run has not ended; press its stop button, or wait for it")
        self._run = self._error = None
        self.pause.value = self.stop.value = False

        def work() -> None:
            try:
                self._run = train(recipe, out, compute, **{"watchers": [self], **options})
            except BaseException as error:  # raised by `wait`
                self._error = error
                self.status.value = str(error) or f"{self.status.value}, stopped and saved"

        self._place = display(self, display_id=True)
        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()

    def wait(self) -> Path:
        """Wait for the end of the run and return its folder. Interrupting the kernel stops and saves the run.

        Raises:
            KeyboardInterrupt: if the run was stopped; its state is saved.
            UserError: for the reasons that `training.train` lists, or if nothing was started.
        """
        if self._thread is None:
            raise UserError("nothing to wait for; start a run with train(recipe, out)")
        try:
            self._thread.join()
        except KeyboardInterrupt:
            self.stop.value = True
            self._thread.join()
        if self._place is not None:  # None without IPython
            self._place.update(self)
        if self._error is not None:
            raise self._error
        assert self._run is not None
        return self._run

    @contextmanager
    def watching(self, trainer: Trainer) -> Iterator[None]:
        """Take over the learning rate of a resumed run; at the end, draw the last curves.

        Raises:
            UserError: if the run has several processes; the controls would reach only one of them.
        """
        if trainer.fabric.world_size > 1:
            raise UserError("a monitor steers a run of one process; leave it out, or train with devices=1")
        self.rate.value = trainer.rate_factor
        try:
            yield
        finally:
            self._draw_curves()

    def after_step(self, trainer: Trainer) -> bool:
        """Take over the controls; waits while the run is paused."""
        while self.pause.value and not self.stop.value:
            time.sleep(0.1)
        trainer.rate_factor = self.rate.value
        return self.stop.value

    def after_row(self, trainer: Trainer, views: Sequence[View]) -> None:
        """Draw the curves, and after an epoch the images."""
        self._rows = trainer.log.rows
        seconds = trainer.seconds * (trainer.total - trainer.step) / trainer.step
        self.status.value = f"step {trainer.step} of {trainer.total}, about {seconds / 60:.1f} minutes left"
        if views:
            titles = len(views[0].images())
            shown = [(title, rendered(image)) for view in views for title, image in view.images().items()]
            self.images.value = png(grid(shown, titles))
        if time.monotonic() - self._drawn > _SECONDS:
            self._draw_curves()

    def _draw_curves(self) -> None:
        if self._rows:
            self.curves.value = png(rendered(figures.curves(self._rows, f"Step {self._rows[-1]['step']:.0f}")))
            self._drawn = time.monotonic()

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        bundle = super()._repr_mimebundle_(**options)
        files = [picture.value for picture in (self.curves, self.images) if picture.value]
        pictures = [("", Image.open(io.BytesIO(file))) for file in files]
        return bundle | ({"image/png": encoded(grid(pictures, 1))} if pictures else {})
