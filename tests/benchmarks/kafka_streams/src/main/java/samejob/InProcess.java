package samejob;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** The job alone, without Kafka, on the values of a log file of lines `key value`; results go to a file likewise. */
public final class InProcess {
    private InProcess() {}

    /** `log results [passes]`: the last pass is measured, those before it warm up. */
    public static void main(String[] arguments) throws IOException, InterruptedException {
        List<byte[]> values = valuesOf(Path.of(arguments[0]));
        int warmUps = arguments.length > 2 ? Integer.parseInt(arguments[2]) - 1 : 0;
        for (int pass = 0; pass < warmUps; pass++) {
            run(values);
        }
        Meter meter = new Meter(values.size());
        Job job = new Job();
        List<byte[][]> results = new ArrayList<>();
        for (byte[] value : values) {
            meter.saw();
            job.onRecord(value, (key, result) -> results.add(new byte[][] {key, result}));
        }
        meter.confirmed(values.size());
        write(Path.of(arguments[1]), results);
        System.out.println(meter.json(warmUps));
    }

    private static void run(List<byte[]> values) {
        Job job = new Job();
        for (byte[] value : values) {
            job.onRecord(value, (key, result) -> {});
        }
    }

    private static List<byte[]> valuesOf(Path log) throws IOException {
        byte[] all = Files.readAllBytes(log);
        List<byte[]> values = new ArrayList<>();
        for (int begin = 0, end; begin < all.length; begin = end + 1) {
            int blank = begin;
            while (all[blank] != ' ') {
                blank++;
            }
            for (end = blank; all[end] != '\n'; ) {
                end++;
            }
            values.add(Arrays.copyOfRange(all, blank + 1, end));
        }
        return values;
    }

    private static void write(Path path, List<byte[][]> results) throws IOException {
        try (OutputStream out = new BufferedOutputStream(Files.newOutputStream(path))) {
            for (byte[][] result : results) {
                out.write(result[0]);
                out.write(' ');
                out.write(result[1]);
                out.write('\n');
            }
        }
    }
}
