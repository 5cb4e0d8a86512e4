// The official client, told what to do by lines of JSON on stdin; answers each with a line on stdout.
import { createInterface } from "node:readline";
import { createClient } from "@clickhouse/client";

const [url, username, password, database] = process.argv.slice(2);
const client = createClient({
  url, username, password, database,
  compression: { request: true, response: true },
  clickhouse_settings: { output_format_json_quote_64bit_integers: 1, output_format_json_quote_decimals: 1 },
});

async function done({ verb, sql, table, columns, rows, parameters, settings }) {
  if (verb === "write") {
    await client.insert({
      table, columns, values: rows, format: "JSONCompactEachRow", clickhouse_settings: settings,
    });
    return null;
  }
  const answer = await client.query({
    query: sql, format: "JSONCompactEachRow", query_params: parameters, clickhouse_settings: settings,
  });
  return await answer.json();
}

for await (const line of createInterface({ input: process.stdin })) {
  let said;
  try {
    said = { rows: await done(JSON.parse(line)) };
  } catch (error) {
    said = { code: Number(error.code) || 0, text: String(error.message) };
  }
  process.stdout.write(JSON.stringify(said) + "\n");
}
await client.close();
