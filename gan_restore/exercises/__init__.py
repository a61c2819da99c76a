"""Exercises that check themselves: the notebooks without their solutions, and checks of a learner's answers."""

from gan_restore.exercises.checking import EXERCISES, WrongAnswer, check, feedback
from gan_restore.exercises.copies import blank, write_copies

__all__ = ["EXERCISES", "WrongAnswer", "blank", "check", "feedback", "write_copies"]
