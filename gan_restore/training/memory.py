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

    So is that of a process that prepares batches and was killed, which the system does when memory is short.

    Raises:
        UserError: instead of these errors.
    """
    try:
        yield
    except RuntimeError as error:
        if _is_of_lost_worker(error):
            raise UserError(
                "a process that prepares batches was killed, probably because there is too little memory; lower "
                "workers. If the state was saved, the same command with --resume continues from there"
            ) from None
        if not is_out_of_memory(error):
            raise
        size = recipe.image_size
        raise UserError(
            f"out of memory on {device} with batch_size {recipe.batch_size}, accumulate {recipe.accumulate} and "
            f"crops of {size} x {size}; raise accumulate, or lower batch_size, image_size or width"
        ) from None


def _is_of_lost_worker(error: RuntimeError) -> bool:
    """Whether a worker of a DataLoader ended without an error of its own; only the message says so."""
    return str(error).startswith("DataLoader worker (pid")
