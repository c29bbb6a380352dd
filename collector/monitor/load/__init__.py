"""Load tests: requests sent at a rate, or by so many at a time, from a process of its own, and what became of them."""
