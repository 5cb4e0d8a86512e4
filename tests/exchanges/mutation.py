"""Messages damaged at random: bytes, tokens, shapes. The same seed damages the same way."""

import random
import re
from collections.abc import Sequence

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?|true|false|null')

STRANGE: tuple[bytes, ...] = (
    b"null", b"true", b"{}", b"[]", b"0", b"-1", b"1", b"-0", b"1.5", b"1e5", b"1E-7", b"1e400", b"-1e400", b"NaN",
    b"Infinity", b"-Infinity", b"9223372036854775807", b"9223372036854775808", b"18446744073709551616",
    b"1" + b"0" * 40, b"9" * 5000, b'""', b'"0"', b'"-1"', b'"+1"', b'" 1"', b'"1 "', b'"1e5"', b'"1E-30"',
    b'"1e999999"',
    b'"NaN"', b'"Infinity"', b'"."', b'"1."', b'".5"', b'"1.2.3"', b'"1_0"', b'"0x10"', b'"\xc2\xb2"', b'"\xd9\xa1"',
    b'"\\ud800"', b'"\\ud83d\\ude00"', b'"\\u0000"', b'"\xff\xfe"', b'"' + b"9" * 400 + b'"', b'"' + b"0" * 300 + b'1"',
    b'"0.' + b"1" * 30 + b'"', b'"' + b"x" * 70_000 + b'"', b"[" * 40 + b"]" * 40, b"[" * 3000 + b"]" * 3000,
    b'{"a":' * 3000 + b"1" + b"}" * 3000, b'[["1","2","3"]]', b'[["1"]]', b'[[1,2]]', b'[["1",null]]', b'"snapshot"',
    b'"delta"', b"2", b'"subscribe"', b'"depth@100ms"',
)  # fmt: skip


class Mutator:
    """Damages messages; `others` are what is spliced in."""

    def __init__(self, seed: int, others: Sequence[bytes]) -> None:
        self.rng = random.Random(seed)
        self._others = others

    def damage(self, message: bytes) -> bytes:
        """The message with one to three kinds of damage."""
        for _ in range(self.rng.choice((1, 1, 1, 2, 3))):
            message = self.rng.choice(_KINDS)(self, message)
        return message

    def _place(self, message: bytes) -> int:
        return self.rng.randrange(len(message) + 1)

    def flip(self, message: bytes) -> bytes:
        """Some bits of some bytes."""
        damaged = bytearray(message)
        for _ in range(self.rng.randint(1, 4)):
            if damaged:
                damaged[self.rng.randrange(len(damaged))] ^= 1 << self.rng.randrange(8)
        return bytes(damaged)

    def cut(self, message: bytes) -> bytes:
        """The end or a part is missing."""
        start = self._place(message)
        return message[:start] + (message[self._place(message) :] if self.rng.random() < 0.5 else b"")

    def splice(self, message: bytes) -> bytes:
        """The beginning of one and the end of another."""
        other = self.rng.choice(self._others)
        return message[: self._place(message)] + other[self._place(other) :]

    def insert(self, message: bytes) -> bytes:
        """Bytes that do not belong there."""
        at = self._place(message)
        return message[:at] + self.rng.choice((self.rng.randbytes(5), b" \n\t", b"\x00", b",", b"]}")) + message[at:]

    def repeat(self, message: bytes) -> bytes:
        """A part twice: often a key twice."""
        start = self._place(message)
        end = min(len(message), start + self.rng.randint(1, 60))
        return message[:end] + message[start:]

    def retype(self, message: bytes) -> bytes:
        """A value of another type, or one that no venue would send."""
        tokens = list(_TOKEN.finditer(message))
        if not tokens:
            return message
        token = self.rng.choice(tokens)
        return message[: token.start()] + self.rng.choice(STRANGE) + message[token.end() :]

    def doubled_key(self, message: bytes) -> bytes:
        """A key with a second value."""
        keys = list(re.finditer(rb'"(\w+)":', message))
        if not keys:
            return message
        key = self.rng.choice(keys)
        return message[: key.start()] + key[0] + self.rng.choice(STRANGE) + b"," + message[key.start() :]

    def swap(self, message: bytes) -> bytes:
        """Two values in each other's place."""
        tokens = list(_TOKEN.finditer(message))
        if len(tokens) < 2:
            return message
        first, second = sorted(self.rng.sample(tokens, 2), key=re.Match.start)
        between = message[first.end() : second.start()]
        return message[: first.start()] + second[0] + between + first[0] + message[second.end() :]


_KINDS = (
    Mutator.flip, Mutator.cut, Mutator.splice, Mutator.insert, Mutator.repeat,
    Mutator.retype, Mutator.retype, Mutator.retype, Mutator.doubled_key, Mutator.swap,
)  # fmt: skip
