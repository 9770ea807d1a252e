"""The policies that come with sosgate: ``rules/`` in a checkout, ``share/sosgate/rules`` where it is installed."""

import sys
from pathlib import Path

import firewall
from firewall.errors import OperatorError


def shipped_rules() -> Path:
    """Return the folder of the policies that come with sosgate.

    Raises:
        OperatorError: it is in neither of its places.
    """
    checkout = Path(firewall.__file__).resolve().parent.parent / "rules"
    installed = Path(sys.prefix) / "share" / "sosgate" / "rules"
    for folder in (checkout, installed):
        if (folder / "demo").is_dir():
            return folder
    raise OperatorError(
        f"the policies that come with sosgate are neither in {checkout} nor in {installed}",
        next_step="install sosgate again",
    )
