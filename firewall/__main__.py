"""``python -m firewall`` is the ``sosgate`` command."""

from firewall.cli.main import main

if __name__ == "__main__":
    main()
