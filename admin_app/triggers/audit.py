"""The audit log, written by the database: functions and triggers for every table that carries the trait Audited."""

from collections.abc import Iterator, Sequence

from sqlalchemy import JSON, Column, Table

from admin_app.models import Audited, Base
from admin_app.settings import APP_ROLE
from admin_app.triggers.parts import KEY_CHANGED, NOBODY_ACTING, ROWS_BY_HASH, Function, Trigger, statement_triggers


def audited_tables() -> list[Table]:
    """Every mapped table, of the core and of loaded plugins, that carries the trait Audited."""
    tables = (mapper.local_table for mapper in Base.registry.mappers if issubclass(mapper.class_, Audited))
    return sorted((table for table in tables if isinstance(table, Table)), key=lambda table: table.name)


def functions() -> list[Function]:
    """What the triggers of the audit run."""
    return [
        _acting_user_id(),
        _refuse_key_change(),
        _refuse_truncate(),
        *(_audit_function(table) for table in audited_tables()),
    ]


def triggers() -> list[Trigger]:
    """Five triggers a table: three that record, one that guards its key, one that refuses to empty it unseen."""
    return [trigger for table in audited_tables() for trigger in _audit_triggers(table)]


def _audit_triggers(table: Table) -> Iterator[Trigger]:
    yield from statement_triggers(table.name, "t10_audit", f"audit_{table.name}()", ("insert", "update", "delete"))
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
    """One jsonb object of a row's audited values; nulls are left out, but not those inside a JSON value."""
    plain, whole = [], []
    for column in table.columns:
        name, value = column.name, f"{row}.{column.name}"
        if _kind(column) in {"secret", "derived"}:
            continue
        if isinstance(column.type, JSON):
            whole.append(f"CASE WHEN {value} IS NULL THEN '{{}}' ELSE jsonb_build_object('{name}', {value}) END")
            continue
        if digest_long and _kind(column) == "long":
            digest = f"encode(sha256(convert_to({value}, 'UTF8')), 'hex')"
            digest = f"jsonb_build_object('length', length({value}), 'sha256', {digest})"
            value = f"CASE WHEN {value} IS NOT NULL THEN {digest} END"
        plain.append(f"'{name}', {value}")
    chunks = [", ".join(plain[start : start + 45]) for start in range(0, len(plain), 45)]
    stripped = "jsonb_strip_nulls(" + " || ".join(f"jsonb_build_object({chunk})" for chunk in chunks) + ")"
    return " || ".join([stripped, *whole])


INSERT = (
    "INSERT INTO audit_logs (table_name, record_id, action, user_id, actor_kind, database_user, change_set_id,"
    " request_id, reason, changes)"
)
CONTEXT = "acting_user, kind, outsider, change_set, request, why"
"""What every entry of one statement says alike, as variables of the function."""


def _audit_function(table: Table) -> Function:
    """The audit of one table: one row per changed row, made by at most two statements however many rows there are."""
    compared = [column for column in table.columns if _kind(column) != "derived" and not column.primary_key]
    names = ", ".join(f"'{column.name}'" for column in compared)
    secret = ", ".join(f"'{column.name}'" for column in compared if _kind(column) == "secret")
    body = f"""
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
    IF current_setting('role') = '{APP_ROLE}'
      OR pg_has_role(session_user, '{APP_ROLE}', 'MEMBER') AND NOT pg_has_role(session_user, current_user, 'MEMBER')
    THEN
      {_unaudited(table, compared)}
      RAISE EXCEPTION 'nobody is acting' USING ERRCODE = '{NOBODY_ACTING}';
    END IF;
    outsider := session_user;
    kind := 'database';
  END IF;
  IF TG_OP = 'INSERT' THEN
    {INSERT}
    SELECT '{table.name}', {_record_id(table, "n")}, 'CREATE', {CONTEXT},
      jsonb_build_object('new', {_values(table, "n", digest_long=True)}) FROM new_rows n;
  ELSIF TG_OP = 'DELETE' THEN
    {INSERT}
    SELECT '{table.name}', {_record_id(table, "o")}, 'DELETE', {CONTEXT},
      jsonb_build_object('old', {_values(table, "o", digest_long=False)}) FROM old_rows o;
  ELSE{_update(table, compared)}
  END IF;
  RETURN NULL;
END"""
    return Function(f"audit_{table.name}()", "trigger", body, definer=True, settings=ROWS_BY_HASH)


def _keys(table: Table) -> str:
    return ", ".join(column.name for column in table.primary_key)


def _unaudited(table: Table, compared: Sequence[Column[object]]) -> str:
    """Let an update pass in which nobody acts, where nothing changes that is audited."""
    changed = " OR ".join(f"o.{column.name} IS DISTINCT FROM n.{column.name}" for column in compared) or "false"
    return f"""-- what is not audited, such as when a token was last used, needs nobody who answers for it
      IF TG_OP = 'UPDATE' THEN
        IF NOT EXISTS (SELECT FROM old_rows o JOIN new_rows n USING ({_keys(table)}) WHERE {changed}) THEN
          RETURN NULL;
        END IF;
      END IF;"""


def _update(table: Table, compared: Sequence[Column[object]]) -> str:
    """Ask first which columns differ anywhere, then read only those: most bulk changes touch one column."""
    if not compared:
        return """
    NULL;"""
    keys, record = _keys(table), _record_id(table, "n").replace("'", "''")
    differs = ", ".join(f"bool_or(o.{column.name} IS DISTINCT FROM n.{column.name})" for column in compared)
    return f"""
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
      '{INSERT}'
      ' SELECT %L, {record}, ''UPDATE'', $1, $2, $3, $4, $5, $6,'
      ' jsonb_build_object(''old'', %s, ''new'', %s) FROM old_rows o JOIN new_rows n USING ({keys}) WHERE %s',
      '{table.name}', array_to_string(olds, ' || '), array_to_string(news, ' || '), substr(condition, 5))
      USING {CONTEXT};"""


def _acting_user_id() -> Function:
    body = " SELECT nullif(current_setting('app.user_id', true), '')::bigint "
    return Function("acting_user_id()", "bigint", body, "sql STABLE")


def _refuse_key_change() -> Function:
    body = f"""
BEGIN
  RAISE EXCEPTION 'the primary key of % cannot be changed', TG_TABLE_NAME USING ERRCODE = '{KEY_CHANGED}';
END"""
    return Function("refuse_key_change()", "trigger", body)


def _refuse_truncate() -> Function:
    body = """
BEGIN
  RAISE EXCEPTION '% is audited and cannot be truncated; delete its rows instead', TG_TABLE_NAME;
END"""
    return Function("refuse_truncate()", "trigger", body)
