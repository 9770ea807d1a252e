"""Recorded traffic through the very same engine as the live firewall's."""
