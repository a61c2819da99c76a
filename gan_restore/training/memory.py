"""Too little memory: an error says what to change."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from gan_restore.files import UserError
from gan_restore.inference.memory import is_out_of_memory
from gan_restore.recipes.base import Recipe


@contextmanager
def memory_errors_explained(recipe: Recipe, device: torch.device) -> Iterator[None]:
    """Turn the error of a device without free memory into one that names the fields to change.

    Raises:
        UserError: instead of that error.
    """
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        size = recipe.image_size
        raise UserError(
            f"out of memory on {device} with batch_size {recipe.batch_size}, accumulate {recipe.accumulate} and "
            f"crops of {size} x {size}; raise accumulate, or lower batch_size, image_size or width"
        ) from None
