"""What decoders raise."""


class MalformedRequest(ValueError):
    """The bytes of a request are not what their encoding promises; the same bytes would fail again.

    Attributes:
        message: what is wrong, for the developer of the sending service.
        field: where, as a path (`resource_spans[0].scope_spans[0]`) or a position (`byte 17`).
    """

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message, field)
        self.message = message
        self.field = field

    def __str__(self) -> str:
        return f"{self.message} ({self.field})" if self.field else self.message
