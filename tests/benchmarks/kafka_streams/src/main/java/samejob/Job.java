package samejob;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.HashMap;
import java.util.Map;

/** The job of ../same_job/job.py, whose rules it follows to the last byte: raw records in, results out. */
final class Job {
    private final Map<String, Pair> pairs = new HashMap<>();
    private final DepthRecord depth = new DepthRecord();

    /** One record. */
    void onRecord(byte[] value, Results out) {
        try {
            depth.read(value);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        Pair pair = pairs.get(depth.pair);
        if (pair == null) {
            pair = new Pair(depth.pair);
            pairs.put(depth.pair, pair);
        }
        pair.onDepth(depth, out);
    }
}
