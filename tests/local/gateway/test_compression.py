"""Content encodings: what comes packed comes out whole or is refused."""

import gzip
import zlib

import lz4.frame
import pytest
import zstandard

from mts_stream.local.gateway.compression import choose, compress, decompress
from mts_stream.local.gateway.errors import QueryError

DATA = b"the same words again and again " * 1000
PACKED = {
    "gzip": gzip.compress(DATA),
    "deflate": zlib.compress(DATA),
    "lz4": lz4.frame.compress(DATA),
    "zstd": zstandard.ZstdCompressor().compress(DATA),
    "identity": DATA,
    "": DATA,
}


@pytest.mark.parametrize("encoding", PACKED)
def test_every_encoding_of_the_clients_is_unpacked(encoding: str) -> None:
    """A body comes out as it was packed."""
    assert decompress(PACKED[encoding], encoding, len(DATA)) == DATA


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "lz4", "zstd"])
def test_a_body_is_not_unpacked_beyond_the_bound(encoding: str) -> None:
    """A small body that unpacks to a huge one is refused with 413."""
    with pytest.raises(QueryError) as refusal:
        decompress(PACKED[encoding], encoding, len(DATA) - 1)

    assert (refusal.value.code, refusal.value.status) == (307, 413)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "lz4", "zstd"])
def test_a_damaged_body_is_refused(encoding: str) -> None:
    """Bytes that are not of the encoding they claim get 400."""
    with pytest.raises(QueryError) as refusal:
        decompress(b"not packed at all", encoding, 1000)

    assert (refusal.value.code, refusal.value.status) == (271, 400)


@pytest.mark.parametrize("encoding", ["gzip", "lz4", "zstd"])
def test_a_body_that_is_cut_off_is_refused(encoding: str) -> None:
    """Half a packed body is an error, not half an insert."""
    with pytest.raises(QueryError):
        decompress(PACKED[encoding][:-5], encoding, len(DATA))


def test_an_unknown_encoding_is_refused() -> None:
    """An encoding that nobody here knows gets 501."""
    with pytest.raises(QueryError) as refusal:
        decompress(DATA, "snappy", 1)

    assert refusal.value.status == 501


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        ("gzip, deflate", "gzip"),
        ("gzip;q=1, lz4", "lz4"),
        ("gzip;q=0", ""),
        ("br", ""),
        ("", ""),
        ("zstd,gzip", "zstd"),
    ],
)
def test_the_cheapest_encoding_that_the_client_accepts_is_chosen(accepted: str, expected: str) -> None:
    """lz4 before zstd before gzip; none when the client takes none of them."""
    assert choose(accepted) == expected


@pytest.mark.parametrize("encoding", ["gzip", "lz4", "zstd"])
def test_answers_are_packed_as_they_say(encoding: str) -> None:
    """What is packed for an answer unpacks to the same."""
    assert decompress(compress(DATA, encoding), encoding, len(DATA)) == DATA


@pytest.mark.parametrize("encoding", ["gzip", "lz4", "zstd"])
def test_frames_that_follow_each_other_are_one_body(encoding: str) -> None:
    """Clients that pack block by block send several frames; none of them is dropped."""
    assert decompress(PACKED[encoding] * 2, encoding, 2 * len(DATA)) == DATA * 2
