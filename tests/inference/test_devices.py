import lightning_fabric
import pytest
import torch
from lightning_fabric.strategies import DDPStrategy

from gan_restore.files import UserError
from gan_restore.inference.devices import Compute
from gan_restore.inference.restorer import Restorer

BF16 = {"avx512_f": True, "avx512_bf16": True}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch):
    """Let PyTorch report a CPU with some capabilities, and a GPU that has bfloat16 or emulates it (or no GPU)."""

    def fake(capabilities: dict[str, bool], gpu_has_bfloat16: bool | None = None) -> None:
        gpu = gpu_has_bfloat16 is not None
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
        monkeypatch.setattr(torch.accelerator, "is_available", lambda: gpu)
        supported = lambda including_emulation=True: including_emulation or gpu_has_bfloat16  # noqa: E731
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)

    return fake


@pytest.mark.parametrize(
    ("capabilities", "precision"),
    [
        (BF16, "bf16-mixed"),
        ({"amx_bf16": True}, "bf16-mixed"),
        ({"avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, "32-true"),
        ({"neon": True}, "32-true"),
    ],
)
def test_a_cpu_trains_in_bfloat16_if_it_has_it_and_measures_in_32_bits(
    machine, capabilities: dict[str, bool], precision: str
) -> None:
    machine(capabilities)
    for device in ("auto", "cpu"):
        compute = Compute(device=device)
        assert compute.for_training().precision == precision
        assert compute.chosen_precision() == "32-true"


@pytest.mark.parametrize(("has_bfloat16", "precision"), [(True, "bf16-mixed"), (False, "32-true")])
def test_a_gpu_never_emulates_bfloat16(machine, has_bfloat16: bool, precision: str) -> None:
    machine(BF16, has_bfloat16)
    for device in ("auto", "cuda"):
        assert Compute(device=device).for_training().precision == precision
        assert Compute(device=device).chosen_precision() == precision
    assert Compute(device="cpu").for_training().precision == "bf16-mixed", "the CPU was asked for"


def test_a_precision_that_was_asked_for_is_kept(machine) -> None:
    machine(BF16)
    for precision in ("32-true", "bf16-mixed", "16-mixed"):
        compute = Compute(device="cpu", workers=2, precision=precision)
        assert compute.for_training() == compute


@pytest.mark.parametrize(("devices", "num_nodes"), [(1, 1), (4, 1), (1, 2), (4, 2)])
def test_fabric_is_told_of_devices_and_machines(
    monkeypatch: pytest.MonkeyPatch, devices: int, num_nodes: int
) -> None:
    told = {}

    class Told:
        def __init__(self, **options: object) -> None:
            told.update(options)

        def launch(self) -> None:
            told["launched"] = True

    monkeypatch.setattr(lightning_fabric, "Fabric", Told)
    compute = Compute(device="cpu", devices=devices, num_nodes=num_nodes)
    compute.fabric()
    assert (told["devices"], told["num_nodes"], told["launched"]) == (devices, num_nodes, True)
    assert isinstance(told["strategy"], DDPStrategy) == (devices * num_nodes > 1)
    assert compute.environment(torch.device("cpu"))["devices"] == devices * num_nodes


def test_less_than_one_machine_is_refused() -> None:
    with pytest.raises(UserError, match=r"num_nodes must be at least 1 .* not 1, 0 and 0"):
        Compute(device="cpu", num_nodes=0).fabric()


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_missing_gpu_is_told(machine, monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    machine(BF16)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UserError, match=f"no GPU was found for the device {device}; try --device cpu"):
        Compute(device).fabric()


def test_a_wrong_strategy_is_named() -> None:
    with pytest.raises(UserError, match=r"no strategy 'dddp' \(did you mean ddp\?\); choose one of auto, ddp, "):
        Compute("cpu", strategy="dddp").fabric()
    with pytest.raises(UserError, match=r"cannot compute with strategy 'xla'.*; try --strategy auto"):
        Compute("cpu", strategy="xla").fabric()


@pytest.mark.parametrize("several", [{"devices": 2}, {"num_nodes": 2}])
def test_a_restorer_starts_no_other_processes(several: dict[str, int]) -> None:
    with pytest.raises(UserError, match="a restorer has one device"):
        Restorer(torch.nn.Identity(), Compute("cpu", **several))
