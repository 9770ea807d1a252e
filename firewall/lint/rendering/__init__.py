"""A report as a person or a machine wants to read it: text, JSON, GitHub annotations, SARIF."""
