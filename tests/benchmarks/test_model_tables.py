from pathlib import Path

import pytest
import tables
from support import CARD, ENTRY

from gan_restore.files import UserError, read_json, write_json

SEEDS = {
    "model": "face",
    "runs": [
        {"seed": 0, "scores": {"PSNR (dB), faces/val": 31.5}},
        {"seed": 1, "scores": {"PSNR (dB), faces/val": 31.75}},
    ],
}


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x2 = ENTRY | {
        "targets": [{"gain": None, "psnr": 37.6, "published": "37.99 (EDSR-baseline)"}],
        "least_undamaged": 60.0,
    }
    monkeypatch.setattr(tables, "RESULTS", tmp_path)
    write_json(tmp_path / "models.json", {"models": {"x2": x2, "scratches": ENTRY}, "seeds": SEEDS})


def filled(mark: str) -> list[str]:
    return tables.fill(f"<!-- {mark} -->old<!-- end -->").splitlines()[2:-2]


def test_overview_of_models_has_gain_and_target_in_the_order_of_the_models() -> None:
    lines = filled("table: models")
    assert lines[2:4] == [
        "| `scratches` | 68, cbsd68 (all) | `Scratches()` | 22.00 | 31.00 (inpainting) | 35.25 |  | +4.25 "
        "| +4.5 dB: missed |",
        "| `x2` | 68, cbsd68 (all) | `Scratches()` | 22.00 | 31.00 (inpainting) | 35.25 "
        "| 37.99 (EDSR-baseline) | +4.25 | 37.6 dB: missed |",
    ]
    assert lines[5].startswith("- `scratches`, `x2`: Size `cpu`, trained on CPU, 1 threads, bf16-mixed, seed 0, ")
    assert lines[5].endswith("commit 0123456.")


def test_summary_has_the_first_test_set_of_each_model_of_the_package() -> None:
    results = read_json(tables.RESULTS / "models.json")
    write_json(tables.RESULTS / "models.json", {"models": results["models"] | {"x2-photos": ENTRY}})
    lines = filled("summary: models")
    assert lines[0] == "| model | for | test images | input | strongest classical method | model | published |"
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| `scratches`", "| `x2`"]
    assert lines[2].endswith(" | 68, cbsd68 (all) | 22.00 | 31.00 (inpainting) | 35.25 |  |")


def test_table_of_one_model_has_every_method_the_best_last() -> None:
    lines = filled("table: models scratches")
    assert "2,712 steps in 19 minutes, scale `small` with other values for `width` 32" in lines[0]
    assert lines[-1].startswith("| true mask | oracle | 40.00 |") and lines[-5].startswith("| degraded input |")
    assert "| degraded input |" not in "".join(filled("table: models scratches set5"))


def test_undamaged_images_all_test_sets_robustness_and_seeds() -> None:
    assert "| `x2` | 68, cbsd68 (all) | 41.50 | 60 dB: missed |" in filled("undamaged: models")
    assert filled("everywhere: models")[0] == "| model | 5, cbsd68 | 5, set5 |"
    assert "| `scratches` | 22.00 → 35.25 | 22.00 → 35.25 |" in filled("everywhere: models")
    sweep = CARD["robustness"][0]
    lines = filled("robustness: models x2")
    assert lines[0].startswith(f"| method | `{sweep['setting']}` {sweep['values'][0]:g} |")
    assert len(lines) == 2 + len(sweep["psnr"]) + 2
    assert filled("seeds: models") == [
        "| `face` | seed 0 | seed 1 | largest difference |",
        "| --- | --- | --- | --- |",
        "| PSNR (dB), faces/val | 31.50 | 31.75 | 0.25 |",
    ]


def test_a_model_without_results_is_refused() -> None:
    with pytest.raises(UserError, match="no results of 'x4'; there are x2, scratches"):
        tables.fill("<!-- table: models x4 --><!-- end -->")
