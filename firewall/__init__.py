"""sosgate: the SIP firewall that cannot silently block an emergency call."""

__version__ = "0.1.0"
