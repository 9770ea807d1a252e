"""The ``sosgate`` console script, installed as the top-level module ``sosgate_command``.

firewalld's Python package is called ``firewall`` too. Where it hides ours, nothing inside our package is ever
reached; this module stands outside of it and says so.
"""

import importlib.util
import sys
from pathlib import Path


def main() -> None:
    """Run the ``sosgate`` command; exit with 2 when the package ``firewall`` is not sosgate's."""
    spec = importlib.util.find_spec("firewall")
    origin = Path(spec.origin) if spec and spec.origin else None
    # Not this file: a wheel has it outside of the package.
    if origin is None or not (origin.parent / "cli" / "policy_file.py").is_file():
        sys.exit(alien_package(origin))

    try:
        from firewall.cli.main import main as sosgate
    except KeyboardInterrupt:  # Ctrl-C while the modules are loaded, which nothing there can catch
        sys.exit(130)
    sosgate()


def alien_package(origin: Path | None) -> int:
    """Say on stderr that the package found at ``origin`` is not ours, and return the exit code."""
    found = f"{origin} is another package" if origin else "no such package is importable"
    sys.stderr.write(
        f'error: the Python package "firewall" is not sosgate\'s: {found} (firewalld ships one of that name); '
        "install sosgate into a virtual environment of its own (make setup) and unset PYTHONPATH\n"
    )
    return 2
