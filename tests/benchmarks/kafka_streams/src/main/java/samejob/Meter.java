package samejob;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.Locale;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * Counts records and measures: CPU of the whole process (stream thread, client threads, JIT, GC) and wall time.
 *
 * <p>From the first record that is handed to the job until the broker has confirmed the results and the offsets of all.
 */
final class Meter {
    private static final long WAIT_S = 240;
    private static final double NS_PER_S = 1e9;
    private static final OperatingSystemMXBean PROCESS =
            (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

    private final long records;
    private final CountDownLatch confirmed = new CountDownLatch(1);
    private long seen;
    private long cpuNs;
    private long wallNs;

    Meter(long records) {
        this.records = records;
    }

    /** One more is about to be handled; true with the last of all. */
    boolean saw() {
        if (seen == 0) {
            cpuNs = PROCESS.getProcessCpuTime();
            wallNs = System.nanoTime();
        }
        return ++seen == records;
    }

    /** So many records' results, of all partitions, are confirmed and their offsets committed. */
    void confirmed(long count) {
        if (count == records && confirmed.getCount() > 0) {
            cpuNs = PROCESS.getProcessCpuTime() - cpuNs;
            wallNs = System.nanoTime() - wallNs;
            confirmed.countDown();
        }
    }

    /** Wait until all are confirmed. */
    void await() throws InterruptedException {
        if (!confirmed.await(WAIT_S, TimeUnit.SECONDS)) {
            throw new IllegalStateException(seen + " of " + records + " records were seen within " + WAIT_S + " s");
        }
    }

    /** The measurement as a line of JSON. */
    String json(int warmUps) {
        String form = "{\"records\": %d, \"cpu_s\": %.6f, \"wall_s\": %.6f, \"warm_ups\": %d, \"java\": \"%s\"}";
        return String.format(Locale.ROOT, form, seen, cpuNs / NS_PER_S, wallNs / NS_PER_S, warmUps, Runtime.version());
    }
}
