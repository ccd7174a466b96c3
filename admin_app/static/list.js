// A list by keyboard: one row is "here", walked with j and k, ticked with x, opened with Enter or o. The row is kept until
// the tab is closed, so that one comes back to it. On the page of a record, j and k lead to its neighbours in the list.
(() => {
  const { key, tab } = backdesk;
  const table = document.querySelector("table[data-list]");
  const rows = () => [...(table?.querySelectorAll("tbody tr[data-id]") ?? [])];
  const link = (row) => row.querySelector("tbody .title a[href], th[scope=row] a[href]") ?? row.querySelector("a[href]");
  const box = (row) => row.querySelector('input[name="ids"]');
  const form = table?.closest("form");
  const list = form?.dataset.selection ?? location.pathname;
  let here = null;

  // Which column a cell is of stands in its heading, and is told to the cells here: it would be a sixth of the page.
  const columns = [...(table?.tHead.rows[0].cells ?? [])].map((heading) => heading.dataset.column);
  for (const row of rows()) {
    for (const cell of row.cells) if (columns[cell.cellIndex]) cell.dataset.column = columns[cell.cellIndex];
  }

  backdesk.list = { table, rows, here: () => (here?.isConnected ? here : null), moveTo };

  /** Make a row the one where one is; `focus` when a key has brought one there. */
  function moveTo(row, focus = true) {
    here?.classList.remove("here");
    here?.removeAttribute("aria-current");
    here = row ?? null;
    if (!here) return;
    here.classList.add("here");
    here.setAttribute("aria-current", "true");
    if (!focus) return;
    const target = link(here) ?? box(here) ?? here;
    if (target === here) here.tabIndex = -1;
    target.focus({ preventScroll: true });
    here.scrollIntoView({ block: "nearest" });
  }

  /** The next row, or with -1 the one before; from nowhere the first that is seen. */
  function step(by) {
    const all = rows();
    const at = all.indexOf(here);
    const first = Math.max(all.findIndex((row) => row.getBoundingClientRect().bottom > 120), 0);
    moveTo(at < 0 ? all[first] : all[Math.min(Math.max(at + by, 0), all.length - 1)]);
  }

  /** Tick a row as a mouse would, with Shift all from the last one ticked. */
  function tick(shiftKey) {
    if (!here) step(1);
    else box(here)?.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, shiftKey }));
  }

  function open() {
    if (here) link(here)?.click();
  }

  /** Enter opens the row where one is; on anything that Enter presses by itself it does only that. */
  function enter(event) {
    if (!here || event.target.closest("a, button, summary, [tabindex='0']")) return false;
    return open();
  }

  /** An action's key does it to what is ticked, else to the row where one is. */
  function act(event) {
    const button = event.target;
    if (!form || button.form !== form || form.classList.contains("chosen")) return;
    event.preventDefault();
    if (!here) {
      backdesk.notice("Choose a row first: j and k walk through the list, x ticks a row.", "info");
      return;
    }
    const url = new URL(button.formAction);
    url.search = new URLSearchParams({ ids: here.dataset.id, back: location.pathname + location.search });
    location.assign(url);
  }

  /** A heading with Shift adds its column to the order, or turns the one that is in it. */
  function thenBy(event) {
    const link = event.shiftKey && event.target.closest("th[data-by] > a:not(.then)");
    if (!link) return;
    event.preventDefault();
    const { by } = link.parentElement.dataset;
    const order = table.dataset.sort.split(",");
    const place = order.findIndex((key) => key.replace("-", "") === by.replace("-", ""));
    order.splice(place < 0 ? order.length : place, 1, by);
    const [path, query = ""] = link.href.split("?");
    const others = query.split("&").filter((pair) => pair && !pair.startsWith("sort="));
    location.assign(`${path}?${[...others, `sort=${order}`].join("&")}`);
  }

  function walkList() {
    table.tHead.addEventListener("click", thenBy);
    key("j", "Next row", () => step(1));
    key("k", "Row before", () => step(-1));
    key("x", "Tick the row, or untick it", () => tick(false));
    key("X", "Tick all rows from the last one ticked", () => tick(true));
    key("o", "Open the row (or Enter)", open);
    key("Enter", "", enter);
    form?.addEventListener("backdesk:press", act);
    table.addEventListener("focusin", ({ target }) => {
      const row = target.closest("tr[data-id]");
      if (row && row !== here && target.matches(":focus-visible")) moveTo(row, false);
    });
    window.addEventListener("pagehide", () => {
      tab.remember("here", here ? { list, id: here.dataset.id, index: rows().indexOf(here) } : null);
      tab.remember("neighbours", rows().map((row) => link(row)?.pathname).filter(Boolean));
    });
    const kept = tab.remembered("here");
    if (kept?.list === list) moveTo(rows().find((row) => row.dataset.id === kept.id) ?? rows()[Math.min(kept.index, rows().length - 1)], false);
    here?.scrollIntoView({ block: "nearest" });
  }

  /** On a record's page, the records beside it in the list that one came from. */
  function walkRecords() {
    const neighbours = tab.remembered("neighbours") ?? [];
    const at = neighbours.indexOf(location.pathname);
    if (at < 0) return;
    const lead = (by, says) => {
      const path = neighbours[at + by];
      if (path) key(by > 0 ? "j" : "k", says, () => location.assign(path));
    };
    lead(1, "Next of the list one came from");
    lead(-1, "One before in the list one came from");
    window.addEventListener("pagehide", () => {
      const kept = tab.remembered("here"); // the list shows where one has got to
      if (kept) tab.remember("here", { ...kept, id: location.pathname.split("/").at(-1), index: at });
    });
  }

  if (table) walkList();
  else walkRecords();
})();
