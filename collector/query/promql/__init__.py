"""PromQL over rate, errors and durations, and over calls between services: the part of it that panels of these ask for.

`reading.py` makes expressions (`expressions.py`) of a text by `grammar.py` and `literals.py`; `families.py` names the metrics
that there are, and `loading.py` reads from their tables what an expression needs (`needs.py`); `evaluation.py` works it out, for
all steps at once (`vectors.py`), by `operations.py` and `over_time.py`.
"""
