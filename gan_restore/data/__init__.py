"""Data: data sets and their splits, the cache of decoded images, batches of random crops."""

from gan_restore.data.batches import Augment, Batches
from gan_restore.data.cache import decode_once
from gan_restore.data.datasets import BUNDLED, Images, load
from gan_restore.data.fer2013 import read_fer2013
from gan_restore.data.layouts import Item, Split, find_items, split_of
from gan_restore.data.store import CachedImages, cache_root

__all__ = [
    "BUNDLED",
    "Augment",
    "Batches",
    "CachedImages",
    "Images",
    "Item",
    "Split",
    "cache_root",
    "decode_once",
    "find_items",
    "load",
    "read_fer2013",
    "split_of",
]
