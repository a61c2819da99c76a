"""Evaluation: methods x test images -> one table."""

from gan_restore.evaluation.pairs import Channel, Oracle, Pair, make_pairs, restore_all, score
from gan_restore.evaluation.table import (
    TITLES,
    Kind,
    Method,
    Row,
    as_text,
    best,
    evaluate,
    evaluate_checkpoint,
    methods,
    trained,
)

__all__ = [
    "TITLES",
    "Channel",
    "Kind",
    "Method",
    "Oracle",
    "Pair",
    "Row",
    "as_text",
    "best",
    "evaluate",
    "evaluate_checkpoint",
    "make_pairs",
    "methods",
    "restore_all",
    "score",
    "trained",
]
