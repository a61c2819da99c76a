"""Widgets of the notebooks: two images under a wipe, pictures that follow sliders or the pointer, a run's monitor.

Each shows itself in a notebook. A browser with a running kernel shows the widget. Each also brings a static picture
(image/png in the same output) for pages without a kernel.
"""

from gan_restore.widgets.monitor import RunMonitor
from gan_restore.widgets.pictures import BeforeAfter, Live, before_after, interactive, point_at

__all__ = ["BeforeAfter", "Live", "RunMonitor", "before_after", "interactive", "point_at"]
