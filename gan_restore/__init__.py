"""Image restoration with GANs: a small library behind a Jupyter course.

The packages, from the ground up; imports point down this list only:

- `files`, `images`, `strips`, `photos`: image files <-> tensors, files that appear whole or not at all, large
  images in parts, photos with their metadata
- `networks`, `losses`, `baselines`: generators and discriminators, their losses, the classical methods
- `data`, `degradations`, `metrics`: data sets and batches, damage, measures of quality
- `recipes`: one file for each of the five systems
- `inference`, `evaluation`, `training`: a trained generator applied, measured, trained
- `figures`, `widgets`, `exercises`: figures, pictures that react, exercises that check themselves
- `course`, `serve`, `cli`: the notebooks run headless and their site, the web page, the command line

Names are imported when they are first used, so `import gan_restore` takes no time. The names that the notebooks
use are all importable from here; `__init__.pyi` lists them.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
