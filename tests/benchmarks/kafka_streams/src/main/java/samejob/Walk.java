package samejob;

import java.util.Arrays;

/** The walk through two book sides of DESIGN section 5, steps 1 and 2; what it came to stays in `bought` and `sold`. */
final class Walk {
    private static final long LOT = Exact.power(Exact.SIZE_DECIMALS) / 1000; // 0.001
    private static final long MAX_NOTIONAL = 50_000 * Exact.power(Exact.MONEY_DECIMALS);
    private static final int CAPACITY = 64;

    long bought;
    long sold;
    private long[] sizes = new long[CAPACITY];
    private long[] askPrices = new long[CAPACITY];
    private long[] bidPrices = new long[CAPACITY];
    private int count;

    /** Whether selling at `bid` what was bought at `ask` adds to net. */
    static boolean adds(long bid, long ask, long boughtFactor, long soldFactor) {
        return Math.multiplyExact(bid, soldFactor) > Math.multiplyExact(ask, boughtFactor);
    }

    /** Take both sides from the best outward while it pays, then whole lots of it. */
    void run(BookSide asks, BookSide bids, long boughtFactor, long soldFactor) {
        take(asks, bids, boughtFactor, soldFactor);
        floor();
        bought = sold = 0;
        for (int i = 0; i < count; i++) {
            bought = Math.addExact(bought, Math.multiplyExact(sizes[i], askPrices[i]));
            sold = Math.addExact(sold, Math.multiplyExact(sizes[i], bidPrices[i]));
        }
    }

    private void take(BookSide asks, BookSide bids, long boughtFactor, long soldFactor) {
        int nextAsk = 0;
        int nextBid = 0;
        long used = 0;
        long askLeft = 0;
        long bidLeft = 0;
        long ask = 0;
        long bid = 0;
        count = 0;
        while (true) {
            if (askLeft == 0) {
                if (nextAsk == asks.count()) {
                    return;
                }
                ask = asks.price(nextAsk);
                askLeft = asks.size(nextAsk++);
            }
            if (bidLeft == 0) {
                if (nextBid == bids.count()) {
                    return;
                }
                bid = bids.price(nextBid);
                bidLeft = bids.size(nextBid++);
            }
            if (!adds(bid, ask, boughtFactor, soldFactor)) {
                return;
            }
            long offered = Math.min(askLeft, bidLeft);
            long affordable = (MAX_NOTIONAL - used) / ask;
            affordable -= affordable % LOT;
            long size = Math.min(offered, affordable);
            add(size, ask, bid);
            used += size * ask; // at most MAX_NOTIONAL
            if (affordable <= offered) {
                return;
            }
            askLeft -= size;
            bidLeft -= size;
        }
    }

    private void add(long size, long ask, long bid) {
        if (count == sizes.length) {
            sizes = Arrays.copyOf(sizes, 2 * count);
            askPrices = Arrays.copyOf(askPrices, 2 * count);
            bidPrices = Arrays.copyOf(bidPrices, 2 * count);
        }
        sizes[count] = size;
        askPrices[count] = ask;
        bidPrices[count++] = bid;
    }

    /** What the floor to whole lots cuts off is taken from the last, worst fills. */
    private void floor() {
        long total = 0;
        for (int i = 0; i < count; i++) {
            total = Math.addExact(total, sizes[i]);
        }
        for (long surplus = total % LOT; surplus > 0; ) {
            long cut = Math.min(surplus, sizes[count - 1]);
            sizes[count - 1] -= cut;
            surplus -= cut;
            if (sizes[count - 1] == 0) {
                count--;
            }
        }
    }
}
