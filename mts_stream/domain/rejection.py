"""A record that cannot be read or cannot be true."""


class BadRecordError(Exception):
    """A record that cannot be read or cannot be true; it becomes a dead letter and moves nothing.

    `reason` is a short word that is counted, `detail` says what and where.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
