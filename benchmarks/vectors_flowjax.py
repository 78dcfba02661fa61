"""FlowJAX's side of vectors.py, run by its own interpreter: tasks come on stdin, times go to stdout."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from flowjax.bijections import Affine, RationalQuadraticSpline
from flowjax.distributions import Normal
from flowjax.flows import masked_autoregressive_flow
from paramax import non_trainable, unwrap


def make(kind: str, dims: int, batch: int, rows: int, layers: int, hidden: int, bins: int) -> dict[str, Callable]:
    """The three tasks of one flow, each a function that ends when its result is there."""
    transformer = RationalQuadraticSpline(knots=bins, interval=5) if kind == "nsf" else Affine()
    flow = masked_autoregressive_flow(
        jax.random.key(0),
        base_dist=Normal(jnp.zeros(dims)),
        transformer=transformer,
        flow_layers=layers,
        nn_width=hidden,
        nn_depth=2,
    )
    parameters, static = eqx.partition(
        flow, eqx.is_inexact_array, is_leaf=lambda leaf: isinstance(leaf, type(non_trainable(0)))
    )
    optimiser = optax.adam(1e-3)
    x = jax.random.normal(jax.random.key(1), (batch, dims))

    @eqx.filter_jit
    def step(parameters, state):  # type: ignore[no-untyped-def]
        def loss(parameters):  # type: ignore[no-untyped-def]
            return -unwrap(eqx.combine(parameters, static)).log_prob(x).mean()

        gradients = eqx.filter_grad(loss)(parameters)
        updates, state = optimiser.update(gradients, state, parameters)
        return eqx.apply_updates(parameters, updates), state

    log_prob = eqx.filter_jit(lambda parameters: unwrap(eqx.combine(parameters, static)).log_prob(x))
    sample = eqx.filter_jit(lambda parameters, key: unwrap(eqx.combine(parameters, static)).sample(key, (rows,)))
    held = [parameters, optimiser.init(parameters)]

    def run_step() -> None:
        held[:] = step(*held)
        jax.block_until_ready(held[0])

    return {
        "step": run_step,
        "log_prob": lambda: log_prob(parameters).block_until_ready(),
        "sample": lambda: sample(parameters, jax.random.key(2)).block_until_ready(),
    }


def main() -> None:
    now = time.process_time if sys.argv[1:] == ["cpu"] else time.perf_counter
    tasks: dict[str, Callable] = {}
    for line in sys.stdin:
        request = json.loads(line)
        if "make" in request:
            tasks = make(**request["make"])
            times = []
        else:
            times = []
            for _ in range(request["repeats"]):
                start = now()
                tasks[request["task"]]()
                times.append(now() - start)
        print(json.dumps(times), flush=True)


if __name__ == "__main__":
    main()
