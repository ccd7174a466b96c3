"""What follows from a change of tickets and comments: status events, times of answers, the words that search reads."""

from admin_app.triggers.parts import ROWS_BY_HASH, Function, Trigger, statement_triggers


def functions() -> list[Function]:
    """What the triggers of tickets and comments run, and what an import runs at its end."""
    return [
        _status_changed(),
        _refresh_search(),
        _search_tickets(),
        _search_ticket(),
        _comments_changed(),
        _renew_statistics(),
    ]


def triggers() -> list[Trigger]:
    """Status events first, then search, both after the audit: triggers fire in the order of their names."""
    return [
        *statement_triggers("tickets", "t20_status_events", "ticket_status_changed()", ("insert", "update")),
        *statement_triggers("tickets", "t30_search", "search_tickets()", ("insert",)),
        Trigger(
            "tickets",
            "t30_search_update",
            "AFTER UPDATE OF title, description, ticket_number, external_id ON tickets FOR EACH ROW"
            " WHEN ((OLD.title, OLD.description, OLD.ticket_number, OLD.external_id) IS DISTINCT FROM"
            " (NEW.title, NEW.description, NEW.ticket_number, NEW.external_id)) EXECUTE FUNCTION search_ticket()",
        ),
        *statement_triggers("comments", "t40_ticket", "comments_changed()", ("insert", "update", "delete")),
    ]


def _status_changed() -> Function:
    """Status events carry the time the ticket itself gives for the change, so that imported history is true."""
    body = """
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
END"""
    return Function("ticket_status_changed()", "trigger", body, definer=True, settings=ROWS_BY_HASH)


def _refresh_search() -> Function:
    """A document is cut to 60,000 characters of description and of comments: PostgreSQL's limit is 1 MB of words."""
    body = """
  INSERT INTO ticket_search (ticket_id, document)
  SELECT t.id,
    setweight(to_tsvector('simple', t.ticket_number || ' ' || coalesce(t.external_id, '')), 'A')
    || setweight(to_tsvector('english', t.title), 'A')
    || setweight(to_tsvector('english', left(t.description, 60000)), 'B')
    || setweight(to_tsvector('english', left(coalesce(c.words, ''), 60000)), 'C')
  FROM tickets t LEFT JOIN LATERAL (
    SELECT string_agg(left(content, 60000), ' ' ORDER BY created_at DESC, id DESC) AS words
    FROM comments WHERE ticket_id = t.id AND NOT is_internal
  ) c ON true
  WHERE t.id = ANY (ids)
  ON CONFLICT (ticket_id) DO UPDATE SET document = excluded.document
"""
    return Function("refresh_ticket_search(ids bigint[])", "void", body, "sql", definer=True)


def _search_tickets() -> Function:
    body = """
BEGIN
  PERFORM refresh_ticket_search((SELECT array_agg(id) FROM new_rows));
  RETURN NULL;
END"""
    return Function("search_tickets()", "trigger", body, definer=True)


def _search_ticket() -> Function:
    body = """
BEGIN
  PERFORM refresh_ticket_search(ARRAY[NEW.id]);
  RETURN NULL;
END"""
    return Function("search_ticket()", "trigger", body, definer=True)


def _comments_changed() -> Function:
    """What the customer can read has changed: the times of answers, and the words by which the ticket is found.

    The tickets are locked first, in the order of their ids: of two who change comments of one ticket at once, the
    second then reads what the first has written.
    """
    body = f"""
DECLARE
  touched bigint[];
BEGIN
  IF TG_OP = 'INSERT' THEN
    SELECT array_agg(DISTINCT ticket_id) INTO touched FROM new_rows WHERE NOT is_internal;
  ELSIF TG_OP = 'DELETE' THEN
    SELECT array_agg(DISTINCT ticket_id) INTO touched FROM old_rows WHERE NOT is_internal;
  ELSE
    SELECT array_agg(DISTINCT either.id) INTO touched
    FROM old_rows o JOIN new_rows n USING (id) CROSS JOIN LATERAL (VALUES (o.ticket_id), (n.ticket_id)) AS either (id)
    WHERE (o.content, o.is_internal, o.ticket_id) IS DISTINCT FROM (n.content, n.is_internal, n.ticket_id)
      AND NOT (o.is_internal AND n.is_internal);
  END IF;
  IF touched IS NULL THEN RETURN NULL; END IF;
  PERFORM FROM tickets WHERE id = ANY (touched) ORDER BY id FOR NO KEY UPDATE;
  IF TG_OP = 'INSERT' THEN{
        _answered("SELECT ticket_id, author_id, created_at AS at FROM new_rows WHERE NOT is_internal")
    }
  ELSIF TG_OP = 'UPDATE' THEN{
        _answered(
            "SELECT n.ticket_id, n.author_id, n.updated_at AS at FROM old_rows o JOIN new_rows n USING (id)"
            " WHERE o.is_internal AND NOT n.is_internal"
        )
    }
  END IF;
  PERFORM refresh_ticket_search(touched);
  RETURN NULL;
END"""
    return Function("comments_changed()", "trigger", body, definer=True)


def _answered(answers: str) -> str:
    """A first response is an answer by staff who is not the requester; a note that is made public is one from then."""
    return f"""
    UPDATE tickets t SET
      first_response_at = least(t.first_response_at, c.first_response),
      last_staff_reply_at = greatest(t.last_staff_reply_at, c.by_staff),
      last_customer_reply_at = greatest(t.last_customer_reply_at, c.by_customer)
    FROM (
      SELECT a.ticket_id,
        min(a.at) FILTER (WHERE staff AND a.at >= k.created_at) AS first_response,
        max(a.at) FILTER (WHERE staff) AS by_staff,
        max(a.at) FILTER (WHERE NOT staff) AS by_customer
      FROM ({answers}) a JOIN tickets k ON k.id = a.ticket_id JOIN users u ON u.id = a.author_id
      CROSS JOIN LATERAL (SELECT u.is_staff AND a.author_id <> k.creator_id AS staff) s
      GROUP BY a.ticket_id
    ) c WHERE t.id = c.ticket_id;"""


def _renew_statistics() -> Function:
    """Without it the planner takes a table for empty until autovacuum comes by, and a list can take seconds."""
    tables = "users, tickets, comments, tags, ticket_tags, ticket_search, ticket_status_events, audit_logs"
    return Function("renew_statistics()", "void", f"\nBEGIN\n  ANALYZE {tables};\nEND", definer=True)
