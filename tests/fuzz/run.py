"""``make fuzz``: run fuzz targets for a bounded time, guided by coverage where atheris is installed.

``python -m tests.fuzz.run [TARGET...] [--seconds N]`` runs each target in a process of its own. What breaks a target
is kept under build/fuzz/TARGET, named crash-*; mend the cause and put the bytes, made small, into tests/fuzz/corpus.
"""

import argparse
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

from tests.fuzz.mutation import CORPUS, mutations, seeds

ROOT = Path(__file__).parents[2]
FOUND = ROOT / "build" / "fuzz"
SLOWEST_S = 0.05
"""No input of 64 KB may take longer (one message; an engine input holds up to 16)."""


def guided(target: str, seconds: int) -> None:
    """Run one target under atheris; leaves the process."""
    import atheris

    with atheris.instrument_imports(include=["firewall"]):
        from tests.fuzz.targets import TARGETS  # instrumented only when imported here

    found = FOUND / target
    found.mkdir(parents=True, exist_ok=True)
    arguments = [
        sys.argv[0],
        f"-max_total_time={seconds}",
        "-max_len=65535",
        "-timeout=5",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
        "-verbosity=0",
        f"-artifact_prefix={found}/",
        str(found),
        str(CORPUS / target),
    ]
    atheris.Setup(arguments, TARGETS[target])
    atheris.Fuzz()


def blind(target: str, seconds: int) -> int:
    """Run one target over mutations of its corpus; return the exit status."""
    from tests.fuzz.targets import TARGETS

    begun_s, count, slowest_s = time.monotonic(), 0, 0.0
    for data in mutations(seeds(target), seed=int(os.environ.get("FUZZ_SEED", "1"))):
        input_begun_s = time.process_time()
        try:
            TARGETS[target](data)
        except Exception:
            path = FOUND / target / "crash-blind"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            print(f"{target}: broken by {path}", file=sys.stderr)
            raise
        slowest_s = max(slowest_s, time.process_time() - input_begun_s)
        count += 1
        if time.monotonic() - begun_s > seconds:
            break
    print(f"{target}: {count} mutations hold; the slowest took {slowest_s * 1000:.1f} ms")
    return 0


def _holds(target: str, seconds: int) -> bool:
    """Run one target in a process of its own, its output in build/fuzz/TARGET.log; print what came of it."""
    FOUND.mkdir(parents=True, exist_ok=True)
    log = FOUND / f"{target}.log"
    command = [sys.executable, "-m", "tests.fuzz.run", target, "--one", "--seconds", str(seconds)]
    with log.open("w") as output:
        done = subprocess.run(command, cwd=ROOT, check=False, stdout=output, stderr=subprocess.STDOUT)
    lines = log.read_text(errors="replace").splitlines()
    if done.returncode:
        print("\n".join([f"{target}: BROKEN", *lines[-60:]]), flush=True)
        return False
    figures = [line.removeprefix("stat::") for line in lines if line.startswith(("stat::number", "stat::slowest"))]
    print(f"{target}: {', '.join(' '.join(figure.split()) for figure in figures) or lines[-1]}", flush=True)
    return True


def main() -> int:
    """Run the targets one after the other; 1 when one of them broke."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--seconds", type=int, default=int(os.environ.get("FUZZ_SECONDS", "10")))
    parser.add_argument("--one", action="store_true", help="run the one target in this process")
    arguments = parser.parse_args()
    targets = arguments.targets or sorted(path.name for path in CORPUS.iterdir())
    has_atheris = find_spec("atheris") is not None
    if arguments.one:
        if has_atheris:
            guided(targets[0], arguments.seconds)
        return blind(targets[0], arguments.seconds)
    if not has_atheris:
        print("fuzz: atheris is not installed; mutations without coverage guidance", file=sys.stderr)
    broken = [target for target in targets if not _holds(target, arguments.seconds)]
    if broken:
        print(f"fuzz: broken: {', '.join(broken)}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
