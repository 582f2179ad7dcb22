"""Sizes, rows and bloat of every table; partitions are counted to their table, the largest is named."""

from typing import Any

from sqlalchemy import Connection, text

from functions.domain.figures.reading import rows
from functions.statements import named

# Rows are those of the statistics, which inserts and deletes keep up to date; after a crash these begin at none,
# and then the last analyze's count.
TABLES = named(
    "figures.tables",
    text("""
WITH relations AS MATERIALIZED (
  SELECT CAST(c.relname AS text) AS name, CAST(coalesce(p.relname, c.relname) AS text) AS parent,
    p.oid IS NOT NULL AS is_partition,
    pg_table_size(c.oid) AS heap_and_toast,
    coalesce(pg_total_relation_size(nullif(c.reltoastrelid, 0)), 0) AS toast,
    pg_indexes_size(c.oid) AS indexes,
    coalesce(nullif(pg_stat_get_live_tuples(c.oid), 0), CAST(greatest(c.reltuples, 0) AS bigint)) AS rows,
    pg_stat_get_dead_tuples(c.oid) AS dead,
    greatest(pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid)) AS vacuumed_at,
    greatest(pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid)) AS analyzed_at
  FROM pg_class c
  LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
  LEFT JOIN pg_class p ON p.oid = i.inhparent
  WHERE c.relnamespace = CAST('webhook' AS regnamespace) AND c.relkind = 'r'
), sized AS (
  SELECT *, heap_and_toast + indexes AS total FROM relations WHERE heap_and_toast IS NOT NULL
)
SELECT parent AS name, count(*) FILTER (WHERE is_partition) AS partitions,
  CAST(sum(rows) AS bigint) AS rows, CAST(sum(dead) AS bigint) AS dead_rows,
  CAST(sum(heap_and_toast - toast) AS bigint) AS heap_bytes, CAST(sum(indexes) AS bigint) AS index_bytes,
  CAST(sum(toast) AS bigint) AS toast_bytes, CAST(sum(total) AS bigint) AS total_bytes,
  (array_agg(name ORDER BY total DESC))[1] AS largest_name, max(total) AS largest_bytes,
  max(rows) AS largest_rows, max(vacuumed_at) AS vacuumed_at, max(analyzed_at) AS analyzed_at
FROM sized GROUP BY parent ORDER BY sum(total) DESC, parent
"""),
)

# How many pages the rows and index entries of the last vacuum or analyze would fill, by the widths of their
# columns in the statistics, against the pages that they took: the estimate that check_postgres and pgwatch make,
# too. pgstattuple would read every page that was changed lately, which is most of what a busy table has.
# A page is 8192 bytes with 24 of header, a row has a header of 23, a bit a column where one is null and a pointer
# of 4; an index entry has a header of 8, its page 16 more, and B-trees fill a page to nine tenths and need one
# page in fifty for their upper levels. Rows and entries are aligned to 8. What was never analyzed is left out.
BLOAT = named(
    "figures.bloat",
    text("""
WITH relations AS MATERIALIZED (
  SELECT c.oid, c.relname, CAST(coalesce(p.relname, c.relname) AS text) AS parent, c.reltuples, c.relpages,
    coalesce(CAST(substring(array_to_string(c.reloptions, ',') FROM 'fillfactor=([0-9]+)') AS integer), 100)
      / 100.0 AS fill
  FROM pg_class c
  LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
  LEFT JOIN pg_class p ON p.oid = i.inhparent
  WHERE c.relnamespace = CAST('webhook' AS regnamespace) AND c.relkind = 'r'
    AND c.reltuples >= 0 AND c.relpages > 0
), widths AS MATERIALIZED (
  SELECT tablename, attname, null_frac, avg_width * (1 - null_frac) AS width
  FROM pg_stats WHERE schemaname = 'webhook'
), heaps AS (
  SELECT r.parent, r.relpages, r.reltuples / greatest(1, floor(8168 * r.fill
      / (4 + 8 * ceil((23 + CASE WHEN max(w.null_frac) > 0 THEN ceil(count(*) / 8.0) ELSE 0 END) / 8)
         + 8 * ceil(sum(w.width) / 8)))) AS needed
  FROM relations r
  JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN widths w ON w.tablename = r.relname AND w.attname = a.attname
  GROUP BY r.oid, r.parent, r.relpages, r.reltuples, r.fill
  HAVING count(*) = count(w.width)
), indexes AS (
  SELECT r.parent, i.relpages,
    2 + 1.02 * i.reltuples / floor(8152 * 0.9 / (4 + 8 * ceil((8 + sum(w.width)) / 8))) AS needed
  FROM relations r
  JOIN pg_index x ON x.indrelid = r.oid
  JOIN pg_class i ON i.oid = x.indexrelid AND i.relpages > 0 AND i.reltuples >= 0
  JOIN pg_am m ON m.oid = i.relam AND m.amname = 'btree'
  JOIN pg_attribute k ON k.attrelid = i.oid
  LEFT JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = x.indkey[k.attnum - 1]
  LEFT JOIN widths w ON w.attname = coalesce(a.attname, k.attname)
    AND w.tablename = CASE WHEN a.attnum IS NULL THEN i.relname ELSE r.relname END
  GROUP BY i.oid, r.parent, i.relpages, i.reltuples
  HAVING count(*) = count(w.width)
), pages AS (
  SELECT parent, relpages AS heap, greatest(0, relpages - ceil(needed)) AS heap_bloat, 0 AS index, 0 AS index_bloat
  FROM heaps
  UNION ALL
  SELECT parent, 0, 0, relpages, greatest(0, relpages - ceil(needed)) FROM indexes
)
SELECT parent AS name, CAST(8192 * sum(heap_bloat) AS bigint) AS heap_bloat_bytes,
  CAST(8192 * sum(index_bloat) AS bigint) AS index_bloat_bytes,
  CAST(100 * sum(heap_bloat + index_bloat) / sum(heap + index) AS double precision) AS bloat_percent
FROM pages GROUP BY parent
"""),
)
NO_ESTIMATE = {"heap_bloat_bytes": None, "index_bloat_bytes": None, "bloat_percent": None}


def sizes(connection: Connection) -> list[dict[str, Any]]:
    """Every table of the schema, the largest first."""
    return rows(connection, TABLES)


def bloat(connection: Connection) -> dict[str, dict[str, Any]]:
    """What is estimated of each table that was analyzed, by its name."""
    return {str(one.pop("name")): _rounded(one) for one in rows(connection, BLOAT)}


def _rounded(one: dict[str, Any]) -> dict[str, Any]:
    return {**one, "bloat_percent": round(one["bloat_percent"], 1)}
