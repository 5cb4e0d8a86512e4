package samejob;

import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.admin.NewTopic;

/**
 * One turn of the engine `kafka_streams` of tests/benchmarks/same_job.
 *
 * <p>Before the measured pass the same process reads the same log a few times into a topic of its own, so that what is
 * measured is compiled code and not the JIT compiler at work: the engines in Python have nothing like it to pay.
 */
public final class Main {
    private static final int WARM_UPS = 5; // where it is fastest; README.md beside pom.xml has the curve

    private Main() {}

    /** Options as all engines get them; the measurement is the last line on stdout. */
    public static void main(String[] arguments) throws Exception {
        Options options = Options.of(arguments);
        int warmUps = Integer.getInteger("samejob.warm_ups", WARM_UPS);
        String scrap = options.results() + ".warm-up";
        makeTopic(options, scrap);
        for (int number = 0; number < warmUps; number++) {
            Streams.run(options, options.group() + ".warm-up-" + number, scrap, new Meter(options.records()));
        }
        System.gc(); // what warming up left behind is not the measured pass's to clear
        Meter meter = new Meter(options.records());
        Streams.run(options, options.group(), options.results(), meter);
        System.out.println(meter.json(warmUps));
    }

    private static void makeTopic(Options options, String name) throws ExecutionException, InterruptedException {
        try (Admin admin = Admin.create(Map.of(AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, options.kafka()))) {
            admin.createTopics(List.of(new NewTopic(name, options.partitions(), (short) 1))).all().get();
        }
    }
}
