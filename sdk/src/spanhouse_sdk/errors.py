"""How the collector's answers fail."""


class Nonsense(ValueError):
    """The collector has answered something else than it should; the text says what."""
