package samejob;

import java.util.Arrays;

/** One side of a book, sorted so that the best level is the last key: bids by price, asks by negative price. */
final class BookSide {
    private static final int CAPACITY = 1024;

    private final int sign;
    private long[] keys = new long[CAPACITY];
    private long[] sizes = new long[CAPACITY];
    private int count;

    BookSide(int sign) {
        this.sign = sign;
    }

    int count() {
        return count;
    }

    /** The price of the level so far behind the best one. */
    long price(int behind) {
        return keys[count - 1 - behind] * sign;
    }

    /** Its size. */
    long size(int behind) {
        return sizes[count - 1 - behind];
    }

    /** Take these levels for the whole side; a level of size 0 is none. */
    void replace(Levels levels) {
        count = 0;
        for (int i = 0; i < levels.count; i++) {
            if (levels.sizes[i] != 0) {
                set(levels.prices[i] * sign, levels.sizes[i]);
            }
        }
    }

    /** Set, replace or remove the levels that are not beyond `bound` (NONE: all); an unknown one is removed already. */
    void update(Levels levels, long bound) {
        for (int i = 0; i < levels.count; i++) {
            long key = levels.prices[i] * sign;
            if (bound != DepthRecord.NONE && key < bound * sign) {
                continue;
            }
            if (levels.sizes[i] == 0) {
                remove(key);
            } else {
                set(key, levels.sizes[i]);
            }
        }
    }

    /** Whether a snapshot holds just these levels. */
    boolean equals(Levels levels) {
        BookSide other = new BookSide(sign);
        other.replace(levels);
        return Arrays.equals(keys, 0, count, other.keys, 0, other.count)
                && Arrays.equals(sizes, 0, count, other.sizes, 0, other.count);
    }

    private void set(long key, long size) {
        int at = Arrays.binarySearch(keys, 0, count, key);
        if (at >= 0) {
            sizes[at] = size;
            return;
        }
        at = -at - 1;
        if (count == keys.length) {
            keys = Arrays.copyOf(keys, 2 * count);
            sizes = Arrays.copyOf(sizes, 2 * count);
        }
        System.arraycopy(keys, at, keys, at + 1, count - at);
        System.arraycopy(sizes, at, sizes, at + 1, count - at);
        keys[at] = key;
        sizes[at] = size;
        count++;
    }

    private void remove(long key) {
        int at = Arrays.binarySearch(keys, 0, count, key);
        if (at >= 0) {
            System.arraycopy(keys, at + 1, keys, at, count - at - 1);
            System.arraycopy(sizes, at + 1, sizes, at, count - at - 1);
            count--;
        }
    }
}
