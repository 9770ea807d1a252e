"""The rules read alone, exactly: what is unreachable, redundant, never or always true, forgotten, unused, too open.

*sample* and *taker* spare most questions; the others are asked of ``proof/world.py``, which knows any message at all.
A report about a rule is a proof; where none was found nothing is said.
"""
