"""Widgets of the notebooks: two images under a wipe, pictures that follow sliders or the pointer, a run's
monitor, a brush for masks, and an application that restores photos.

Each shows itself in a notebook. A browser with a running kernel shows the widget. Each also brings a static picture
(image/png in the same output) for pages without a kernel.
"""

from gan_restore.widgets.app import RestoreApp
from gan_restore.widgets.brush import MaskBrush
from gan_restore.widgets.monitor import RunMonitor
from gan_restore.widgets.pictures import BeforeAfter, Live, before_after, interactive, point_at

__all__ = [
    "BeforeAfter",
    "Live",
    "MaskBrush",
    "RestoreApp",
    "RunMonitor",
    "before_after",
    "interactive",
    "point_at",
]
