import os
import subprocess
import sys
from pathlib import Path

import lightning_fabric
import pytest

from gan_restore.files import UserError
from gan_restore.inference.devices import Compute
from gan_restore.inference.processes import check_slurm, lost_connection_explained

BATCH_SCRIPT = {"SLURM_NTASKS": "2", "SLURM_JOB_NAME": "srgan"}
STEP = BATCH_SCRIPT | {"SLURM_STEP_ID": "0"}  # as srun sets it


@pytest.fixture
def slurm(monkeypatch: pytest.MonkeyPatch):
    def within(variables: dict[str, str]) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    for name in [name for name in os.environ if name.startswith(("SLURM_", "TORCHELASTIC_"))]:
        monkeypatch.delenv(name)
    return within


@pytest.mark.parametrize(
    ("variables", "started"), [(BATCH_SCRIPT, 1), (STEP, 2), (STEP | {"SLURM_NTASKS": "1"}, 1)]
)
def test_several_processes_need_srun_in_a_slurm_job(slurm, variables: dict[str, str], started: int) -> None:
    slurm(variables)
    message = rf"need 4 processes, but Slurm started {started}; .* --nodes=2 and --ntasks-per-node=2"
    with pytest.raises(UserError, match=message):
        Compute(device="cpu", devices=2, num_nodes=2).fabric()
    check_slurm(1, 1)


@pytest.mark.parametrize(
    "variables",
    [{}, STEP, BATCH_SCRIPT | {"SLURM_JOB_NAME": "bash"}, BATCH_SCRIPT | {"TORCHELASTIC_RUN_ID": "1"}],
    ids=["no Slurm", "srun", "interactive", "torchrun"],
)
def test_two_processes_may_start(slurm, variables: dict[str, str]) -> None:
    slurm(variables)
    check_slurm(2, 1)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            RuntimeError("Gloo connectFullMesh failed with [/gloo/pair.cc:152] refused, remote=[127.0.1.1]:3"),
            r"cannot connect \(Gloo .* with refused, remote=\[127.0.1.1\]:3\); set GLOO_SOCKET_IFNAME",
        ),
        (ValueError("`--nodes=1` does not match"), "the processes do not fit .* `--nodes=1` does not match"),
    ],
)
def test_processes_that_cannot_start_together(
    slurm, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    def fail(_fabric: lightning_fabric.Fabric) -> None:
        raise error

    monkeypatch.setattr(lightning_fabric.Fabric, "launch", fail)
    with pytest.raises(UserError, match=message):
        Compute(device="cpu", devices=2).fabric()


def test_errors_of_other_kinds_keep_their_traceback() -> None:
    with pytest.raises(RuntimeError, match="size mismatch"), lost_connection_explained():
        raise RuntimeError("size mismatch")


def test_one_process_is_not_told_to_use_srun(slurm, tmp_path: Path) -> None:
    srun = tmp_path / "srun"
    srun.touch(mode=0o755)
    program = "from gan_restore.inference.devices import Compute; Compute(device='cpu').fabric()"
    ended = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | {"PATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stderr) == (0, "")
