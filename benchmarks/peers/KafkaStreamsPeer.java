import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.ObjectWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.Repartitioned;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * Kafka Streams: one thread, RocksDB with a changelog, exactly_once_v2, a commit every 100 ms (its default).
 *
 * Enters: the environment that `programs` sets; BENCH_LAYOUT=scattered asks for a repartition topic.
 * Leaves: changes of stage in `<group>-changes`; on standard output `begun` when 5 % of the events are read and
 * `ended` when 95 % are done, each with how many.
 */
public final class KafkaStreamsPeer {
    record Event(String customer_id, String type, String occurred_at) {}

    record State(int count, String stage, String last_seen) {}

    record Change(String customer, String from, String to, int count, String last_seen) {}

    private static final ObjectMapper MAPPER =
            new ObjectMapper().configure(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES, false);
    private static final ObjectReader EVENTS = MAPPER.readerFor(Event.class);
    private static final Map<String, String> ENVIRONMENT = System.getenv();
    private static final long EXPECTED = Long.parseLong(ENVIRONMENT.get("BENCH_EVENTS"));
    private static final long FIRST = EXPECTED * 5 / 100;
    private static final long LAST = EXPECTED * 95 / 100;

    // Both are touched by the one stream thread only.
    private static long read = 0;
    private static long done = 0;

    public static void main(String[] arguments) {
        Properties properties = new Properties();
        String group = ENVIRONMENT.get("BENCH_GROUP");
        properties.put(StreamsConfig.APPLICATION_ID_CONFIG, group);
        properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, ENVIRONMENT.get("BENCH_BROKER"));
        properties.put(StreamsConfig.STATE_DIR_CONFIG, ENVIRONMENT.get("BENCH_FOLDER"));
        properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        properties.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        properties.put(StreamsConfig.producerPrefix("compression.type"), ENVIRONMENT.get("BENCH_COMPRESSION"));
        if (ENVIRONMENT.containsKey("BENCH_COMMIT_MS")) {
            properties.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, ENVIRONMENT.get("BENCH_COMMIT_MS"));
        }

        StreamsBuilder builder = new StreamsBuilder();
        var store = Stores.keyValueStoreBuilder(
                Stores.persistentKeyValueStore("customers"), Serdes.String(), json(State.class));
        builder.addStateStore("off".equals(ENVIRONMENT.get("BENCH_CACHE")) ? store : store.withCachingEnabled());
        KStream<String, byte[]> events = builder.stream(
                ENVIRONMENT.get("BENCH_SOURCE"), Consumed.with(Serdes.String(), Serdes.ByteArray()));
        boolean scattered = "scattered".equals(ENVIRONMENT.get("BENCH_LAYOUT"));
        if (scattered) {
            int partitions = Integer.parseInt(ENVIRONMENT.get("BENCH_PARTITIONS"));
            events = events
                    .selectKey((key, value) -> {
                        countRead();
                        return event(value).customer_id();
                    })
                    .repartition(Repartitioned.with(Serdes.String(), Serdes.ByteArray())
                            .withName("by-customer")
                            .withNumberOfPartitions(partitions));
        }
        events.process(() -> new Follow(!scattered), "customers")
                .to(group + "-changes", Produced.with(Serdes.String(), json(Change.class)));

        KafkaStreams streams = new KafkaStreams(builder.build(), properties);
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
    }

    /** Keeps a customer's state and tells each change of stage. */
    private static final class Follow implements Processor<String, byte[], String, Change> {
        private final boolean first;
        private ProcessorContext<String, Change> context;
        private KeyValueStore<String, State> customers;

        Follow(boolean first) {
            this.first = first;
        }

        @Override
        public void init(ProcessorContext<String, Change> given) {
            context = given;
            customers = given.getStateStore("customers");
        }

        @Override
        public void process(Record<String, byte[]> record) {
            if (first) {
                countRead();
            }
            Event event = event(record.value());
            String customer = event.customer_id();
            State state = customers.get(customer);
            if (state == null) {
                state = new State(0, "prospect", "");
            }
            String stage = state.stage();
            if (event.type().equals("order_completed")) {
                stage = stage.equals("prospect") ? "customer" : "repeat";
            }
            String seen = event.occurred_at().compareTo(state.last_seen()) > 0
                    ? event.occurred_at()
                    : state.last_seen();
            State now = new State(state.count() + 1, stage, seen);
            customers.put(customer, now);
            if (!stage.equals(state.stage())) {
                Change change = new Change(customer, state.stage(), stage, now.count(), seen);
                context.forward(new Record<>(customer, change, record.timestamp()));
            }
            if (++done == LAST) {
                System.out.println("ended " + done);
            }
        }
    }

    private static void countRead() {
        if (++read == FIRST) {
            System.out.println("begun " + read);
        }
    }

    private static Event event(byte[] value) {
        try {
            return EVENTS.readValue(value);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private static <T> Serde<T> json(Class<T> type) {
        ObjectReader reader = MAPPER.readerFor(type);
        ObjectWriter writer = MAPPER.writerFor(type);
        return Serdes.serdeFrom(
                (topic, value) -> {
                    try {
                        return value == null ? null : writer.writeValueAsBytes(value);
                    } catch (IOException error) {
                        throw new UncheckedIOException(error);
                    }
                },
                (topic, bytes) -> {
                    try {
                        return bytes == null ? null : reader.readValue(bytes);
                    } catch (IOException error) {
                        throw new UncheckedIOException(error);
                    }
                });
    }
}
