package samejob;

import static java.nio.charset.StandardCharsets.UTF_8;

/** Buy on one leg, sell on the other; what comes of it is sent as JSON. */
final class Direction {
    private static final long SLIPPAGE = 100; // 1 bp, in 10^-6
    private static final long MIN_NET = Exact.power(Exact.NET_DECIMALS); // 1 USD
    private static final long EDGE_UNITS = 100_000_000; // 10^-4 bps
    private static final int EDGE_DECIMALS = 4;
    private static final long NOTHING_SEEN = Long.MIN_VALUE;

    private final BookSide asks;
    private final BookSide bids;
    private final long buyFee;
    private final long sellFee;
    private final long boughtFactor; // what one unit costs, and what is left of one sold, both ways' fees paid
    private final long soldFactor;
    private final Walk walk = new Walk();
    private final byte[] key;
    private final String head;
    private boolean isOpen;
    private long sentNet;
    private long evaluations;
    private long signals;
    private long high = NOTHING_SEEN;

    /** Fees in 10^-6. */
    Direction(byte[] key, String head, SequencedBook buy, SequencedBook sell, long buyFee, long sellFee) {
        this.key = key;
        this.head = head;
        asks = buy.asks;
        bids = sell.bids;
        this.buyFee = buyFee;
        this.sellFee = sellFee;
        boughtFactor = Exact.FRACTION + 2 * buyFee + SLIPPAGE;
        soldFactor = Exact.FRACTION - 2 * sellFee - SLIPPAGE;
    }

    /** Both books are valid. */
    void evaluate(Results out) {
        long ask = asks.price(0);
        long bid = bids.price(0);
        evaluations++;
        high = Math.max(high, Exact.roundHalfEven(Math.multiplyExact(bid - ask, EDGE_UNITS), ask));
        if (Walk.adds(bid, ask, boughtFactor, soldFactor)) {
            long net = net();
            if (net >= MIN_NET) {
                onSignal(net, out);
                return;
            }
        }
        end(out);
    }

    private long net() {
        walk.run(asks, bids, boughtFactor, soldFactor);
        long gross = Math.multiplyExact(walk.sold - walk.bought, Exact.FRACTION);
        long fees = Math.addExact(Math.multiplyExact(walk.bought, buyFee), Math.multiplyExact(walk.sold, sellFee));
        long slippage = Math.multiplyExact(Math.addExact(walk.bought, walk.sold), SLIPPAGE);
        return Math.subtractExact(Math.subtractExact(gross, Math.multiplyExact(fees, 2L)), slippage);
    }

    private void onSignal(long net, Results out) {
        signals++;
        if (isOpen && Math.multiplyExact(Math.abs(net - sentNet), 10L) < sentNet) {
            return;
        }
        send(out, "\"event\":\"" + (isOpen ? "updated" : "opened") + "\",\"net_usd\":\""
                + Exact.plain(net, Exact.NET_DECIMALS) + "\"}");
        isOpen = true;
        sentNet = net;
    }

    /** There is no signal. */
    void end(Results out) {
        if (isOpen) {
            isOpen = false;
            send(out, "\"event\":\"closed\"}");
        }
    }

    /** The row of the second that ends then. */
    void closeSecond(long endNs, Results out) {
        if (evaluations > 0) {
            send(out, "\"second_ns\":" + (endNs - Pair.NS_PER_S) + ",\"evaluations\":" + evaluations + ",\"signals\":"
                    + signals + ",\"high_bps\":\"" + Exact.plain(high, EDGE_DECIMALS) + "\"}");
            evaluations = signals = 0;
            high = NOTHING_SEEN;
        }
    }

    private void send(Results out, String rest) {
        out.send(key, (head + rest).getBytes(UTF_8));
    }
}
