"""What the database does by itself: the audit log, status events, derived columns, the words that search reads.

Tables come from migrations; the functions and triggers here are re-created at every `db upgrade` from the present
models, so that a new column or a new audited table needs no line of trigger code. `missing()` tells what differs.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import Column, Table, text
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_app.models import Audited, Base
from admin_app.settings import APP_ROLE

NOBODY_ACTING = "BD001"
"""The SQLSTATE with which the database refuses a change of the application that nobody answers for."""

KEY_CHANGED = "BD002"
"""The SQLSTATE with which the database refuses to change a primary key."""

_DEFINER = "SECURITY DEFINER SET search_path = public, pg_temp"


@dataclass(frozen=True)
class Function:
    """A function in the database: its signature, and the statement that (re-)creates it."""

    signature: str
    sql: str

    @property
    def fingerprint(self) -> str:
        """Kept as the function's comment, to tell whether the database has this very version."""
        return hashlib.sha256(self.sql.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Trigger:
    """A trigger of one table, and what follows `CREATE TRIGGER name`."""

    table: str
    name: str
    body: str

    @property
    def sql(self) -> str:
        return f"CREATE OR REPLACE TRIGGER {self.name} {self.body}"


def audited_tables() -> list[Table]:
    """Every mapped table, of the core and of loaded plugins, that carries the trait Audited."""
    tables = (mapper.local_table for mapper in Base.registry.mappers if issubclass(mapper.class_, Audited))
    return sorted((table for table in tables if isinstance(table, Table)), key=lambda table: table.name)


async def install(connection: AsyncConnection) -> None:
    """Create or replace every function and trigger. Needs the owner of the tables."""
    for function in functions():
        await connection.exec_driver_sql(function.sql)
        await connection.execute(text(f"COMMENT ON FUNCTION {function.signature} IS '{function.fingerprint}'"))
    for trigger in triggers():
        await connection.exec_driver_sql(trigger.sql)


async def missing(connection: AsyncConnection) -> list[str]:
    """What the database lacks or has in another version, as sentences; empty when all is in place."""
    found = {
        row.name: row.comment
        for row in await connection.execute(
            text(
                "SELECT p.proname AS name, obj_description(p.oid, 'pg_proc') AS comment"
                " FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace"
            )
        )
    }
    present = {
        (row.table, row.name)
        for row in await connection.execute(
            text(
                "SELECT c.relname AS table, t.tgname AS name FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
                " WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND c.relnamespace = 'public'::regnamespace"
            )
        )
    }
    problems = [
        f"The database's function {function.signature} is missing or outdated. Run `backdesk db upgrade`."
        for function in functions()
        if found.get(function.signature.split("(")[0]) != function.fingerprint
    ]
    problems += [
        f"Table {trigger.table} has no active trigger {trigger.name}, so changes would go unnoticed."
        " Run `backdesk db upgrade`."
        for trigger in triggers()
        if (trigger.table, trigger.name) not in present
    ]
    return problems


def functions() -> list[Function]:
    """All functions, in the order in which they can be created."""
    return [
        _acting_user_id(),
        _refuse_key_change(),
        _refuse_truncate(),
        *(_audit_function(table) for table in audited_tables()),
        _status_events(),
        _refresh_ticket_search(),
        _search_tickets(),
        _search_ticket(),
        _comments_changed(),
    ]


def triggers() -> list[Trigger]:
    """All triggers. They fire in the order of their names: audit first, then what derives from the change."""
    return [trigger for table in audited_tables() for trigger in _audit_triggers(table)] + [
        *_statement_triggers("tickets", "t20_status_events", "ticket_status_changed()", ("insert", "update")),
        *_statement_triggers("tickets", "t30_search", "search_tickets()", ("insert",)),
        Trigger(
            "tickets",
            "t30_search_update",
            "AFTER UPDATE OF title, description, ticket_number, external_id ON tickets FOR EACH ROW"
            " WHEN ((OLD.title, OLD.description, OLD.ticket_number, OLD.external_id) IS DISTINCT FROM"
            " (NEW.title, NEW.description, NEW.ticket_number, NEW.external_id)) EXECUTE FUNCTION search_ticket()",
        ),
        *_statement_triggers("comments", "t40_ticket", "comments_changed()", ("insert", "update", "delete")),
    ]


def _statement_triggers(table: str, name: str, function: str, events: Iterable[str]) -> Iterator[Trigger]:
    for event in events:
        rows = {
            "insert": "NEW TABLE AS new_rows",
            "update": "OLD TABLE AS old_rows NEW TABLE AS new_rows",
            "delete": "OLD TABLE AS old_rows",
        }[event]
        body = f"AFTER {event.upper()} ON {table} REFERENCING {rows} FOR EACH STATEMENT EXECUTE FUNCTION {function}"
        yield Trigger(table, f"{name}_{event}", body)


def _audit_triggers(table: Table) -> Iterator[Trigger]:
    yield from _statement_triggers(table.name, "t10_audit", f"audit_{table.name}()", ("insert", "update", "delete"))
    keys = [column.name for column in table.primary_key]
    old, new = (", ".join(f"{side}.{key}" for key in keys) for side in ("OLD", "NEW"))
    yield Trigger(
        table.name,
        "t00_key",
        f"BEFORE UPDATE OF {', '.join(keys)} ON {table.name} FOR EACH ROW"
        f" WHEN (({old}) IS DISTINCT FROM ({new})) EXECUTE FUNCTION refuse_key_change()",
    )
    yield Trigger(
        table.name,
        "t00_truncate",
        f"BEFORE TRUNCATE ON {table.name} FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate()",
    )


def _kind(column: Column[object]) -> str:
    return str(column.info.get("audit", "plain"))


def _record_id(table: Table, row: str) -> str:
    return " || ',' || ".join(f"{row}.{column.name}::text" for column in table.primary_key)


def _values(table: Table, row: str, *, digest_long: bool) -> str:
    """One jsonb object of a row's audited values; nulls are left out."""
    pairs = []
    for column in table.columns:
        value = f"{row}.{column.name}"
        if _kind(column) in {"secret", "derived"}:
            continue
        if digest_long and _kind(column) == "long":
            digest = f"encode(sha256(convert_to({value}, 'UTF8')), 'hex')"
            value = f"jsonb_build_object('length', length({value}), 'sha256', {digest})"
        pairs.append(f"'{column.name}', {value}")
    chunks = [", ".join(pairs[start : start + 45]) for start in range(0, len(pairs), 45)]
    return "jsonb_strip_nulls(" + " || ".join(f"jsonb_build_object({chunk})" for chunk in chunks) + ")"


def _audit_function(table: Table) -> Function:
    """The audit of one table: one row per changed row, made by at most two statements however many rows there are.

    An update first asks which columns differ anywhere, then reads only those: most bulk changes touch one column.
    """
    compared = [column for column in table.columns if _kind(column) != "derived" and not column.primary_key]
    keys = ", ".join(column.name for column in table.primary_key)
    names = ", ".join(f"'{column.name}'" for column in compared)
    differs = ", ".join(f"bool_or(o.{column.name} IS DISTINCT FROM n.{column.name})" for column in compared)
    secret = ", ".join(f"'{column.name}'" for column in compared if _kind(column) == "secret")
    update = (
        f"""
    SELECT ARRAY[{differs}] INTO differs FROM old_rows o JOIN new_rows n USING ({keys});
    FOR i IN 1 .. array_length(names, 1) LOOP
      CONTINUE WHEN differs[i] IS NOT TRUE;
      many := many + 1;
      condition := condition || format(' OR o.%1$I IS DISTINCT FROM n.%1$I', names[i]);
      olds := olds || CASE WHEN names[i] = ANY (secret) THEN format('jsonb_build_object(%L, ''(secret)'')', names[i])
                           ELSE format('jsonb_build_object(%1$L, o.%1$I)', names[i]) END;
      news := news || CASE WHEN names[i] = ANY (secret) THEN format('jsonb_build_object(%L, ''(secret)'')', names[i])
                           ELSE format('jsonb_build_object(%1$L, n.%1$I)', names[i]) END;
      touched := touched || names[i];
    END LOOP;
    IF many = 0 THEN RETURN NULL; END IF;
    IF many > 1 THEN
      FOR i IN 1 .. many LOOP
        olds[i] := format('CASE WHEN o.%1$I IS DISTINCT FROM n.%1$I THEN %2$s ELSE ''{{}}'' END', touched[i], olds[i]);
        news[i] := format('CASE WHEN o.%1$I IS DISTINCT FROM n.%1$I THEN %2$s ELSE ''{{}}'' END', touched[i], news[i]);
      END LOOP;
    END IF;
    EXECUTE format(
      'INSERT INTO audit_logs (table_name, record_id, action, user_id, actor_kind, database_user, change_set_id,'
      ' request_id, reason, changes) SELECT %L, {_record_id(table, "n").replace("'", "''")}, ''UPDATE'', $1, $2, $3,'
      ' $4, $5, $6,'
      ' jsonb_build_object(''old'', %s, ''new'', %s) FROM old_rows o JOIN new_rows n USING ({keys}) WHERE %s',
      '{table.name}', array_to_string(olds, ' || '), array_to_string(news, ' || '), substr(condition, 5))
      USING acting_user, kind, outsider, change_set, request, why;"""
        if compared
        else """
    NULL;"""
    )
    insert = (
        "INSERT INTO audit_logs (table_name, record_id, action, user_id, actor_kind, database_user, change_set_id,"
        " request_id, reason, changes)"
    )
    context = "acting_user, kind, outsider, change_set, request, why"
    sql = f"""
CREATE OR REPLACE FUNCTION audit_{table.name}() RETURNS trigger LANGUAGE plpgsql {_DEFINER} AS $body$
DECLARE
  acting_user bigint := acting_user_id();
  change_set bigint := nullif(current_setting('app.change_set_id', true), '')::bigint;
  request text := nullif(current_setting('app.request_id', true), '');
  why text := nullif(current_setting('app.reason', true), '');
  kind text := nullif(current_setting('app.actor_kind', true), '');
  outsider text;
  names text[] := ARRAY[{names}]::text[];
  secret text[] := ARRAY[{secret}]::text[];
  differs boolean[]; touched text[] := '{{}}'; olds text[] := '{{}}'; news text[] := '{{}}';
  condition text := ''; many integer := 0;
BEGIN
  IF change_set IS NULL THEN
    IF coalesce(nullif(current_setting('role'), 'none'), session_user) = '{APP_ROLE}' THEN
      RAISE EXCEPTION 'nobody is acting' USING ERRCODE = '{NOBODY_ACTING}';
    END IF;
    outsider := session_user;
    kind := 'database';
  END IF;
  IF TG_OP = 'INSERT' THEN
    {insert}
    SELECT '{table.name}', {_record_id(table, "n")}, 'CREATE', {context},
      jsonb_build_object('new', {_values(table, "n", digest_long=True)}) FROM new_rows n;
  ELSIF TG_OP = 'DELETE' THEN
    {insert}
    SELECT '{table.name}', {_record_id(table, "o")}, 'DELETE', {context},
      jsonb_build_object('old', {_values(table, "o", digest_long=False)}) FROM old_rows o;
  ELSE{update}
  END IF;
  RETURN NULL;
END $body$"""
    return Function(f"audit_{table.name}()", sql)


def _acting_user_id() -> Function:
    sql = """
CREATE OR REPLACE FUNCTION acting_user_id() RETURNS bigint LANGUAGE sql STABLE AS $body$
  SELECT nullif(current_setting('app.user_id', true), '')::bigint
$body$"""
    return Function("acting_user_id()", sql)


def _refuse_key_change() -> Function:
    sql = f"""
CREATE OR REPLACE FUNCTION refuse_key_change() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  RAISE EXCEPTION 'the primary key of % cannot be changed', TG_TABLE_NAME USING ERRCODE = '{KEY_CHANGED}';
END $body$"""
    return Function("refuse_key_change()", sql)


def _refuse_truncate() -> Function:
    sql = """
CREATE OR REPLACE FUNCTION refuse_truncate() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  RAISE EXCEPTION '% is audited and cannot be truncated; delete its rows instead', TG_TABLE_NAME;
END $body$"""
    return Function("refuse_truncate()", sql)


def _status_events() -> Function:
    """Status events carry the time the ticket itself gives for the change, so that imported history is true."""
    sql = f"""
CREATE OR REPLACE FUNCTION ticket_status_changed() RETURNS trigger LANGUAGE plpgsql {_DEFINER} AS $body$
DECLARE
  actor bigint := acting_user_id();
  change_set bigint := nullif(current_setting('app.change_set_id', true), '')::bigint;
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO ticket_status_events (ticket_id, from_status, to_status, at, actor_id, change_set_id)
    SELECT n.id, e.from_status, e.to_status, e.at, actor, change_set
    FROM new_rows n CROSS JOIN LATERAL (VALUES
      (1, NULL, 'open', n.created_at, true),
      (2, 'open', n.status, n.created_at, n.status IN ('in_progress', 'waiting_on_customer')),
      (3, 'open', 'resolved', n.resolved_at, n.resolved_at IS NOT NULL),
      (4, 'resolved', 'closed', n.closed_at, n.closed_at IS NOT NULL)
    ) AS e (step, from_status, to_status, at, happened)
    WHERE e.happened ORDER BY n.id, e.step;
  ELSE
    INSERT INTO ticket_status_events (ticket_id, from_status, to_status, at, actor_id, change_set_id)
    SELECT id, o.status, n.status,
      CASE n.status WHEN 'resolved' THEN n.resolved_at WHEN 'closed' THEN n.closed_at ELSE clock_timestamp() END,
      actor, change_set
    FROM old_rows o JOIN new_rows n USING (id) WHERE o.status IS DISTINCT FROM n.status;
  END IF;
  RETURN NULL;
END $body$"""
    return Function("ticket_status_changed()", sql)


def _refresh_ticket_search() -> Function:
    """A document is cut to 60,000 characters of description and of comments: PostgreSQL's limit is 1 MB of words."""
    sql = f"""
CREATE OR REPLACE FUNCTION refresh_ticket_search(ids bigint[]) RETURNS void LANGUAGE sql {_DEFINER} AS $body$
  INSERT INTO ticket_search (ticket_id, document)
  SELECT t.id,
    setweight(to_tsvector('simple', t.ticket_number || ' ' || coalesce(t.external_id, '')), 'A')
    || setweight(to_tsvector('english', t.title), 'A')
    || setweight(to_tsvector('english', left(t.description, 60000)), 'B')
    || setweight(to_tsvector('english', left(coalesce(c.words, ''), 60000)), 'C')
  FROM tickets t LEFT JOIN (
    SELECT ticket_id, string_agg(left(content, 60000), ' ' ORDER BY created_at DESC, id DESC) AS words
    FROM comments WHERE ticket_id = ANY (ids) AND NOT is_internal GROUP BY ticket_id
  ) c ON c.ticket_id = t.id
  WHERE t.id = ANY (ids)
  ON CONFLICT (ticket_id) DO UPDATE SET document = excluded.document
$body$"""
    return Function("refresh_ticket_search(bigint[])", sql)


def _search_tickets() -> Function:
    sql = f"""
CREATE OR REPLACE FUNCTION search_tickets() RETURNS trigger LANGUAGE plpgsql {_DEFINER} AS $body$
BEGIN
  PERFORM refresh_ticket_search((SELECT array_agg(id) FROM new_rows));
  RETURN NULL;
END $body$"""
    return Function("search_tickets()", sql)


def _search_ticket() -> Function:
    sql = f"""
CREATE OR REPLACE FUNCTION search_ticket() RETURNS trigger LANGUAGE plpgsql {_DEFINER} AS $body$
BEGIN
  PERFORM refresh_ticket_search(ARRAY[NEW.id]);
  RETURN NULL;
END $body$"""
    return Function("search_ticket()", sql)


def _comments_changed() -> Function:
    """A comment makes a first response when it is public and by staff who is not the requester."""
    sql = f"""
CREATE OR REPLACE FUNCTION comments_changed() RETURNS trigger LANGUAGE plpgsql {_DEFINER} AS $body$
DECLARE
  public_tickets bigint[];
BEGIN
  IF TG_OP = 'INSERT' THEN
    SELECT array_agg(DISTINCT ticket_id) INTO public_tickets FROM new_rows WHERE NOT is_internal;
    UPDATE tickets t SET
      first_response_at = least(t.first_response_at, c.first_response),
      last_staff_reply_at = greatest(t.last_staff_reply_at, c.by_staff),
      last_customer_reply_at = greatest(t.last_customer_reply_at, c.by_customer)
    FROM (
      SELECT n.ticket_id,
        min(n.created_at) FILTER (WHERE staff AND n.created_at >= k.created_at) AS first_response,
        max(n.created_at) FILTER (WHERE staff) AS by_staff,
        max(n.created_at) FILTER (WHERE NOT staff) AS by_customer
      FROM new_rows n JOIN tickets k ON k.id = n.ticket_id JOIN users u ON u.id = n.author_id
      CROSS JOIN LATERAL (SELECT u.is_staff AND n.author_id <> k.creator_id AS staff) s
      WHERE NOT n.is_internal GROUP BY n.ticket_id
    ) c WHERE t.id = c.ticket_id;
  ELSIF TG_OP = 'UPDATE' THEN
    SELECT array_agg(DISTINCT n.ticket_id) INTO public_tickets FROM old_rows o JOIN new_rows n USING (id)
    WHERE (o.content, o.is_internal) IS DISTINCT FROM (n.content, n.is_internal);
  ELSE
    SELECT array_agg(DISTINCT ticket_id) INTO public_tickets FROM old_rows WHERE NOT is_internal;
  END IF;
  IF public_tickets IS NOT NULL THEN PERFORM refresh_ticket_search(public_tickets); END IF;
  RETURN NULL;
END $body$"""
    return Function("comments_changed()", sql)
