"""Bytes below SIP and the values made of them. Pure functions: no socket, no file, no clock."""
