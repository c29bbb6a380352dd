"""TraceQL, Tempo's language: `grammar.py` finds the words, `reading.py` what they ask for, in predicates that a search takes."""
