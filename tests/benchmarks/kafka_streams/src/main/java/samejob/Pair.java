package samejob;

import static java.nio.charset.StandardCharsets.UTF_8;

/** The perps of two venues, and both directions between them. */
final class Pair {
    static final long NS_PER_S = 1_000_000_000;

    private static final long BINANCE_FEE = 500; // 5 and 5.5 bps, in 10^-6
    private static final long BYBIT_FEE = 550;

    private final SequencedBook binance = new SequencedBook();
    private final SequencedBook bybit = new SequencedBook();
    private final Direction[] directions;
    private long timeNs;
    private long endNs;

    Pair(String name) {
        byte[] key = name.getBytes(UTF_8);
        String head = "{\"pair\":\"" + name + "\",\"direction\":\"";
        directions = new Direction[] {
            new Direction(key, head + "binance>bybit\",", binance, bybit, BINANCE_FEE, BYBIT_FEE),
            new Direction(key, head + "bybit>binance\",", bybit, binance, BYBIT_FEE, BINANCE_FEE),
        };
    }

    /** One record. */
    void onDepth(DepthRecord depth, Results out) {
        if (depth.receivedNs > timeNs) {
            moveTo(depth.receivedNs, out);
        }
        if (!bookOf(depth.venue).take(depth)) {
            return;
        }
        boolean areValid = binance.isValid() && bybit.isValid();
        for (Direction direction : directions) {
            if (areValid) {
                direction.evaluate(out);
            } else {
                direction.end(out);
            }
        }
    }

    private void moveTo(long nowNs, Results out) {
        timeNs = nowNs;
        if (nowNs >= endNs) {
            for (Direction direction : directions) {
                direction.closeSecond(endNs, out);
            }
            endNs = (nowNs / NS_PER_S + 1) * NS_PER_S;
        }
    }

    private SequencedBook bookOf(String venue) {
        return switch (venue) {
            case "binance" -> binance;
            case "bybit" -> bybit;
            default -> throw new IllegalArgumentException("unknown venue " + venue);
        };
    }
}
