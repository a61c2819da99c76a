"""The texts use the terms of the field."""

import re
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[1]
TERMS = {
    "contender": "method",
    "probe": "robustness sweep",
    "first answer": "initial estimate",
    "school": "training",
    "lesson": "step",
    "the game": "adversarial training",
    "room": "module",
    "house": "architecture",
}
"""Words that earlier texts of this project used in a sense of their own, and the usual term for each."""


def texts() -> dict[str, str]:
    """Every notebook, page of documentation, template and source file outside `tests`: its path and its text."""
    paths = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("gan_restore/**/*.html")]
    paths += [
        path for folder in ("gan_restore", "benchmarks", "data_scripts") for path in ROOT.glob(f"{folder}/**/*.py")
    ]
    found = {path: path.read_text(encoding="utf-8") for path in paths}
    for path in ROOT.glob("notebooks/*.ipynb"):
        found[path] = "\n\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells)
    return {str(path.relative_to(ROOT)): text for path, text in found.items()}


def test_texts_use_the_terms_of_the_field() -> None:
    words = "|".join(word.replace(" ", r"\s+(?:#\s*)?") for word in TERMS)  # a term may be broken at a line's end
    hits = []
    for path, text in texts().items():
        for hit in re.finditer(rf"\b({words})[sd]?\b", text, re.IGNORECASE):
            word = " ".join(hit[1].lower().replace("#", " ").split())
            hits.append(f"{path}, line {text.count(chr(10), 0, hit.start()) + 1}: '{word}', say {TERMS[word]}")
    assert not hits, "\n" + "\n".join(hits)
