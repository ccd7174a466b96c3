"""Digests: when a change set ends, one message in the outbox for each member of staff whose tickets it was about.

Of a ticket that changed hands, those who had it before and have it now are told; of any other, whoever has it now.
Never told are whoever made the change, customers, and people who are no longer active. Only what a person did is told:
what the system does by itself stays silent, and so does an import.
"""

from admin_app.triggers.parts import Function, Trigger

SETTINGS = ("work_mem=65536", "plan_cache_mode=force_generic_plan", "enable_seqscan=off")
"""Memory in kB, enough to keep a change set of some 200,000 rows from the disk, and one plan for them all.

To plan it anew takes as long as to tell the digests of 200 tickets. Whatever the planner expects of change sets that it
does not know, after one large import for instance, it never reads the whole audit log for a small one.
"""


def functions() -> list[Function]:
    """What the trigger of change sets runs."""
    return [_write_digests()]


def triggers() -> list[Trigger]:
    """One, for the moment in which a change set is over, however it ended."""
    return [
        Trigger(
            "change_sets",
            "t50_digests",
            "AFTER UPDATE OF state ON change_sets FOR EACH ROW"
            " WHEN (OLD.state IN ('queued', 'running') AND NEW.state IN ('completed', 'failed', 'cancelled')"
            " AND NEW.actor_kind = 'user' AND NEW.action NOT LIKE 'import.%') EXECUTE FUNCTION write_digests()",
        )
    ]


def _write_digests() -> Function:
    """One statement over the change set's audit rows; nothing else is read but who has a ticket that did not move.

    A digest counts each ticket once, under that which matters most of all that happened to it, and names ten of each.
    """
    body = f"""
BEGIN
  INSERT INTO outbox (kind, recipient_id, change_set_id, payload)
  WITH entries AS MATERIALIZED ({_ENTRIES}
  ), several AS MATERIALIZED ({_SEVERAL}
  ), alike AS MATERIALIZED ({_ALIKE}
  ), told AS ({_TOLD}
  ), counted AS ({_COUNTED}
  )
  SELECT 'digest', u.id, NEW.id, jsonb_build_object('action', NEW.action, 'reason', NEW.reason,
    'tickets', sum(c.number), 'happened', jsonb_object_agg(c.happening,
      jsonb_build_object('tickets', c.number, 'first', c.first)))
  FROM counted c JOIN users u ON u.id = c.recipient_id
  WHERE u.is_staff AND u.is_active AND u.id IS DISTINCT FROM NEW.user_id
  GROUP BY u.id ORDER BY u.id
  ON CONFLICT DO NOTHING;
  RETURN NULL;
END"""
    return Function("write_digests()", "trigger", body, definer=True, settings=SETTINGS)


_ENTRIES = """
    SELECT a.id, (a.changes -> 'old' ->> 'assignee_id')::bigint AS giver,
      (a.changes -> 'new' ->> 'assignee_id')::bigint AS taker,
      a.changes -> 'new' -> 'deleted_at' <> 'null' AS thrown_away,
      CASE a.table_name WHEN 'comments' THEN 2 WHEN 'ticket_tags' THEN 3
        ELSE CASE a.action WHEN 'DELETE' THEN 0 ELSE 1 END END AS deed,
      CASE a.table_name
        WHEN 'tickets' THEN a.record_id
        WHEN 'ticket_tags' THEN split_part(a.record_id, ',', 1)
        ELSE coalesce(a.changes -> 'new' ->> 'ticket_id', a.changes -> 'old' ->> 'ticket_id',
          (SELECT c.ticket_id::text FROM comments c WHERE c.id = a.record_id::bigint))
      END::bigint AS ticket_id
    FROM audit_logs a
    WHERE a.change_set_id = NEW.id AND a.table_name IN ('tickets', 'comments', 'ticket_tags')"""
"""A deed is 0 purged, 1 changed, 2 commented or 3 tagged: the smallest of a ticket's is what it is told under."""

_SEVERAL = """
    SELECT ticket_id FROM entries WHERE ticket_id IS NOT NULL GROUP BY ticket_id HAVING count(*) > 1"""
"""Most change sets do one thing to each ticket, and only the others need to be put together: half the time."""

_ALIKE = """
    SELECT giver IS DISTINCT FROM taker AS moved, giver AS before, taker AS now, thrown_away AS in_trash, deed,
      array_agg(ticket_id) AS ids
    FROM entries WHERE ticket_id NOT IN (SELECT ticket_id FROM several) GROUP BY giver, taker, thrown_away, deed
    UNION ALL
    SELECT moved, before, now, in_trash, deed, array_agg(ticket_id) FROM (
      SELECT ticket_id, min(deed) AS deed, bool_or(giver IS DISTINCT FROM taker) AS moved,
        (min(ARRAY[id, giver]) FILTER (WHERE giver IS DISTINCT FROM taker))[2] AS before,
        (max(ARRAY[id, taker]) FILTER (WHERE giver IS DISTINCT FROM taker))[2] AS now,
        (max(ARRAY[id, thrown_away::integer]) FILTER (WHERE thrown_away IS NOT NULL))[2] = 1 AS in_trash
      FROM entries WHERE ticket_id IN (SELECT ticket_id FROM several) GROUP BY ticket_id
    ) AS together GROUP BY moved, before, now, in_trash, deed"""
"""Tickets by what became of them: a large change set does the same to most, and what follows is done once for all.

Of several entries of a ticket the first and the last count; comparing pairs finds them without sorting each ticket's.
"""

_HAPPENING = """CASE WHEN before IS DISTINCT FROM now THEN 'assigned_to_you' WHEN in_trash THEN 'trashed'
        WHEN NOT in_trash THEN 'restored' ELSE (ARRAY['changed', 'commented', 'tagged'])[deed] END"""

_TOLD = f"""
    SELECT now AS recipient_id, {_HAPPENING} AS happening, ids FROM alike WHERE moved AND deed > 0
    UNION ALL
    SELECT owner_id, happening, array_agg(id) FROM (
      SELECT (SELECT t.assignee_id FROM tickets t WHERE t.id = one.id) AS owner_id, {_HAPPENING} AS happening, one.id
      FROM alike CROSS JOIN unnest(ids) AS one (id) WHERE NOT moved AND deed > 0
    ) AS kept GROUP BY owner_id, happening
    UNION ALL
    SELECT before, CASE deed WHEN 0 THEN 'purged' ELSE 'taken_from_you' END, ids
    FROM alike WHERE before IS DISTINCT FROM now"""

_COUNTED = """
    SELECT recipient_id, happening, sum(cardinality(ids)) FILTER (WHERE place = 1) AS number,
      (array_agg(id ORDER BY id))[:10] AS first
    FROM told CROSS JOIN LATERAL (
      SELECT id, row_number() OVER (ORDER BY id) AS place FROM unnest(ids) AS id ORDER BY id LIMIT 10
    ) AS ten GROUP BY recipient_id, happening"""
