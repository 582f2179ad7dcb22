"""Rows as the lines of an archive's files, rendered by Postgres: pages of them, and what a range adds up to.

A line is `row_to_json` of all columns in their order, with times in UTC. `table` is always that of a partition, in
the schema `webhook`, attached or not: it is named in statements, which no parameter can do.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, TextClause, text

from functions.domain.archives.files import Line
from functions.statements import named

FIRST = "00000000-0000-0000-0000-000000000000"  # below every key
LAST = "ffffffff-ffff-ffff-ffff-ffffffffffff"
PAGE_ROWS = 2_000
PAGE_BYTES = 8 << 20  # of lines: an event's data may have 256 KiB, and the function 512 MB

# Lines are compared by their hashes, so they must not depend on who asks.
UTC = named("archive.utc", text("SET LOCAL timezone = 'UTC'"))
COLUMNS = named(
    "archive.columns",
    text("""
SELECT a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, pg_get_expr(d.adbin, d.adrelid)
FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = to_regclass(:table) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""),
)
RANGE = "SELECT {columns} FROM webhook.{table} WHERE id > CAST(:after AS uuid) AND id <= CAST(:upto AS uuid)"
RENDERED = "SELECT x.id AS key, CAST(row_to_json(x) AS text) AS line FROM ({rows}) x"
PAGE = """
SELECT CAST(key AS text), line, hashtextextended(line, 0) FROM (
  SELECT key, line, sum(octet_length(line)) OVER (ORDER BY key) - octet_length(line) AS bytes_before
  FROM ({rendered}) rendered
) counted WHERE bytes_before < CAST(:bytes AS bigint) ORDER BY key
"""
SUMMARY = "SELECT count(*), coalesce(sum(hashtextextended(line, 0)), 0) FROM ({rendered}) rendered"
COUNT = "SELECT count(*) FROM webhook.{table} WHERE id > CAST(:after AS uuid) AND id <= CAST(:upto AS uuid)"
KEYS = """
SELECT CAST(id AS text) FROM webhook.{table} WHERE id > CAST(:after AS uuid) AND id <= CAST(:upto AS uuid)
ORDER BY id LIMIT CAST(:limit AS integer)
"""
SAME = """
SELECT CAST(key AS text) FROM ({rendered}) rendered
JOIN json_each_text(CAST(:hashes AS json)) AS archived (id, hash) ON CAST(archived.id AS uuid) = key
WHERE encode(sha256(convert_to(line, 'UTF8')), 'hex') = hash
"""
NAMED = "SELECT {columns} FROM webhook.{table} WHERE id = ANY (CAST(:ids AS uuid[]))"
# Lines back to rows: columns that a line has not get their defaults; what the table has not is left out.
RECORDS = """
SELECT {values} FROM json_array_elements(CAST(:lines AS json)) AS archived (line)
CROSS JOIN LATERAL json_populate_record(CAST(ROW({defaults}) AS webhook.{table}), archived.line) AS r
"""
AS_NOW = """
SELECT CAST(key AS text), line, hashtextextended(line, 0) FROM ({rendered}) rendered ORDER BY key
"""
INSERT = "INSERT INTO webhook.{table} ({columns}) {records} ON CONFLICT (id) DO NOTHING"
# What came from a source, beside what came since: only rows whose source is there, and that are told nowhere else.
PUT_BACK = """
INSERT INTO webhook.{table} ({columns}) SELECT {columns} FROM ({records}) b
WHERE EXISTS (SELECT FROM webhook.sources s WHERE s.id = b.source_id AND s.project_id = b.project_id)
ON CONFLICT DO NOTHING
"""
# The only column that may hold JSON's null beside SQL's, which look the same in a line; a constraint tells them
# apart: a payload is absent while it is not expunged.
JSON_NULL = "CASE WHEN r.data IS NULL AND r.expunged_at IS NULL THEN CAST('null' AS jsonb) ELSE r.data END"


@dataclass(frozen=True)
class Column:
    name: str
    type: str
    nullable: bool
    default: str | None  # an SQL expression


@dataclass(frozen=True)
class Summary:
    rows: int
    digest: int  # sum of the lines' hashes


def columns(connection: Connection, table: str) -> list[Column]:
    found = connection.execute(COLUMNS, {"table": f"webhook.{table}"})
    return [Column(*row) for row in found]


def lines(connection: Connection, table: str, after: str = FIRST, upto: str = LAST) -> Iterator[Line]:
    """The rows with keys in (after, upto], in their order. A transaction for each page, and none between them."""
    limit = PAGE_ROWS
    with connection.begin():
        statement = _page(columns(connection, table), table)
    while after < upto:
        with connection.begin():
            connection.execute(UTC)
            bounds = {"after": after, "upto": upto, "limit": limit, "bytes": PAGE_BYTES}
            page = [Line(*row) for row in connection.execute(statement, bounds)]
        yield from page
        if not page:
            return
        after = page[-1].id
        limit = min(2 * len(page), PAGE_ROWS)  # where rows are large, Postgres need not render those that follow


def summary(
    connection: Connection, table: str, after: str, upto: str, only: Sequence[str] | None = None
) -> Summary:
    """What the rows with keys in (after, upto] add up to, rendered with all columns or `only` these."""
    rows = _rows(RANGE, only or [one.name for one in columns(connection, table)], table)
    connection.execute(UTC)
    statement = named("archive.summary", text(SUMMARY.format(rendered=RENDERED.format(rows=rows))))
    count, digest = connection.execute(statement, {"after": after, "upto": upto}).one()
    return Summary(count, int(digest))


def count(connection: Connection, table: str, after: str, upto: str) -> int:
    statement = named("archive.count", text(COUNT.format(table=table)))
    return int(connection.execute(statement, {"after": after, "upto": upto}).scalar_one())


def keys(connection: Connection, table: str, after: str, upto: str, limit: int) -> list[str]:
    """The first `limit` keys in (after, upto]."""
    statement = named("archive.keys", text(KEYS.format(table=table)))
    bounds = {"after": after, "upto": upto, "limit": limit}
    return [str(id) for id in connection.execute(statement, bounds).scalars()]


def unchanged(connection: Connection, table: str, archived: Sequence[tuple[str, str]]) -> list[str]:
    """Which of these rows (key, line) are in the table, just as their line says."""
    rows = _rows(NAMED, [one.name for one in columns(connection, table)], table)
    statement = named("archive.unchanged", text(SAME.format(rendered=RENDERED.format(rows=rows))))
    connection.execute(UTC)
    hashes = {id: hashlib.sha256(line.encode()).hexdigest() for id, line in archived}
    given = {"ids": list(hashes), "hashes": json.dumps(hashes)}
    return [str(id) for id in connection.execute(statement, given).scalars()]


def as_now(connection: Connection, table: str, archived: Sequence[str]) -> list[Line]:
    """Archived lines of any age, rendered as the table would render such rows now."""
    records = _records(connection, table)
    statement = named("archive.as_now", text(AS_NOW.format(rendered=RENDERED.format(rows=records))))
    connection.execute(UTC)
    return [Line(*row) for row in connection.execute(statement, {"lines": _array(archived)})]


def insert(connection: Connection, table: str, archived: Sequence[str]) -> int:
    """Put archived rows into the table, but for those whose key is there; how many that were."""
    names = _listed([one.name for one in columns(connection, table)])
    insert = INSERT.format(table=table, columns=names, records=_records(connection, table))
    connection.execute(UTC)
    return connection.execute(named("archive.insert", text(insert)), {"lines": _array(archived)}).rowcount


def put_back(connection: Connection, table: str, archived: Sequence[str]) -> int:
    """Put archived rows of a table of senders' back, but for those that are there or whose source is not."""
    names = _listed([one.name for one in columns(connection, table)])
    statement = PUT_BACK.format(table=table, columns=names, records=_records(connection, table))
    connection.execute(UTC)
    return connection.execute(named("archive.put_back", text(statement)), {"lines": _array(archived)}).rowcount


def named_lines(connection: Connection, table: str, ids: Sequence[str]) -> list[Line]:
    """The rows with these keys, in their order: the first of them, where they are too many bytes for a page."""
    rows = _rows(NAMED, [one.name for one in columns(connection, table)], table)
    statement = named("archive.named", text(PAGE.format(rendered=RENDERED.format(rows=rows))))
    connection.execute(UTC)
    return [Line(*row) for row in connection.execute(statement, {"ids": list(ids), "bytes": PAGE_BYTES})]


def _page(of: Sequence[Column], table: str) -> TextClause:
    rows = _rows(RANGE, [one.name for one in of], table) + " ORDER BY id LIMIT CAST(:limit AS integer)"
    return named("archive.page", text(PAGE.format(rendered=RENDERED.format(rows=rows))))


def _rows(template: str, names: Sequence[str], table: str) -> str:
    return template.format(columns=_listed(names), table=table)


def _records(connection: Connection, table: str) -> str:
    of = columns(connection, table)
    values = [f'r."{one.name}"' for one in of]
    if table.startswith("webhook_events"):
        values = [f"{JSON_NULL} AS data" if value == 'r."data"' else value for value in values]
    defaults = ", ".join((one.default or "NULL").replace(":", r"\:") for one in of)
    return RECORDS.format(values=", ".join(values), defaults=defaults, table=table)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _array(archived: Sequence[str]) -> str:
    """One parameter for all lines; Postgres keeps each as it is written."""
    return f"[{','.join(archived)}]"
