"""Lint: can these rules block an emergency call? Asked with whole calls, put to the real engine.

The parts, kept apart so that a prover can stand beside the probes: *forms*, *flows*, *endpoints* and *instants* say
what is asked; *probe* puts it to the engine; *emergency*, *surge*, *ban* and *exceptions* turn blocked probes into
findings, *hygiene* reads the rules alone; *codes* holds every code with its words; *rendering* shows a report.
"""
