"""The language server: lint's findings in an editor while a policy is written, its fixes, and what the words mean.

``diagnostic`` and ``action`` turn a report into the protocol's values, ``vocabulary`` knows what can stand where,
``server`` speaks with the editor. How a policy is loaded is the caller's (``firewall/cli/lsp.py``).
"""
