"""The sans-IO engine: told the time, it does not ask. Events in, outputs out."""
