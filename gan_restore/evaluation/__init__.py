"""Evaluation: methods x test images -> one table."""

from gan_restore.evaluation.pairs import Channel, Pair, Pairs, measure, score
from gan_restore.evaluation.report import as_text, notes, paired_gain, protocol
from gan_restore.evaluation.robustness import robustness_sweep
from gan_restore.evaluation.table import TITLES, Kind, Method, Row, best, evaluate, methods
from gan_restore.evaluation.trained import evaluate_checkpoint, trained, untrained

__all__ = [
    "TITLES",
    "Channel",
    "Kind",
    "Method",
    "Pair",
    "Pairs",
    "Row",
    "as_text",
    "best",
    "evaluate",
    "evaluate_checkpoint",
    "measure",
    "methods",
    "notes",
    "paired_gain",
    "protocol",
    "robustness_sweep",
    "score",
    "trained",
    "untrained",
]
