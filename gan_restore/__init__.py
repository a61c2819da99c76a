"""Image restoration with GANs: a small library behind a Jupyter course.

The rooms, in the order an image walks through them: `images` and `cache` turn files into tensors, `data`
serves them, `degradations` damage them, `generators` and `discriminators` are the networks, `losses` and
`recipes` say how they learn, `training` does it, `checkpoints` keep it, `evaluation` compares it with the
`baselines` by the `metrics` (`perceptual` holds those that are trained networks, on `weights` of others), and
`restoration` uses it on a photo.
"""

__version__ = "0.1.0"
