import pytest
import torch
import torch.nn.functional as F
from support import ODD, tiny

from gan_restore.files import UserError
from gan_restore.inference import Compute, Restorer, compiling
from gan_restore.inference.compiling import check_compiler, replication_pad2d_backward

CPU = torch.device("cpu")


def test_a_compiled_restorer_restores_the_same_for_all_sizes(graphs: list) -> None:
    recipe = tiny("srgan")
    torch.manual_seed(0)
    generator = recipe.generator()
    plain, ours = (Restorer(generator, Compute("cpu", compile=compile), recipe) for compile in ("off", "on"))
    assert ours._bytes_per_pixel == plain._bytes_per_pixel > 0
    graphs.clear()  # that of the check
    for size in [*ODD, (41, 29), (50, 70), (24, 24)]:
        degraded = torch.rand(1, 3, *size)
        torch.testing.assert_close(ours(degraded), plain(degraded), rtol=0, atol=1e-5)
    assert len(graphs) <= 2
    assert list(ours.generator.state_dict()) == list(recipe.generator().state_dict())


def test_networks_that_depend_on_the_size_are_not_compiled() -> None:
    with pytest.raises(UserError, match="would compile this network again for each size of image"):
        Restorer(tiny("pix2pix").generator(), Compute("cpu", compile="on"))


def test_cuda_graphs_are_for_training_on_a_gpu() -> None:
    with pytest.raises(UserError, match=r"^--compile cuda-graphs needs a CUDA GPU, and this is for cpu"):
        check_compiler("cuda-graphs", CPU)
    with pytest.raises(UserError, match="for training; restore with --compile on"):
        Restorer(tiny("srgan").generator(), Compute("cpu", compile="cuda-graphs"))


def test_a_missing_compiler_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def backend(graph: object, inputs: object) -> None:
        raise RuntimeError("No working C++ compiler found in config.cpp.cxx: (None, 'g++')\n\nSet TORCH_LOGS")

    monkeypatch.setitem(compiling._OPTIONS, "on", {"backend": backend})
    generator, compute = tiny("srgan").generator(), Compute("cpu", compile="on")
    for check in (lambda: check_compiler("on", CPU), lambda: Restorer(generator, compute)):
        with pytest.raises(UserError, match=r"fails on cpu \(.*C\+\+ compiler.*'g\+\+'\)\); install") as error:
            check()
        assert "\n" not in str(error.value) and "TORCH_LOGS" not in str(error.value)
    check_compiler("off", CPU)


@pytest.mark.parametrize("padding", [(1, 1, 1, 1), (4, 4, 4, 4), (0, 3, 2, 0), (0, 0, 0, 0)])
@pytest.mark.parametrize("size", [(5, 7), (2, 2)])
def test_the_gradient_of_repeated_edges_is_that_of_pytorch(padding: tuple[int, ...], size: tuple[int, int]) -> None:
    images = torch.rand(2, 3, *size).contiguous(memory_format=torch.channels_last).requires_grad_()
    padded = F.pad(images, padding, mode="replicate")
    gradient = torch.rand_like(padded)
    padded.backward(gradient)
    torch.testing.assert_close(replication_pad2d_backward(gradient, images, padding), images.grad)


def test_what_the_gradient_of_repeated_edges_does_not_cover_is_left_to_pytorch() -> None:
    for size, padding in (((1, 5), (1, 1, 1, 1)), ((5, 5), (-1, 1, 0, 0))):
        images = torch.rand(1, 3, *size)
        gradient = F.pad(images, padding, mode="replicate")
        assert replication_pad2d_backward(gradient, images, padding) is NotImplemented
