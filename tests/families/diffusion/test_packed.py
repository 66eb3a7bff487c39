"""Layers on packed weights give what the plain ones give, in both directions, and step aside where they should."""

from types import SimpleNamespace

import pytest
import torch
from diffusers import UNet2DConditionModel
from peft import LoraConfig
from peft.tuners.lora import Linear as LoraLinear
from torch import nn
from torch.nn import functional

from studio.families.diffusion import packed
from studio.families.diffusion.packed import PackedLinear, pack
from studio.families.diffusion.packed_training import pack_frozen
from studio.families.diffusion.tiling import wrapped

MEMORY = 2**28


@pytest.fixture(autouse=True)
def small_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    if not packed.is_exact():
        pytest.skip("this processor has no packed kernels for bfloat16")
    monkeypatch.setattr(packed, "LEAST_WEIGHTS", 0)


def unet() -> UNet2DConditionModel:
    torch.manual_seed(0)
    net = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=24,
        attention_head_dim=4,
        norm_num_groups=8,
    )
    return net.to(torch.bfloat16).to(memory_format=torch.channels_last).eval()


def seen(count: int = 2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    noise = torch.Generator().manual_seed(1)
    pixels = torch.randn(count, 4, 8, 8, generator=noise).bfloat16().to(memory_format=torch.channels_last)
    return pixels, torch.tensor([7] * count), torch.randn(count, 5, 24, generator=noise).bfloat16()


def far(made: torch.Tensor, true: torch.Tensor) -> float:
    made, true = made.detach().float(), true.detach().float()
    return float((made - true).norm() / true.norm())


def test_a_u_net_answers_as_before_and_keeps_its_order_of_numbers() -> None:
    net = unet()
    with torch.inference_mode():
        before = net(*seen()).sample
        budget = pack([net], MEMORY)
        after = net(*seen()).sample
    assert budget.layers > 40 and budget.used > 0
    assert far(after, before) < 0.03
    assert {type(vars(m).get("forward")).__name__ for m in net.modules()} >= {"PackedLinear", "Gated", "Residual"}


def test_without_memory_the_plain_layers_run() -> None:
    net = unet()
    with torch.inference_mode():
        before = net(*seen()).sample
        budget = pack([net], 1000)
        assert far(net(*seen()).sample, before) < 0.03
    assert budget.used <= 1000
    assert pack([unet()], 0).layers == 0


def test_other_numbers_and_wanted_gradients_go_the_plain_way() -> None:
    linear, convolution = nn.Linear(24, 40).bfloat16(), nn.Conv2d(24, 40, 3, padding=1).bfloat16()
    budget = pack([linear, convolution], MEMORY)
    rows, pixels = torch.randn(3, 24).bfloat16().requires_grad_(), torch.randn(1, 24, 5, 7).bfloat16()
    (linear(rows).sum() + convolution(pixels).sum()).backward()
    assert rows.grad is not None
    assert budget.used == 0 and pack([nn.Linear(24, 40)], MEMORY).layers == 0


def test_seamless_painting_takes_precedence_and_gives_back() -> None:
    net, pixels = unet(), seen()
    pack([net], MEMORY)
    with torch.inference_mode():
        plain = net(*pixels).sample
        with wrapped(SimpleNamespace(components={"unet": net, "vae": nn.Identity()}), "both"):
            around = net(*pixels).sample
        assert far(around, plain) > 0.05
        assert torch.equal(net(*pixels).sample, plain)


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 1, 1), (1, 1, 0), (3, 2, 1), (4, 2, 1), (2, 2, 0)])
@pytest.mark.parametrize("side", [(8, 8), (9, 6)])
def test_gradients_pass_a_convolution(kernel: int, stride: int, padding: int, side: tuple[int, int]) -> None:
    layer = nn.Conv2d(16, 24, kernel, stride, padding).bfloat16().requires_grad_(False)
    x = torch.randn(2, 16, *side).bfloat16().to(memory_format=torch.channels_last).requires_grad_()
    true = layer(x)
    pull = torch.randn_like(true)
    (asked,) = torch.autograd.grad(true, x, pull)
    packed.pack_layer(layer, packed.Budget(MEMORY), through=True)
    assert packed.packed_convolution(layer) is not None
    made = layer(x)
    assert far(made, true) < 0.01 and far(torch.autograd.grad(made, x, pull)[0], asked) < 0.01


def test_no_weight_is_put_in_order_again(capfd: pytest.CaptureFixture[str]) -> None:
    """Sizes at which kernels want different orders; oneDNN tells of each thing that it does."""
    layers = [nn.Conv2d(64, 192, kernel, padding=kernel // 2) for kernel in (1, 3)]
    layers = [layer.bfloat16().requires_grad_(False) for layer in layers]
    pack_all = packed.Budget(MEMORY)
    for layer in layers:
        packed.pack_layer(layer, pack_all, through=True)

    def call(batch: int, side: int) -> None:
        x = torch.randn(batch, 64, side, side).bfloat16().to(memory_format=torch.channels_last)
        for layer in layers:
            x.requires_grad_()
            layer(x).sum().backward()

    sizes = [(1, 8), (2, 8), (8, 8), (2, 16), (1, 32), (2, 5)]
    for size in sizes:
        call(*size)
    held = pack_all.used
    capfd.readouterr()
    with torch.backends.mkldnn.verbose(torch.backends.mkldnn.VERBOSE_ON):
        for size in sizes:
            call(*size)
    told = capfd.readouterr().out
    assert told.count("exec,cpu,convolution") >= 2 * len(sizes)
    assert not [line for line in told.splitlines() if "exec,cpu,reorder" in line and "src:bf16::blocked:A" in line]
    assert pack_all.used == held <= MEMORY


def test_a_size_whose_order_has_no_memory_goes_the_plain_way_in_both_directions() -> None:
    layer = nn.Conv2d(24, 40, 3, padding=1).bfloat16().requires_grad_(False)
    for room in (0, 2 * 48 * 64 * 9):  # none; one way at most
        x = torch.randn(2, 24, 9, 7).bfloat16().to(memory_format=torch.channels_last).requires_grad_()
        true = functional.conv2d(x, layer.weight, layer.bias, padding=1)
        pull = torch.randn_like(true)
        (asked,) = torch.autograd.grad(true, x, pull)
        budget = packed.Budget(room)
        packed.pack_layer(layer, budget, through=True)
        made = layer(x)
        assert far(made, true) < 0.01 and far(torch.autograd.grad(made, x, pull)[0], asked) < 0.01
        assert budget.used <= room


@pytest.mark.parametrize("room", [MEMORY, 2 * 24 * 40])
def test_gradients_pass_a_linear_layer_with_memory_for_both_ways_or_one(room: int) -> None:
    layer = nn.Linear(24, 40).bfloat16().requires_grad_(False)
    x = torch.randn(2, 3, 24).bfloat16().requires_grad_()
    true = layer(x)
    pull = torch.randn_like(true)
    (asked,) = torch.autograd.grad(true, x, pull)
    budget = packed.Budget(room)
    packed.pack_layer(layer, budget, through=True)
    assert isinstance(vars(layer)["forward"], PackedLinear)
    made = layer(x)
    assert far(made, true) < 0.01 and far(torch.autograd.grad(made, x, pull)[0], asked) < 0.01
    assert budget.used == min(room, 2 * 2 * 24 * 40)


@pytest.mark.parametrize("alpha", [4.0, 8.0])
@pytest.mark.parametrize("targets", [["to_q", "to_k", "to_v", "to_out.0"], ["to_q", "to_k", "to_v", "net.0.proj"]])
def test_an_adapter_learns_as_pefts_own_does(alpha: float, targets: list[str]) -> None:
    def learnt(fast: bool) -> dict[str, torch.Tensor]:
        net = unet()
        torch.manual_seed(2)
        net.add_adapter(LoraConfig(r=4, lora_alpha=alpha, init_lora_weights=False, target_modules=targets))
        for name, parameter in net.named_parameters():
            parameter.requires_grad_("lora_" in name)
            if "lora_" in name:
                parameter.data = parameter.data.float()
        if fast:
            assert pack_frozen(net, "default", MEMORY).layers > 40
        with torch.autocast("cpu", torch.bfloat16):
            for module in net.modules():
                if isinstance(module, LoraLinear):
                    module.cast_input_dtype_enabled = False
            net(*seen(1)).sample.float().square().mean().backward()
        return {name: p.grad for name, p in net.named_parameters() if p.grad is not None}

    plain, fast = learnt(False), learnt(True)
    assert plain.keys() == fast.keys() and len(plain) > 20
    flat = [torch.cat([found[name].flatten() for name in sorted(found)]) for found in (plain, fast)]
    assert float(functional.cosine_similarity(flat[0], flat[1], 0)) > 0.999
    assert far(flat[1], flat[0]) < 0.05


def test_an_adapter_that_is_switched_off_changes_nothing() -> None:
    net = unet()
    with torch.no_grad():
        before = net(*seen()).sample
    net.add_adapter(LoraConfig(r=4, init_lora_weights=False, target_modules=["to_q", "to_k", "to_v"]))
    pack_frozen(net, "default", MEMORY)
    with torch.no_grad():
        assert far(net(*seen()).sample, before) > 0.01
        net.disable_adapters()
        assert far(net(*seen()).sample, before) < 0.03
    learns = net(*seen()).sample
    assert far(learns, before) < 0.03
