package samejob;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;

/**
 * One record of the raw log: the envelope, and the depth frame of Binance USD-M or Bybit linear inside it.
 *
 * <p>There is one of it, which every record is read into: nothing is made per record but a few short strings.
 */
final class DepthRecord {
    static final long NONE = -1; // of ids and prices, which are never negative

    private static final JsonFactory JSON = new JsonFactory();

    final Levels bids = new Levels();
    final Levels asks = new Levels();
    String venue;
    String symbol;
    String pair;
    String conn;
    long generation;
    long number;
    long receivedNs;
    boolean isKeyframe;
    boolean replaces;
    long lastId;
    long previousId;
    long lowestBid;
    long highestAsk;
    private long version;
    private String market;
    private String channel;
    private String kind;
    private String type;

    /** Take over a record's value. */
    void read(byte[] value) throws IOException {
        venue = market = channel = kind = symbol = pair = conn = type = "";
        version = generation = number = receivedNs = lastId = previousId = lowestBid = highestAsk = NONE;
        bids.count = asks.count = 0;
        try (JsonParser in = JSON.createParser(value)) {
            Levels.expect(in, in.nextToken(), JsonToken.START_OBJECT);
            readEnvelope(in);
        }
        check();
        isKeyframe = kind.equals("keyframe");
        replaces = venue.equals("binance") ? isKeyframe : type.equals("snapshot");
    }

    /** What the envelope's reader of the product checks too. */
    private void check() {
        boolean isEnvelope = version == 1 && market.equals("perp") && channel.equals("depth") && !pair.isEmpty()
                && generation >= 0 && number >= 0 && receivedNs >= 0;
        boolean isKind = kind.equals("frame") || kind.equals("keyframe");
        boolean isFrame = switch (venue) {
            case "binance" -> kind.equals("keyframe") || previousId >= 0;
            case "bybit" -> type.equals("snapshot") || type.equals("delta");
            default -> false;
        };
        if (!isEnvelope || !isKind || !isFrame || lastId < 0) {
            throw new IllegalArgumentException(
                    "not a depth record of a perp: " + String.join("/", venue, market, symbol, conn) + "/" + number);
        }
    }

    private void readEnvelope(JsonParser in) throws IOException {
        for (String name = in.nextFieldName(); name != null; name = in.nextFieldName()) {
            in.nextToken();
            switch (name) {
                case "v" -> version = in.getLongValue();
                case "venue" -> venue = in.getText();
                case "market" -> market = in.getText();
                case "channel" -> channel = in.getText();
                case "kind" -> kind = in.getText();
                case "symbol" -> symbol = in.getText();
                case "pair" -> pair = in.getText();
                case "conn" -> conn = in.getText();
                case "gen" -> generation = in.getLongValue();
                case "seq" -> number = in.getLongValue();
                case "received_ns" -> receivedNs = in.getLongValue();
                case "range" -> readRange(in);
                case "frame" -> readFrame(in);
                default -> in.skipChildren();
            }
        }
    }

    private void readRange(JsonParser in) throws IOException {
        if (in.currentToken() == JsonToken.START_ARRAY) {
            lowestBid = Levels.number(in, Exact.PRICE_DECIMALS);
            highestAsk = Levels.number(in, Exact.PRICE_DECIMALS);
            Levels.expect(in, in.nextToken(), JsonToken.END_ARRAY);
        }
    }

    /** Both venues' frames: their names do not clash. */
    private void readFrame(JsonParser in) throws IOException {
        Levels.expect(in, in.currentToken(), JsonToken.START_OBJECT);
        for (String name = in.nextFieldName(); name != null; name = in.nextFieldName()) {
            in.nextToken();
            switch (name) {
                case "b", "bids" -> bids.read(in);
                case "a", "asks" -> asks.read(in);
                case "u", "lastUpdateId" -> lastId = in.getLongValue();
                case "pu" -> previousId = in.getLongValue();
                case "type" -> type = in.getText();
                case "data" -> readFrame(in);
                default -> in.skipChildren();
            }
        }
    }
}
