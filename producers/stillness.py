"""How long something has stayed as it is: what tells a stream that lags from one that has nothing to say."""

LAG_NS_MAX = 2_000_000_000
"""A new connection that stands is waited for no longer than this until it is level with the old one."""

QUIET_NS = 30_000_000_000
"""After so long without a word on either connection there is nothing to wait for (24 s are normal, exchanges.md 7)."""


class Stillness:
    """Told a value and the time, says for how many ns the value has been the same."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self._value: object = None
        self._since_ns: int | None = None

    def lasted_ns(self, value: object, now_ns: int) -> int:
        """For how long it has had this value; 0 when it is new."""
        if self._since_ns is None or value != self._value:
            self._value, self._since_ns = value, now_ns
        return now_ns - self._since_ns
