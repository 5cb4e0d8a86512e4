"""Binance spot and USD-M futures: `streams.py` is the socket and the log's frames, `rest.py` the lists.

Sources. BS: github binance/binance-spot-api-docs (web-socket-streams.md, rest-api.md), HEAD 2026-07-21. BSDK: github
binance/binance-connector-python, derivatives_trading_usds_futures, HEAD 2026-08-21. BD: developers.binance.com USD-M
(Connect, Diff-Book-Depth, How-to-manage-a-local-order-book), notice of the split 2026-03-05. M: measured by others.

| endpoint (spot; USD-M) | what of it | source |
|---|---|---|
| wss data-stream.binance.vision/stream | combined stream, `{"stream","data"}` | BS |
| wss fstream.binance.com/public/stream | books; split since 2026-04-23 | BD 2026-04-02 |
| wss fstream.binance.com/market/stream | markPrice, acknowledged and never sent on other paths | BD; M 2026-07-30 |
| `<s>@depth@100ms`; `<s>@depth@0ms` | books; 0 ms is served and not documented, median gap 30 ms | BS; M 2026-09-15 |
| `<s>@depth20@100ms` (USD-M) | the best 20 levels as of `u`, keys and ids of a diff: seeds a book | M 2026-09-15 |
| `<s>@markPrice@1s` (USD-M) | funding | BSDK |
| /api/v3/depth; /fapi/v1/depth, limit 1000 | `lastUpdateId`, `bids`, `asks`; weight 50; 20 | BS; BSDK |
| the lists | rest.py | |

| limit | spot | USD-M | source |
|---|---|---|---|
| messages to the venue a second, pings and pongs too | 5 | 10 | BS; BD |
| streams of a connection | 1024 | 1024 | BS; BD |
| attempts in 5 min and address | 300 | not published, we take 100 | BS |
| age of a connection | 24 h, `serverShutdown` before it | 24 h, no notice | BS 2026-05-08; BD |
| its protocol pings, answered by the websockets library | 20 s, pong in 60 s | 3 min, pong in 10 min | BS; BD |
| weight a minute and address | 6000 | 2400, shared with COIN-M | BS; BSDK 2026-06-30 |

| field | means | source |
|---|---|---|
| `E`, `U`, `u`, `s` | event time ms; first and last update id; symbol | BS |
| `b`, `a` | changed levels, absolute size, 0 deletes | BS |
| `pu` (USD-M) | `u` of the event before: the ids are not contiguous | BD; all 6,550 events of a capture of 2024 |
| `st` (USD-M) | 1 USD-M, 2 COIN-M, which is dropped and counted | BSDK 2026-06-30 |
| `T`, `r` of markPriceUpdate | next funding time; rate. In depthUpdate `T` is the engine's time | BSDK |
| `{"result":null,"id"}` | ack; proves nothing, unknown streams get the same | BS; M 2026-07-30 |
| `{"code","msg","id"}`, `{"error":{},"id"}` | refusal | BS |
"""

from mts_stream.exchanges.binance.streams import BinancePerp, BinanceSpot, decode_depth, decode_funding
from mts_stream.exchanges.venue import Venue

VENUE = Venue("binance", (BinanceSpot(), BinancePerp()), decode_depth, decode_funding)

__all__ = ["VENUE", "BinancePerp", "BinanceSpot", "decode_depth", "decode_funding"]
