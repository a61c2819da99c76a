from pathlib import Path

import model_cards
import model_figures
import pytest
import tables
from support import CARD, ENTRY, save_model, tiny

from gan_restore import figures
from gan_restore.files import UserError, write_json
from gan_restore.inference import Card, model_names


def test_pages_are_what_the_files_of_the_models_give() -> None:
    written = model_cards.pages()
    found = [*(model_cards.DOCS / "models").glob("*.md"), *model_cards.DOCS.glob("models.md")]
    again = "run `python benchmarks/model_cards.py`"
    assert {path: path.read_text(encoding="utf-8") for path in found} == written, again
    for name in model_names():
        assert (model_cards.DOCS / "models" / f"{name}.jpg").is_file(), f"{again} --figures"


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results of every model in docs/results/models.json."""
    monkeypatch.setattr(tables, "RESULTS", tmp_path)
    write_json(tmp_path / "models.json", {"models": dict.fromkeys(model_cards.TEXTS, ENTRY)})


@pytest.mark.usefixtures("models_folder", "results")
def test_a_page_states_what_the_file_holds() -> None:
    save_model("face", tiny("pix2pix", "small", seed=3))
    text = model_cards.card_page("face")
    for stated in (
        "Scratched photos. On 68 images of cbsd68 (all) it reaches 35.25 dB, +4.25 dB against the strongest "
        "classical method (inpainting).",
        "identity of a person may change",
        "--model face --out DIR",
        "| recipe | `pix2pix`, scale `small` with other values for `image_size` 32, `batch_size` 4,",
        "| loss | 100 l1; no discriminator |",
        "| data and its terms | faces, 1,500 images, no terms known |",
        "| steps | 2,712 in 19 minutes; the weights after step 2,700 |",
        "| computed on | CPU, 1 threads, bf16-mixed, seed 3 |",
        "| commit | 0123456789012345678901234567890123456789 |",
        "| true mask | oracle | 40.00 | 0.5000 | 1.00e-02 |",
        "- 68 images of cbsd68 (all): 41.50 dB",
        "for values of `noise_sigma` (in training: 0.01961).",
        "| method | `noise_sigma` 0 | `noise_sigma` 0.1 |",
        "| scratches | 35.50 | 25.00 |",
    ):
        assert stated in text
    assert text.index("| median 3x3 |") < text.index("| inpainting |") < text.index("| true mask |")
    row = "| [face](models/face.md) | scratched photos | `pix2pix` |"
    overview = model_cards.overview()
    assert row in overview and "| 22.00 | 31.00 (inpainting) | 35.25 |" in overview
    assert "| `face` | 22.00 → 35.25 | 22.00 → 35.25 |" in overview, "on all test sets"


@pytest.mark.usefixtures("models_folder")
def test_a_card_says_what_the_adversarial_loss_adds() -> None:
    recipe = tiny("srgan", "small", enlarge=4, adversarial="bce", adversarial_weight=0.001)
    save_model("x4-gan", recipe, "adversarial")
    text = model_cards.card_page("x4-gan")
    assert "| loss | 1 l1 + 0.001 adversarial (bce) |" in text and "Texture, at the cost of PSNR" in text
    save_model("x4", tiny("srgan", "small", enlarge=4), "adversarial")
    with pytest.raises(
        UserError, match="model 'x4' was trained with an adversarial loss; say in TEXTS what that adds"
    ):
        model_cards.card_page("x4")


@pytest.mark.usefixtures("models_folder")
def test_a_model_without_a_text_and_a_package_without_models(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(model_cards, "DOCS", tmp_path)
    with pytest.raises(UserError, match="there are no models to write cards for"):
        model_cards.write_cards()
    save_model("new")
    with pytest.raises(UserError, match="model 'new' has no text; add one to TEXTS"):
        model_cards.write_cards()
    assert not list(tmp_path.glob("*.md"))


def test_every_model_with_a_text_has_pictures() -> None:
    assert model_cards.TEXTS.keys() == model_figures.EXAMPLES.keys() == model_figures.FAILURES.keys()


@pytest.mark.usefixtures("models_folder", "results")
def test_pages_and_pictures_are_written_and_old_pages_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = {}
    monkeypatch.setattr(model_cards, "DOCS", tmp_path / "docs")
    monkeypatch.setattr(figures, "image_rows", lambda rows: rows)
    monkeypatch.setattr(figures, "save_figure", lambda rows, path: drawn.update({path.name: rows}))
    for name in ("x4", "x4-gan"):
        save_model(name, tiny("srgan", enlarge=4), undamaged=[])
    (tmp_path / "docs" / "models").mkdir(parents=True)
    (tmp_path / "docs" / "models" / "gone.md").write_text("a model that is no more")
    model_cards.write_cards(figures=True)
    assert {path.name for path in (tmp_path / "docs").rglob("*.*")} == {"models.md", "x4.md", "x4-gan.md"}
    assert "Undamaged" not in (tmp_path / "docs" / "models" / "x4.md").read_text()
    assert "models/gan.jpg" in (tmp_path / "docs" / "models.md").read_text()
    assert drawn.keys() == {"x4.jpg", "x4-limits.jpg", "x4-gan.jpg", "x4-gan-limits.jpg", "all.jpg", "gan.jpg"}
    assert len(drawn["x4.jpg"]) == 2 and [label.split("\n")[0] for label, _ in drawn["all.jpg"]] == ["x4", "x4-gan"]
    before, after, clean = drawn["x4-limits.jpg"][0][1]
    assert before.startswith("before, ") and after.startswith("after, ") and clean == "clean"
    for _, row in drawn["gan.jpg"]:
        assert len(row) == 4 and len({image.shape for image in row.values()}) == 1


@pytest.mark.parametrize("name", model_cards.TEXTS)
def test_every_part_of_a_photo_lies_inside_it(name: str) -> None:
    for example in (*model_figures.EXAMPLES[name], *model_figures.FAILURES[name]):
        side = example.box[2]
        assert model_figures.part_of(example).shape == (1, 3, side, side) and side % 4 == 0


def test_the_card_of_the_tests_is_complete() -> None:
    assert CARD.keys() == Card.__annotations__.keys()
