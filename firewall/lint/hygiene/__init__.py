"""The rules read alone, exactly: what is unreachable, redundant, never or always true, forgotten, unused, too open.

*world* says what any message at all can be, *value* what any text can be; *sample* and *taker* spare most questions.
A report about a rule is a proof; where none was found nothing is said.
"""
