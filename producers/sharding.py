"""How the symbols of a route are shared out to connections, so that each keeps within the venue's limits."""

from collections.abc import Iterator, Mapping

from mts_stream.exchanges.venue import SocketRoute, VenueMarket

TOPIC_EXTRA_CHARACTERS = 3  # quotes and a comma: nobody says whether the venue counts them


def shards(
    market: VenueMarket, route: SocketRoute, symbols: Mapping[str, str], symbols_max: int
) -> Iterator[dict[str, str]]:
    """Parts of `symbols` (symbol to pair), in their order, of at most `symbols_max` and what the venue allows."""
    limits = market.socket_limits
    part: dict[str, str] = {}
    topics = characters = 0
    for symbol, pair in symbols.items():
        names = market.topics(route, symbol)
        length = sum(len(name) + TOPIC_EXTRA_CHARACTERS for name in names)
        too_many = topics + len(names) > (limits.topics_per_connection or float("inf"))
        too_long = characters + length > (limits.characters_per_connection or float("inf"))
        if part and (len(part) == symbols_max or too_many or too_long):
            yield part
            part, topics, characters = {}, 0, 0
        part[symbol] = pair
        topics, characters = topics + len(names), characters + length
    if part:
        yield part
