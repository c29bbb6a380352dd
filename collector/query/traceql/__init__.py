"""TraceQL, Tempo's language: `grammar.py` finds the words, `reading.py` what they ask for, in predicates that a search takes.

`sets.py` reads sets and what joins them, `conditions.py`, `numbers.py` and `constants.py` what stands within braces, `stages.py`
what follows a bar.
"""
