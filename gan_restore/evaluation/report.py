"""The table as text, with the protocol that its numbers depend on."""

from collections.abc import Sequence

import numpy as np
import scipy.stats

from gan_restore.evaluation.table import TITLES, Row
from gan_restore.metrics.fidelity import NORMALISED_PSNR_CAP


def as_text(rows: Sequence[Row]) -> str:
    """The rows as an aligned text table, best PSNR last, with the protocol and the notes below it."""
    rows = sorted(rows, key=lambda row: row["psnr"])
    width = max(len(row["method"]) for row in rows)
    kind_width = max(len(TITLES[row["kind"]]) for row in rows)
    lines = [
        f"{'method':{width}}  {'kind':{kind_width}}  PSNR dB     SSIM       MSE  /input  shift R,   G,   B  s/image"
    ]
    lines += [
        f"{row['method']:{width}}  {TITLES[row['kind']]:{kind_width}}  {row['psnr']:7.2f}  {row['ssim']:7.5f}"
        f"  {row['mse']:.2e}  {row['normalised_psnr']:6.3f}"
        f"  {' '.join(format(shift, '+5.1f') for shift in row['mean_shift'])}  {row['seconds_per_image']:7.3f}"
        for row in rows
    ]
    lines += [protocol(rows), *notes(rows)]
    lines += [
        f"/input: PSNR over that of the input (at most {NORMALISED_PSNR_CAP:g}); "
        "shift: mean of restored - clean in 1/255, RGB, whole image",
    ]
    return "\n".join(lines)


def protocol(rows: Sequence[Row]) -> str:
    """What the scores were measured on and how, as one line: it is the same for all rows of a table."""
    row = rows[0]
    count = f"{row['n_images']} image{'s' * (row['n_images'] != 1)}"
    return (
        f"{count} of {row['data']}, {row['sizes']} pixels; preparation: {row['preparation']}; "
        f"{row['channel']}, range {row['range']}, {row['crop_border']} pixels of border left out; {row['damage']}"
    )


def notes(rows: Sequence[Row]) -> list[str]:
    """A line for each row that has a note, such as which images chose the weights of a network."""
    return [f"{row['method']}: {row['note']}" for row in rows if row["note"]]


def paired_gain(row: Row, other: Row, metric: str = "psnr", confidence: float = 0.95) -> tuple[float, float, float]:
    """Mean of row - other over the images that both restored, and its confidence interval by the paired t-test.

    Photos differ far more than methods do. The difference on the same photo removes that spread.

    Args:
        row, other: rows of one table.
        metric: a key of `per_image`: psnr in dB, ssim or mse.
        confidence: the share of such intervals that hold the true mean, above 0 and below 1.

    Returns:
        Mean, lower end and upper end; both ends are infinite for a single image.

    Example:
        >>> rows = [{"per_image": {"psnr": [30.0, 33.0, 36.0]}}, {"per_image": {"psnr": [29.0, 31.0, 35.0]}}]
        >>> [round(value, 2) for value in paired_gain(*rows)]
        [1.33, -0.1, 2.77]
    """
    gains = np.subtract(row["per_image"][metric], other["per_image"][metric])
    mean = float(gains.mean())
    if len(gains) < 2:
        return mean, -np.inf, np.inf
    reach = scipy.stats.t.ppf((1 + confidence) / 2, len(gains) - 1) * gains.std(ddof=1) / np.sqrt(len(gains))
    return mean, mean - float(reach), mean + float(reach)
