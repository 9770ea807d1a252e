"""The proof: rules as a propositional formula, whole calls as the contexts it is asked in, engine runs as witnesses."""
