import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.StatementSet;
import org.apache.flink.table.api.TableEnvironment;

/**
 * Runs a file of SQL in a local cluster in this process, several times, and prints how long each job took.
 *
 * Usage: Runner.java FILE RUNS. Statements end with ";" at the end of a line. "SET key = value" goes into the configuration; all INSERTs are
 * one job; "{run}" stands for the number of the run. It prints a line "run N took M ms" for each: from handing the job over until it has
 * finished.
 */
public class Runner {
    public static void main(String[] args) throws Exception {
        String script = Files.readString(Path.of(args[0]));
        for (int run = 0; run < Integer.parseInt(args[1]); run++) {
            Configuration configuration = new Configuration();
            List<String> tables = new ArrayList<>();
            List<String> inserts = new ArrayList<>();
            for (String part : script.replace("{run}", Integer.toString(run)).split(";\\s*\\n")) {
                String statement = part.strip();
                if (statement.startsWith("SET ")) {
                    String[] sides = statement.substring(4).split("=", 2);
                    configuration.setString(sides[0].strip(), sides[1].strip());
                } else if (statement.startsWith("INSERT ")) {
                    inserts.add(statement);
                } else if (!statement.isEmpty()) {
                    tables.add(statement);
                }
            }
            TableEnvironment environment =
                    TableEnvironment.create(EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(configuration).build());
            tables.forEach(environment::executeSql);
            StatementSet job = environment.createStatementSet();
            inserts.forEach(job::addInsertSql);
            long begin = System.nanoTime();
            job.execute().await();
            System.out.println("run " + run + " took " + (System.nanoTime() - begin) / 1_000_000 + " ms");
        }
    }
}
