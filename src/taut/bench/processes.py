"""Training shared by several processes of this machine, which wait between the rounds of a benchmark."""

import os
import socket
import tempfile
import weakref
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch
from torch import multiprocessing, nn

from taut import models
from taut.bench.config import BenchConfig
from taut.bench.timing import Call, Contenders
from taut.bench.training import fitted
from taut.errors import UserError
from taut.training.engine import EngineConfig

BASE = "taut: fit, one process"
SHARED = "taut: fit, P processes"
UPDATES = 20
BATCHES = {"mlp": 1024, "convnet": 128}


def contenders(
    network: str, processes: int, config: BenchConfig, device: torch.device, *, updates: int = UPDATES
) -> Contenders:
    """The same updates of "mlp" or "convnet" in one process and in so many."""
    del device
    return {name: partial(_group, network, updates, count, config) for name, count in ((BASE, 1), (SHARED, processes))}


def _network(name: str) -> nn.Module:
    shape = (1, 28, 28)
    return models.mlp(shape, 10) if name == "mlp" else models.convnet(shape, 10, channels=8)


def _group(network: str, updates: int, count: int, config: BenchConfig) -> Call:
    """Start the processes; the call has all of them make their share of the updates."""
    context = multiprocessing.get_context("spawn")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    workers: list[tuple[BaseProcess, Connection]] = []
    for rank in range(count):
        here, there = context.Pipe()
        worker = context.Process(target=_serve, args=(there, network, updates, rank, count, port, config), daemon=True)
        worker.start()
        there.close()
        workers.append((worker, here))

    def call() -> float:
        try:
            waiting, total = [pipe for _, pipe in workers], 0.0
            for pipe in waiting:
                pipe.send(None)
            while waiting:
                for pipe in wait(waiting):
                    assert isinstance(pipe, Connection)
                    total += pipe.recv()
                    waiting.remove(pipe)
        except (EOFError, OSError):
            _close(workers)
            raise UserError(f"one of {count} training processes ended; its own message is above") from None
        return total

    weakref.finalize(call, _close, workers)
    return call


def _close(workers: list[tuple[BaseProcess, Connection]]) -> None:
    """End the processes; one that waits for another that is gone does not hear of it otherwise."""
    for worker, pipe in workers:
        pipe.close()
        worker.kill()
        worker.join()


def _serve(pipe: Connection, network: str, updates: int, rank: int, count: int, port: int, config: BenchConfig) -> None:
    """One process of a group: a training run for each message, until the pipe is closed."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "bench"}
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
    from taut.training.engine import launch

    torch.manual_seed(0)
    engine = EngineConfig(accelerator=config.accelerator, threads=config.threads, devices=count)
    fabric = launch(engine)
    model, batch = _network(network), BATCHES[network]
    samples = batch * updates // 2
    inputs, labels = torch.rand(samples, 1, 28, 28), torch.randint(10, (samples,))
    try:
        while _asked(pipe):
            with tempfile.TemporaryDirectory() as folder:
                found = fitted(model, inputs, labels, batch, fabric, engine, Path(folder))
            pipe.send(found)
    except KeyboardInterrupt:
        return


def _asked(pipe: Connection) -> bool:
    try:
        pipe.recv()
    except (EOFError, OSError):
        return False
    return True
