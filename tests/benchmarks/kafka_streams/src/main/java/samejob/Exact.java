package samejob;

/**
 * Decimal numbers as longs, never rounded but where it says so.
 *
 * <p>What the log's instruments are quoted in fits with room: prices to 4 decimals, sizes to 4, fees and slippage to 6,
 * so that money has 8 decimals and money after fees 14. A number that does not fit ends the program, it is never cut.
 */
final class Exact {
    static final int PRICE_DECIMALS = 4;
    static final int SIZE_DECIMALS = 4;
    static final int FRACTION_DECIMALS = 6;
    static final int MONEY_DECIMALS = PRICE_DECIMALS + SIZE_DECIMALS;
    static final int NET_DECIMALS = MONEY_DECIMALS + FRACTION_DECIMALS;
    static final long FRACTION = power(FRACTION_DECIMALS);

    private static final int DIGITS_MAX = 18; // what a long holds whatever the digits

    private Exact() {}

    static long power(int exponent) {
        long power = 1;
        for (int i = 0; i < exponent; i++) {
            power = Math.multiplyExact(power, 10L);
        }
        return power;
    }

    /** The digits and the point of a number times 10^decimals. */
    static long parse(char[] text, int from, int length, int decimals) {
        long value = 0;
        int left = decimals;
        int digits = 0;
        boolean isFraction = false;
        for (int at = from; at < from + length; at++) {
            int digit = text[at] - '0';
            if (digit == '.' - '0' && !isFraction) {
                isFraction = true;
            } else if (digit < 0 || digit > 9) {
                throw noNumber(text, from, length);
            } else if (!isFraction || left > 0) {
                value = value * 10 + digit;
                digits++;
                left -= isFraction ? 1 : 0;
            } else if (digit != 0) {
                throw noNumber(text, from, length);
            }
        }
        for (; left > 0; left--) {
            value *= 10;
            digits++;
        }
        if (length == 0 || digits > DIGITS_MAX) {
            throw noNumber(text, from, length);
        }
        return value;
    }

    private static NumberFormatException noNumber(char[] text, int from, int length) {
        return new NumberFormatException("'" + new String(text, from, length) + "' is no number that fits");
    }

    /** The quotient to the nearest integer, ties to the even one; the denominator is positive. */
    static long roundHalfEven(long numerator, long denominator) {
        long quotient = Math.floorDiv(numerator, denominator);
        long twice = 2 * (numerator - quotient * denominator);
        return twice > denominator || (twice == denominator && (quotient & 1) == 1) ? quotient + 1 : quotient;
    }

    /** value / 10^decimals without an exponent, trailing zeros or a negative zero. */
    static String plain(long value, int decimals) {
        StringBuilder text = new StringBuilder(24).append(Math.abs(value));
        while (text.length() <= decimals) {
            text.insert(0, '0');
        }
        int point = text.length() - decimals;
        int end = text.length();
        while (end > point && text.charAt(end - 1) == '0') {
            end--;
        }
        text.setLength(end);
        if (end > point) {
            text.insert(point, '.');
        }
        return value < 0 ? text.insert(0, '-').toString() : text.toString();
    }
}
