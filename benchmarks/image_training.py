"""One training step of the multi-scale MNIST flow: Pushforward against the tutorial's own program in PyTorch.

The baseline is the program of the UvA deep learning tutorial 11 (Lippe 2022), written here as it stands there: images
in NCHW, couplings that multiply by masks of zeros and ones, layer norm over the channels by permuting. Ours is
``pf.build("mnist-multiscale")``, eager and with ``flow.compile_blocks()``. All start from the same weights and draw
the same noise; a step is forward, backward, clipping of the gradient's norm to 1, and Adam.

    python benchmarks/image_training.py [--steps 15] [--batch 128] [--threads 2] [--out build/image_training.json]

Each program runs in a process of its own, as a user would run it, and they take their steps in turns, so that what
else the machine does falls on all alike. Times are medians; a speedup is the median over the turns of the tutorial's
time by ours. On a busy machine ``--threads 1`` and the processor's time say more than the clock. Ours keep freed
memory from step to step, as ``pf.fit`` does; "baseline, kept" is the tutorial's program with that alone. Peak memory
is the resident set after three steps, less what the process held before the first.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import pushforward as pf
from pushforward.kernels.memory import kept_memory
from pushforward.networks import GatedConvNet
from pushforward.transforms import Coupling

VARIANTS = ("baseline", "baseline, kept", "eager", "compiled")
# The first steps compile, and fill the allocator.
WARM_UP = 3
SHAPE = (1, 28, 28)
DIMENSIONS = math.prod(SHAPE)


# The baseline.


class ConcatELU(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([F.elu(x), F.elu(-x)], dim=1)


class LayerNormChannels(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class GatedConv(nn.Module):
    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            ConcatELU(),
            nn.Conv2d(2 * channels, hidden, 3, padding=1),
            ConcatELU(),
            nn.Conv2d(2 * hidden, 2 * channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.net(x).chunk(2, dim=1)
        return x + value * torch.sigmoid(gate)


class TutorialNet(nn.Module):
    def __init__(self, inputs: int, hidden: int, outputs: int, layers: int = 3) -> None:
        super().__init__()
        parts: list[nn.Module] = [nn.Conv2d(inputs, hidden, 3, padding=1)]
        for _ in range(layers):
            parts += [GatedConv(hidden, hidden), LayerNormChannels(hidden)]
        parts += [ConcatELU(), nn.Conv2d(2 * hidden, outputs, 3, padding=1)]
        self.nn = nn.Sequential(*parts)
        nn.init.zeros_(parts[-1].weight)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return self.nn(x)


class CouplingLayer(nn.Module):
    mask: Tensor

    def __init__(self, network: nn.Module, mask: Tensor, channels: int) -> None:
        super().__init__()
        self.network = network
        self.scaling_factor = nn.Parameter(torch.zeros(channels))
        self.register_buffer("mask", mask)

    def forward(self, z: Tensor, ldj: Tensor, image: Tensor | None = None) -> tuple[Tensor, Tensor]:
        masked = z * self.mask
        outputs = self.network(masked if image is None else torch.cat([masked, image], dim=1))
        s, t = outputs.chunk(2, dim=1)
        factor = self.scaling_factor.exp().view(1, -1, 1, 1)
        s = torch.tanh(s / factor) * factor
        s, t = s * (1 - self.mask), t * (1 - self.mask)
        return (z + t) * torch.exp(s), ldj + s.sum(dim=[1, 2, 3])


def sigmoid(z: Tensor, ldj: Tensor) -> tuple[Tensor, Tensor]:
    return torch.sigmoid(z), ldj + (-z - 2 * F.softplus(-z)).sum(dim=[1, 2, 3])


def logit(z: Tensor, ldj: Tensor, alpha: float = 1e-5) -> tuple[Tensor, Tensor]:
    z = z * (1 - alpha) + 0.5 * alpha
    ldj = ldj + math.log(1 - alpha) * DIMENSIONS + (-torch.log(z) - torch.log(1 - z)).sum(dim=[1, 2, 3])
    return torch.log(z) - torch.log(1 - z), ldj


class TutorialDequantization(nn.Module):
    def __init__(self, flows: list[nn.Module]) -> None:
        super().__init__()
        self.flows = nn.ModuleList(flows)

    def forward(self, x: Tensor, ldj: Tensor) -> tuple[Tensor, Tensor]:
        x = x.to(torch.float32)
        image = x / 255.0 * 2 - 1
        noise, ldj = logit(torch.rand(x.shape), ldj)
        for flow in self.flows:
            noise, ldj = flow(noise, ldj, image)
        noise, ldj = sigmoid(noise, ldj)
        return logit((x + noise) / 256.0, ldj - math.log(256.0) * DIMENSIONS)


class SqueezeFlow(nn.Module):
    def forward(self, z: Tensor, ldj: Tensor) -> tuple[Tensor, Tensor]:
        batch, channels, height, width = z.shape
        z = z.reshape(batch, channels, height // 2, 2, width // 2, 2).permute(0, 3, 5, 1, 2, 4)
        return z.reshape(batch, 4 * channels, height // 2, width // 2), ldj


class SplitFlow(nn.Module):
    def forward(self, z: Tensor, ldj: Tensor) -> tuple[Tensor, Tensor]:
        z, split = z.chunk(2, dim=1)
        return z, ldj + log_normal(split)


class TutorialFlow(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        noise: list[nn.Module] = [CouplingLayer(TutorialNet(2, 16, 2), _checkerboard(i), 1) for i in range(4)]
        flows: list[nn.Module] = [TutorialDequantization(noise)]
        flows += [CouplingLayer(TutorialNet(1, 32, 2), _checkerboard(i), 1) for i in range(2)]
        flows += [SqueezeFlow()]
        flows += [CouplingLayer(TutorialNet(4, 48, 8), _channel_mask(4, i), 4) for i in range(2)]
        flows += [SplitFlow(), SqueezeFlow()]
        flows += [CouplingLayer(TutorialNet(8, 64, 16), _channel_mask(8, i), 8) for i in range(4)]
        self.flows = nn.ModuleList(flows)

    def forward(self, x: Tensor) -> Tensor:
        z, ldj = x, torch.zeros(x.shape[0])
        for flow in self.flows:
            z, ldj = flow(z, ldj)
        return ldj + log_normal(z)


def log_normal(z: Tensor) -> Tensor:
    return (-0.5 * z**2 - 0.5 * math.log(2 * math.pi)).sum(dim=[1, 2, 3])


def _checkerboard(index: int) -> Tensor:
    mask = ((torch.arange(28)[:, None] + torch.arange(28)) % 2).float()[None, None]
    return 1 - mask if index % 2 else mask


def _channel_mask(channels: int, index: int) -> Tensor:
    mask = torch.cat([torch.ones(channels // 2), torch.zeros(channels - channels // 2)])[None, :, None, None]
    return 1 - mask if index % 2 else mask


# The same weights in both.


def copy_weights(baseline: nn.Module, flow: nn.Module) -> None:
    """Give ``flow`` the baseline's weights, coupling by coupling."""
    theirs = [part for part in baseline.modules() if isinstance(part, CouplingLayer)]
    ours = [part for part in flow.modules() if isinstance(part, Coupling)]
    with torch.no_grad():
        for source, target in zip(theirs, ours, strict=True):
            assert isinstance(target.network, GatedConvNet) and target.shared is not None
            target.shared.copy_(source.scaling_factor[None])
            for old, new in zip(source.network.parameters(), target.network.parameters(), strict=True):
                new.copy_(old)


def stir(baseline: nn.Module) -> None:
    """Move the weights off their zeros, so that an equal loss says something."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for layer in baseline.modules():
            if isinstance(layer, CouplingLayer):
                layer.scaling_factor.normal_(0, 0.1, generator=generator)
                last = layer.network.nn[-1]  # type: ignore[union-attr, index]
                last.weight.normal_(0, 0.02, generator=generator)  # type: ignore[union-attr]


def build(variant: str) -> nn.Module:
    torch.manual_seed(0)
    baseline = TutorialFlow()
    stir(baseline)
    if variant.startswith("baseline"):
        return baseline
    flow = pf.build("mnist-multiscale")
    copy_weights(baseline, flow)
    if variant == "compiled":
        flow.compile_blocks(fullgraph=True)
    return flow


def images(batch: int) -> Tensor:
    return torch.randint(256, (batch, *SHAPE), generator=torch.Generator().manual_seed(2))


def trainer(model: nn.Module, x: Tensor) -> Callable[[int], float]:
    """Return a function that takes one training step with the noise of a seed, and returns the bits/dim."""
    # Ours as pf.fit trains it, the tutorial's program as it stands there.
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=isinstance(model, pf.Flow))

    def step(seed: int) -> float:
        torch.manual_seed(seed)
        optimizer.zero_grad()
        loss = -model(x).mean() / (math.log(2.0) * DIMENSIONS)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    return step


class Program:
    """One of the programs in a process of its own, as a user would run it, which takes a step when it is told to."""

    def __init__(self, variant: str, arguments: argparse.Namespace) -> None:
        command = [sys.executable, __file__, "--serve", variant, "--batch", str(arguments.batch)]
        command += ["--threads", str(arguments.threads)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.steps: list[dict[str, float]] = []

    def step(self, seed: int) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        print(seed, file=self.process.stdin, flush=True)
        self.steps.append(json.loads(self.process.stdout.readline()))

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    def summary(self) -> dict[str, float]:
        first, measured = self.steps[0], self.steps[WARM_UP:]
        return {
            "bits_per_dim": first["bits_per_dim"],
            "first_step_s": first["seconds"],
            "median_s": statistics.median(step["seconds"] for step in measured),
            "least_s": min(step["seconds"] for step in measured),
            "processor_s": statistics.median(step["processor"] for step in measured),
            "peak_mb": self.steps[WARM_UP - 1]["peak_mb"],
        }


def serve(variant: str, batch: int) -> None:
    """Take a step for each seed on standard input, and say how it went."""
    with nullcontext() if variant == "baseline" else kept_memory():
        step = trainer(build(variant), images(batch))
        before = _peak_kilobytes()
        for line in sys.stdin:
            start, start_processor = time.perf_counter(), time.process_time()
            loss = step(int(line))
            result = {
                "seconds": time.perf_counter() - start,
                "processor": time.process_time() - start_processor,
                "bits_per_dim": loss,
                "peak_mb": (_peak_kilobytes() - before) / 1024,
            }
            print(json.dumps(result), flush=True)


def _peak_kilobytes() -> int:
    """This process's own peak; what getrusage says starts from the parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


def measure(arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    programs = {variant: Program(variant, arguments) for variant in VARIANTS}
    for seed in range(WARM_UP + arguments.steps):
        for program in programs.values():
            program.step(seed)
    results = {variant: program.summary() for variant, program in programs.items()}
    for program in programs.values():
        program.close()
    times = {variant: [step["seconds"] for step in programs[variant].steps[WARM_UP:]] for variant in VARIANTS}
    for variant, row in results.items():
        # Of steps side by side, so that what else the machine does falls on both alike.
        row["speedup"] = statistics.median(a / b for a, b in zip(times["baseline"], times[variant]))
        row["processor_speedup"] = results["baseline"]["processor_s"] / row["processor_s"]
        row["loss_error"] = abs(row["bits_per_dim"] / results["baseline"]["bits_per_dim"] - 1)
    return results


def show(results: dict[str, dict[str, float]]) -> None:
    columns = [("median s", 9), ("least s", 8), ("speedup", 8), ("CPU s", 7), ("speedup", 8), ("bits/dim", 10)]
    columns += [("rel. error", 10), ("peak MB", 8), ("first step s", 12)]
    print(" " * 14, *(f"{name:>{width}}" for name, width in columns))
    for variant, row in results.items():
        print(
            f"{variant:14} {row['median_s']:9.3f} {row['least_s']:8.3f} {row['speedup']:7.2f}x "
            f"{row['processor_s']:7.3f} {row['processor_speedup']:7.2f}x "
            f"{row['bits_per_dim']:10.6f} {row['loss_error']:10.1e} {row['peak_mb']:8.0f} {row['first_step_s']:12.1f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("build/image_training.json"))
    parser.add_argument("--serve", choices=VARIANTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.serve:
        return serve(arguments.serve, arguments.batch)
    results = measure(arguments)
    show(results)
    settings = {"torch": torch.__version__, "threads": arguments.threads, "batch": arguments.batch}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps({**settings, "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
