"""Weights that are sharded over processes: torch's ``fully_shard`` takes a flow as it is, and `fit` refuses to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from training_helpers import fit, moons, small_flow

import pushforward as pf
from pushforward.errors import UsageError

_SHARDED = """
import os, sys
import torch
import torch.distributed as dist
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.multiprocessing.spawn import spawn
import pushforward as pf

def make():
    torch.manual_seed(0)
    return pf.build("nsf", features=4, layers=2, hidden=(64, 64))

def train(rank, world, folder):
    dist.init_process_group("gloo", f"file://{folder}/rendezvous-{world}", rank=rank, world_size=world)
    x = torch.randn(256, 4, generator=torch.Generator().manual_seed(1)).exp()
    flow = make()
    flow.initialise(x)
    weights = sum(weight.numel() for weight in flow.parameters())
    fully_shard(flow, mesh=init_device_mesh("cpu", (world,)))
    own = sum(weight.to_local().numel() for weight in flow.parameters())
    optimizer = torch.optim.Adam(flow.parameters(), 1e-2)
    for _ in range(10):
        # Called, not flow.log_prob: the call is what gathers the weights.
        loss = -flow(x[rank::world]).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(flow.parameters(), 4.0)
        optimizer.step()
    state = get_model_state_dict(flow, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    if rank == 0:
        whole = make()
        whole.load_state_dict(state)
        pf.save(whole, f"{folder}/{world}.safetensors")
        print(world, own / weights)
    dist.destroy_process_group()

if __name__ == "__main__":
    train(0, 1, sys.argv[1])
    spawn(train, (2, sys.argv[1]), nprocs=2)
"""


@pytest.mark.slow
def test_two_processes_with_half_of_the_weights_each_train_to_the_flow_of_one(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(_SHARDED)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    shares = dict(line.split() for line in done.stdout.splitlines())
    assert float(shares["1"]) == 1.0 and 0.45 < float(shares["2"]) < 0.55
    one, two = (pf.load(tmp_path / f"{world}.safetensors") for world in (1, 2))
    x = torch.randn(100, 4).exp()
    assert torch.allclose(one.log_prob(x), two.log_prob(x), atol=1e-2)


@pytest.mark.parametrize("strategy", ["fsdp", "fsdp_cpu_offload", "deepspeed", "deepspeed_stage_3"])
def test_a_strategy_that_shards_weights_is_refused(strategy: str) -> None:
    with pytest.raises(UsageError, match="keeps every weight in each process"):
        fit(small_flow(), moons(), max_steps=1, strategy=strategy)


def test_a_strategy_object_that_shards_weights_is_refused() -> None:
    from lightning.pytorch.strategies import FSDPStrategy, ModelParallelStrategy

    for strategy in (FSDPStrategy(), ModelParallelStrategy()):
        with pytest.raises(UsageError, match="keeps every weight in each process"):
            fit(small_flow(), moons(), max_steps=1, strategy=strategy)
