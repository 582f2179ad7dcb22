"""The database's roles. They belong to the server, not to the schema, so no revision makes or drops them."""

from sqlalchemy import Connection, text

from functions.adapters.database import OWNER

# hookline_owner owns the schema and cannot log in; hookline_app is every function but two and may touch rows
# only; hookline_maintain makes and drops partitions, so it is a member of the owner. Timeouts belong on the role:
# a pooled session must not be SET. 20 s is below the API's 29 s; a lock held longer than 5 s is a fault.
# Statements take milliseconds and are planned at every execution: compiling one would take tens of them.
ROLES = """
DO $$
BEGIN
  IF to_regrole('hookline_owner') IS NULL THEN
    CREATE ROLE hookline_owner NOLOGIN;
    EXECUTE format('GRANT hookline_owner TO %I', current_user);
  END IF;
  IF to_regrole('hookline_app') IS NULL THEN
    CREATE ROLE hookline_app LOGIN;
  END IF;
  IF to_regrole('hookline_maintain') IS NULL THEN
    CREATE ROLE hookline_maintain LOGIN;
    GRANT hookline_owner TO hookline_maintain;
  END IF;
  ALTER ROLE hookline_app SET statement_timeout = '20s';
  ALTER ROLE hookline_app SET lock_timeout = '5s';
  ALTER ROLE hookline_app SET idle_in_transaction_session_timeout = '30s';
  ALTER ROLE hookline_app SET timezone = 'UTC';
  ALTER ROLE hookline_app SET jit = off;
  ALTER ROLE hookline_maintain SET lock_timeout = '2s';
  ALTER ROLE hookline_maintain SET idle_in_transaction_session_timeout = '60s';
  ALTER ROLE hookline_maintain SET timezone = 'UTC';
  IF to_regrole('rds_iam') IS NOT NULL THEN
    GRANT rds_iam TO hookline_app, hookline_maintain;
  END IF;
END
$$
"""
# The owner measures the database (functions/maintain/gauges.py): what other sessions do, and which statements are
# slow where the server counts them, as RDS does. On a server where this user may not grant that, less is shown.
SEE_SESSIONS = "GRANT pg_monitor TO hookline_owner"
COUNT_STATEMENTS = """
IF position('pg_stat_statements' IN current_setting('shared_preload_libraries')) > 0 THEN
  CREATE EXTENSION IF NOT EXISTS pg_stat_statements SCHEMA webhook;
END IF
"""
IF_ALLOWED = """
DO $$ BEGIN {work}; EXCEPTION WHEN insufficient_privilege THEN RAISE NOTICE USING MESSAGE = SQLERRM; END $$
"""
MAY_MAKE_ROLES = "SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user"


def prepare(connection: Connection) -> None:
    """Make the roles and the schema, and go on as the owner.

    On a server where this user may not make roles, the schema is made by it and owned by it.
    """
    connection.execute(text("RESET ROLE"))
    if connection.execute(text(MAY_MAKE_ROLES)).scalar_one():
        connection.exec_driver_sql(ROLES)
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS webhook AUTHORIZATION {OWNER}"))
        for work in (SEE_SESSIONS, COUNT_STATEMENTS):
            connection.exec_driver_sql(IF_ALLOWED.format(work=work))
        connection.execute(text(f"SET ROLE {OWNER}"))
    else:
        connection.execute(text("CREATE SCHEMA IF NOT EXISTS webhook"))
