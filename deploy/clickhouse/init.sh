#!/bin/sh
# Run once by the image of the ClickHouse server, on an empty data directory: the roles, and the user of Grafana.
set -eu
administrate() { clickhouse client --user "$CLICKHOUSE_USER" --password "$CLICKHOUSE_PASSWORD" "$@"; }

administrate --multiquery < /etc/mts/roles.sql
hash=$(printf %s "$GRAFANA_PASSWORD" | sha256sum | cut -d ' ' -f 1)
administrate --query "CREATE USER IF NOT EXISTS grafana IDENTIFIED WITH sha256_hash BY '$hash'"
administrate --query "GRANT mts_reader TO grafana"
