package samejob;

import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerInterceptor;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;

/** The job as a processor of Kafka Streams; its state is in memory, one job per partition. */
final class Streams {
    private static final String METER = "samejob.meter";

    private Streams() {}

    /** Read the whole topic and send what comes of it, under a consumer group of its own. */
    static void run(Options options, String group, String results, Meter meter) throws InterruptedException {
        try (KafkaStreams streams = new KafkaStreams(topology(options.topic(), results, meter),
                properties(options, group, meter))) {
            streams.setUncaughtExceptionHandler(error -> {
                error.printStackTrace();
                Runtime.getRuntime().halt(1);
                return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
            });
            streams.start();
            meter.await();
        }
    }

    private static Topology topology(String topic, String results, Meter meter) {
        return new Topology()
                .addSource("raw", topic)
                .addProcessor("job", () -> new JobProcessor(meter), "raw")
                .addSink("results", results, "job");
    }

    /** What an engine in Python says too: acks, lz4, 5 ms of linger, the wait for a fetch; the rest is the default. */
    private static Properties properties(Options options, String group, Meter meter) {
        Properties properties = new Properties();
        properties.put(StreamsConfig.APPLICATION_ID_CONFIG, group);
        properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, options.kafka());
        properties.put(StreamsConfig.STATE_DIR_CONFIG, options.directory());
        properties.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.ByteArraySerde.class);
        properties.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.ByteArraySerde.class);
        properties.put(StreamsConfig.producerPrefix(ProducerConfig.ACKS_CONFIG), "all");
        properties.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), "lz4");
        properties.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), 5);
        properties.put(StreamsConfig.mainConsumerPrefix(ConsumerConfig.FETCH_MAX_WAIT_MS_CONFIG), 10);
        properties.put(StreamsConfig.mainConsumerPrefix(ConsumerConfig.INTERCEPTOR_CLASSES_CONFIG),
                Committed.class.getName());
        properties.put(StreamsConfig.mainConsumerPrefix(METER), meter);
        return properties;
    }

    private static final class JobProcessor implements Processor<byte[], byte[], byte[], byte[]> {
        private final Job job = new Job();
        private final Meter meter;
        private ProcessorContext<byte[], byte[]> context;

        JobProcessor(Meter meter) {
            this.meter = meter;
        }

        @Override
        public void init(ProcessorContext<byte[], byte[]> context) {
            this.context = context;
        }

        @Override
        public void process(Record<byte[], byte[]> record) {
            boolean isLast = meter.saw(); // one stream thread: nobody else counts
            job.onRecord(record.value(),
                    (key, value) -> context.forward(new Record<>(key, value, record.timestamp())));
            if (isLast) {
                context.commit();
            }
        }
    }

    /** Tells the meter what is committed; Kafka Streams commits after the broker has confirmed the results. */
    public static final class Committed implements ConsumerInterceptor<byte[], byte[]> {
        private final Map<TopicPartition, Long> offsets = new HashMap<>();
        private Meter meter;

        @Override
        public void configure(Map<String, ?> configs) {
            meter = (Meter) configs.get(METER);
        }

        @Override
        public ConsumerRecords<byte[], byte[]> onConsume(ConsumerRecords<byte[], byte[]> records) {
            return records;
        }

        @Override
        public void onCommit(Map<TopicPartition, OffsetAndMetadata> committed) {
            committed.forEach((partition, next) -> offsets.put(partition, next.offset()));
            meter.confirmed(offsets.values().stream().mapToLong(Long::longValue).sum());
        }

        @Override
        public void close() {}
    }
}
