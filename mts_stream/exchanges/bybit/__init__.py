"""Bybit v5 spot and linear: `streams.py` is the socket and the log's frames, `rest.py` the lists.

Sources. BY: github bybit-exchange/docs (docs/v5), HEAD 2026-07-24, pages with the dates given. M: measured by others.

| endpoint | what of it | source |
|---|---|---|
| wss stream.bybit.com/v5/public/spot, /v5/public/linear | linear carries books and tickers; no mixing | BY |
| `orderbook.50.<S>` | every 20 ms; a snapshot first, then deltas | BY websocket/public/orderbook 2026-03-18 |
| `tickers.<S>` (linear) | funding; a snapshot, then what changed | BY websocket/public/ticker 2026-06-09 |
| api.bybit.com/v5/market/orderbook | ids of the 1000-level stream: for looking, not for joining | BY market/orderbook |
| the lists | rest.py | |

| limit | value | source |
|---|---|---|
| `args` of a request | 10 on spot, no limit on linear (we take 100) | BY ws/connect |
| characters of all `args` of a connection | 21,000 | BY ws/connect |
| connections | 500 new ones in 5 min per domain, 1000 per address and market | BY ws/connect |
| our ping | `{"op":"ping"}` every 20 s, else cut after about 10 min | BY ws/connect |
| its protocol pings | none | M 2026-09-22 |
| requests | 600 in 5 s per address, then 403 for 10 min | BY rate-limit |

| field | means | source |
|---|---|---|
| `type` | a snapshot replaces, a delta changes | BY 2026-03-18 |
| `data.b`, `data.a` | levels, absolute size, "0" deletes; an empty side did not change | BY 2026-03-18 |
| `data.u` | rises by one, in all of 5,763,983 deltas | M 2026-09-08 |
| `data.u` 1 | the service began anew: snapshot data, whatever `type` says | BY 2026-03-18 |
| `ts`, `cts`, `data.seq`, `cs` | push and engine time ms; cross sequences. Keys come in any order | BY |
| `fundingRate`, `nextFundingTime`, `fundingIntervalHour` | strings; "" or absent: unchanged | BY 2026-06-09 |
| `{"success":true,"op":"subscribe","req_id"}` | ack; spot says `ret_msg` "subscribe", linear "" | BY ws/connect |
| `ret_msg` "pong" with `op` "ping", or `op` "pong" | pong; the second form on options | BY ws/connect |
| `{"success":false,"ret_msg":"error:...,topic:..."}` | unknown symbol, lower case, wrong depth | M 2026-09-22 |
"""

from mts_stream.exchanges.bybit.streams import BybitPerp, BybitSpot, decode_depth, decode_funding
from mts_stream.exchanges.venue import Venue

VENUE = Venue("bybit", (BybitSpot(), BybitPerp()), decode_depth, decode_funding)

__all__ = ["VENUE", "BybitPerp", "BybitSpot", "decode_depth", "decode_funding"]
