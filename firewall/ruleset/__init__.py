"""The policy language: one table of fields, one AST, its evaluator and describer. Shared by engine and lint."""
