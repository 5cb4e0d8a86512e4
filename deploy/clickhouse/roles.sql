-- Who may do what in database `mts` (CLICKHOUSE_DATABASE), for a ClickHouse server; run it as an administrator:
--
--     clickhouse client --multiquery < deploy/clickhouse/roles.sql
--
-- It can be run again. mts_writer: the sink and `mts-stream migrate`. mts_reader: analysts and Grafana. The local
-- gateway has no roles; it holds its user mts_reader to the same bounds (mts_stream/local/gateway/policy.py).

CREATE ROLE IF NOT EXISTS mts_writer;
GRANT CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP TABLE, DROP VIEW, ALTER, SELECT, INSERT, OPTIMIZE, SHOW
    ON mts.* TO mts_writer;
GRANT SELECT ON system.tables TO mts_writer;
GRANT SELECT ON system.columns TO mts_writer;
GRANT SELECT ON system.databases TO mts_writer;

CREATE ROLE IF NOT EXISTS mts_reader;
GRANT SELECT, SHOW ON mts.* TO mts_reader;
GRANT SELECT ON system.parts TO mts_reader;

-- A reader asks and changes nothing, not even settings, but for the one bound that Grafana's plugin names with every
-- query: it may ask for less time, never for more. A runaway query ends here, and takes nothing from the inserts.
CREATE SETTINGS PROFILE IF NOT EXISTS mts_reader SETTINGS
    readonly = 1,
    max_execution_time = 30 MIN 1 MAX 30 CHANGEABLE_IN_READONLY,
    max_memory_usage = 1000000000,
    max_rows_to_read = 2000000000,
    max_result_rows = 1000000,
    max_result_bytes = 67108864,
    max_threads = 2,
    max_concurrent_queries_for_user = 8,
    priority = 10
    TO mts_reader;
