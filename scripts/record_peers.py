"""Record trained networks of escnn and e2cnn for the tests that run without these libraries.

    sh scripts/setup_peers.sh
    .venv-peers/bin/python scripts/record_peers.py

Writes tests/interop/recorded/LIBRARY-GROUP.npz. Each network gets a process of its own, as e2cnn keeps the kernels of
the first mirror axis of a process for all others.
"""

import importlib
import multiprocessing
import sys
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))


def record_one(library: str, name: str) -> str:
    """Train and record one network."""
    import torch

    from peer_networks import SIDE, build, run, run_first, train
    from recorded_networks import FOLDER, record

    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    body, head = build(library, name)
    train(body, head)
    images = torch.randn(2, 3, SIDE, SIDE)
    path = FOLDER / f"{library}-{name}.npz"
    path.parent.mkdir(exist_ok=True)
    version = importlib.import_module(library).__version__
    outputs, features = run(body, head, images), run_first(body, images)
    record(path, library, version, torch.nn.Sequential(body, head), images=images, outputs=outputs, features=features)
    return f"{path.relative_to(ROOT)}: {path.stat().st_size} bytes"


def main() -> None:
    """Record all networks."""
    from peer_networks import SPACES

    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for library, names in SPACES.items():
            for name in names:
                print(pool.apply(record_one, (library, name)))  # noqa: T201


if __name__ == "__main__":
    main()
