package samejob;

import java.util.HashMap;
import java.util.Map;

/** What an engine is told: `--name=value`, the names of engines/running.py. */
record Options(String kafka, String topic, String results, String group, long records, int partitions, String log,
        String directory) {
    static Options of(String[] arguments) {
        Map<String, String> given = new HashMap<>();
        for (String argument : arguments) {
            int end = argument.indexOf('=');
            if (!argument.startsWith("--") || end < 0) {
                throw new IllegalArgumentException(argument + " is not --name=value");
            }
            given.put(argument.substring(2, end), argument.substring(end + 1));
        }
        return new Options(wanted(given, "kafka"), wanted(given, "topic"), wanted(given, "results"),
                wanted(given, "group"), Long.parseLong(wanted(given, "records")),
                Integer.parseInt(wanted(given, "partitions")), wanted(given, "log"), wanted(given, "directory"));
    }

    private static String wanted(Map<String, String> given, String name) {
        String value = given.get(name);
        if (value == null) {
            throw new IllegalArgumentException("--" + name + " is missing");
        }
        return value;
    }
}
