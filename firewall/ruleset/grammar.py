"""The grammar of rule expressions, for lark: Wireshark 4's display filters, the part that rules need.

LALR with the basic lexer, so the words of the grammar are reserved. Kept in a module because the language reads no
files. Names get their meaning, and literals their type, in ``resolve.py``.
"""

GRAMMAR = r"""
start: condition

?condition: conjunction | conjunction (_or conjunction)+ -> any_of
?conjunction: negation | negation (_and negation)+ -> all_of
?negation: _not negation -> negated | test
?test: "(" condition ")" | relation

?relation: operand -> exists
    | operand comparator literal -> comparison
    | operand _contains literal -> contains
    | operand _matches literal -> matches
    | operand _in members -> membership
    | operand _not _in members -> no_membership

?operand: field
    | field SLICE -> slice
    | NAME "(" operand ")" -> call
field: NAME | NAME HEADER_INDEX

members: "{" member ("," member)* "}" | SET
?member: literal | literal ".." literal -> range | SET

?literal: STRING | RAW_STRING | CHARACTER | NUMBER | ADDRESS | NAME

!comparator: "==" | "eq" | "!=" | "ne" | ">" | "gt" | ">=" | "ge" | "<" | "lt" | "<=" | "le"

_and: "and" | "&&"
_or: "or" | "||"
_not: "not" | "!"
_contains: "contains"
_matches: "matches" | "~"
_in: "in"

NAME: /[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*/
SET: /\$[A-Za-z0-9_.-]*/
SLICE: /\[[0-9:,\s-]*\]/
HEADER_INDEX: /\[\s*"(\\.|[^"\\])*"\s*\]/s
STRING: /"(\\.|[^"\\])*"/s
RAW_STRING.3: /[rR]"(\\.|[^"\\])*"/s
CHARACTER: /'(\\.|[^'\\])*'/s
NUMBER.2: /[+-]?[0-9][A-Za-z0-9_]*(\.[0-9][A-Za-z0-9_]*)*(\/[0-9]+)?/
ADDRESS.3: /[0-9A-Fa-f]{0,4}(:[0-9A-Fa-f]{0,4}){2,8}(\.[0-9]+){0,3}(\/[0-9]+)?/

%ignore /\s+/
"""
