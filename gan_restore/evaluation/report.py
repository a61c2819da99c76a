"""The table as text, with the protocol that its numbers depend on."""

from collections.abc import Sequence

from gan_restore.evaluation.table import TITLES, Row
from gan_restore.metrics.fidelity import NORMALISED_PSNR_CAP


def as_text(rows: Sequence[Row]) -> str:
    """The rows as an aligned text table, best PSNR last, with the protocol and the notes below it."""
    rows = sorted(rows, key=lambda row: row["psnr"])
    width = max(len(row["method"]) for row in rows)
    kind_width = max(len(TITLES[row["kind"]]) for row in rows)
    lines = [
        f"{'method':{width}}  {'kind':{kind_width}}  PSNR dB     SSIM       MSE  /input  MOS*"
        "  shift R,   G,   B  s/image"
    ]
    lines += [
        f"{row['method']:{width}}  {TITLES[row['kind']]:{kind_width}}  {row['psnr']:7.2f}  {row['ssim']:7.5f}"
        f"  {row['mse']:.2e}  {row['normalised_psnr']:6.3f}  {row['estimated_mos']:4.2f}"
        f"    {' '.join(format(shift, '+5.1f') for shift in row['mean_shift'])}  {row['seconds_per_image']:7.3f}"
        for row in rows
    ]
    lines += [protocol(rows), *notes(rows)]
    lines += [
        f"/input: PSNR over that of the input (at most {NORMALISED_PSNR_CAP:g}); MOS*: mean opinion score "
        "estimated from PSNR, 1 to 5, nobody was asked; shift: mean of restored - clean in 1/255, RGB, whole image",
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
