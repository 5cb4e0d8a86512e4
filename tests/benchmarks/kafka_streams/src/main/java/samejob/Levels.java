package samejob;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.util.Arrays;

/** Levels of one side of a record, in its order; used again for the next record. */
final class Levels {
    private static final int CAPACITY = 1024;

    long[] prices = new long[CAPACITY];
    long[] sizes = new long[CAPACITY];
    int count;

    /** Take over a JSON array of [price, size], both strings. */
    void read(JsonParser in) throws IOException {
        count = 0;
        expect(in, in.currentToken(), JsonToken.START_ARRAY);
        while (in.nextToken() == JsonToken.START_ARRAY) {
            long price = number(in, Exact.PRICE_DECIMALS);
            if (price == 0) {
                throw new IllegalArgumentException("a price of 0 at " + in.currentLocation());
            }
            add(price, number(in, Exact.SIZE_DECIMALS));
            expect(in, in.nextToken(), JsonToken.END_ARRAY);
        }
        expect(in, in.currentToken(), JsonToken.END_ARRAY);
    }

    private void add(long price, long size) {
        if (count == prices.length) {
            prices = Arrays.copyOf(prices, 2 * count);
            sizes = Arrays.copyOf(sizes, 2 * count);
        }
        prices[count] = price;
        sizes[count++] = size;
    }

    static long number(JsonParser in, int decimals) throws IOException {
        expect(in, in.nextToken(), JsonToken.VALUE_STRING);
        return Exact.parse(in.getTextCharacters(), in.getTextOffset(), in.getTextLength(), decimals);
    }

    static void expect(JsonParser in, JsonToken found, JsonToken expected) {
        if (found != expected) {
            throw new IllegalArgumentException(found + " instead of " + expected + " at " + in.currentLocation());
        }
    }
}
