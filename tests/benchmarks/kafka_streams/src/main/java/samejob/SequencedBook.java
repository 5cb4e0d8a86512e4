package samejob;

/** A book that only moves by records that provably follow each other; the rules are those of domain/sequencing.py. */
final class SequencedBook {
    private enum State {
        EMPTY,
        VALID,
        INVALID
    }

    final BookSide bids = new BookSide(1);
    final BookSide asks = new BookSide(-1);
    private long lowestBid = DepthRecord.NONE;
    private long highestAsk = DepthRecord.NONE;
    private State state = State.EMPTY;
    private String conn = "";
    private long generation;
    private long sequence;
    private boolean isFresh; // no frame applied since the last keyframe or snapshot

    boolean isValid() {
        return state == State.VALID;
    }

    /** Apply what may be applied; false where it is old news and nothing has to be judged anew. */
    boolean take(DepthRecord depth) {
        boolean isSameConn = state != State.EMPTY && depth.conn.equals(conn);
        if (isSameConn && depth.generation < generation) {
            return false;
        }
        if (depth.replaces) {
            return replace(depth, isSameConn);
        }
        if (state == State.EMPTY) {
            return true;
        }
        if (!isSameConn) {
            state = State.INVALID;
        } else if (depth.generation > generation) {
            generation = depth.generation;
            state = State.INVALID;
        }
        return state != State.VALID || apply(depth);
    }

    private boolean replace(DepthRecord depth, boolean isSameConn) {
        boolean isSameStream = isSameConn && depth.generation == generation;
        if (depth.isKeyframe && isSameStream && state == State.VALID && sequence == depth.lastId) {
            if (bids.equals(depth.bids) && asks.equals(depth.asks)) {
                know(depth);
                return false;
            }
        }
        conn = depth.conn;
        generation = depth.generation;
        sequence = depth.lastId;
        state = State.VALID;
        isFresh = true;
        bids.replace(depth.bids);
        asks.replace(depth.asks);
        know(depth);
        look();
        return true;
    }

    private boolean apply(DepthRecord depth) {
        if (depth.lastId <= sequence) {
            return false;
        }
        if (!follows(depth)) {
            state = State.INVALID;
            return true;
        }
        bids.update(depth.bids, lowestBid);
        asks.update(depth.asks, highestAsk);
        sequence = depth.lastId;
        isFresh = false;
        look();
        return true;
    }

    /** Binance USD-M links each diff to the one before, and the first one straddles; Bybit's ids rise by one. */
    private boolean follows(DepthRecord depth) {
        long previous = depth.previousId;
        if (previous == DepthRecord.NONE) {
            return depth.lastId == sequence + 1;
        }
        return previous == sequence || (isFresh && previous <= sequence && sequence <= depth.lastId);
    }

    /** An exhausted or crossed book is not valid. */
    private void look() {
        if (bids.count() == 0 || asks.count() == 0 || bids.price(0) >= asks.price(0)) {
            state = State.INVALID;
        }
    }

    private void know(DepthRecord depth) {
        lowestBid = depth.lowestBid;
        highestAsk = depth.highestAsk;
    }
}
