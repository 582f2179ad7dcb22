"""What a database has, by its own catalog: everything that a revision may make, in lines that can be compared."""

import pg8000.native

# Partitions are the maintenance's; what Alembic keeps for itself is nobody's business.
OURS = """
  c.relnamespace = 'webhook'::regnamespace AND NOT c.relispartition AND c.relname NOT LIKE 'alembic_version%'
"""
QUERIES = {
    "table": f"""
        SELECT c.relname, array_to_string(c.reloptions, ','), pg_get_partkeydef(c.oid),
          pg_get_userbyid(c.relowner), array_to_string(ARRAY (SELECT unnest(c.relacl)::text ORDER BY 1), ',')
        FROM pg_class c WHERE c.relkind IN ('r', 'p') AND {OURS}""",
    "default partition": """
        SELECT c.relname, array_to_string(c.reloptions, ',') FROM pg_class c
        WHERE c.relnamespace = 'webhook'::regnamespace AND c.relispartition AND c.relkind = 'r'
          AND c.relname LIKE '%_default'""",
    "column": f"""
        SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
          pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum)
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relkind IN ('r', 'p') AND {OURS}""",
    "constraint": f"""
        SELECT c.relname, k.conname, pg_get_constraintdef(k.oid), k.convalidated, obj_description(k.oid)
        FROM pg_class c JOIN pg_constraint k ON k.conrelid = c.oid WHERE k.contype <> 'n' AND {OURS}""",
    "index": f"""
        SELECT pg_get_indexdef(i.indexrelid), i.indisvalid, obj_description(i.indexrelid)
        FROM pg_class c JOIN pg_index i ON i.indrelid = c.oid WHERE {OURS}""",
    "comment": f"""
        SELECT c.relname, obj_description(c.oid) FROM pg_class c WHERE c.relkind IN ('r', 'p') AND {OURS}""",
    "function": """
        SELECT pg_get_functiondef(p.oid), obj_description(p.oid) FROM pg_proc p
        WHERE p.pronamespace = 'webhook'::regnamespace""",
}


def catalog(sql: pg8000.native.Connection, *kinds: str) -> set[tuple[object, ...]]:
    """Lines of these kinds, of all unless told."""
    return {(kind, *row) for kind in kinds or QUERIES for row in sql.run(QUERIES[kind])}


def tables(sql: pg8000.native.Connection) -> list[str]:
    return sorted(str(line[1]) for line in catalog(sql, "comment"))
