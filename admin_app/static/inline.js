// Editing a value in a list: `e`, or the pencil in its cell, opens its control over the cell. Enter saves and Escape leaves
// it as it was; Tab past the last button goes on to the row's next value. What cannot be saved stays open and says why.
(() => {
  const { list, tab } = backdesk;
  const table = list?.table;
  const cell = (row, column) => row.querySelector(`[data-column="${column}"]`);
  const columns = (table?.dataset.inline ?? "").split(" ").filter((column) => column && cell(table, column));
  if (!columns.length) return;

  const editor = Object.assign(document.createElement("div"), { className: "inline-editor", popover: "manual" });
  editor.setAttribute("role", "dialog");
  document.body.append(editor);
  let open = null; // { row, column, before }

  const filled = () => new URLSearchParams(new FormData(editor.querySelector("form"))).toString();
  const heading = (column) => {
    const head = cell(table.tHead, column);
    return (head?.querySelector("a") ?? head)?.firstChild?.textContent.trim() ?? ""; // how it is sorted stands behind
  };
  const called = (row) => row.querySelector("th[scope=row]")?.textContent.trim() ?? "";
  const address = ({ row, column }) => `${table.dataset.inlineSrc}/${row.dataset.id}/${column}`;

  function place() {
    if (!open) return;
    const value = cell(open.row, open.column);
    const over = (value.offsetParent ? value : open.row).getBoundingClientRect(); // cards leave out what is empty
    const width = Math.max(over.width, editor.offsetWidth);
    const room = editor.querySelector("[data-lookup]") ? 320 : 8; // what a picker drops down has to fit below
    editor.style.left = `${Math.max(8, Math.min(over.left, innerWidth - width - 8))}px`;
    editor.style.top = `${Math.max(8, Math.min(over.top, innerHeight - editor.offsetHeight - room))}px`;
  }

  function focus() {
    const control = editor.querySelector("[aria-invalid] , [autofocus]") ?? editor.querySelector("input:not([type=hidden]), select, textarea");
    if (!control?.matches("[data-lookup]")) control?.focus(); // a picker takes the focus once it is there
    control?.select?.();
  }

  function fill(html) {
    editor.innerHTML = html; // our own server's, which escapes what people wrote
    backdesk.enhance(editor);
    place();
    focus();
  }

  /** Say why nothing came of it, in the editor that stays open. */
  function complain(text) {
    editor.querySelector(".complaint")?.remove();
    const said = Object.assign(document.createElement("p"), { className: "field-error complaint", textContent: text });
    said.setAttribute("role", "alert");
    editor.append(said);
    place();
  }

  /** Ask the server; null where nobody is signed in any more, and the page is loaded again to say so. */
  async function send(url, options) {
    const answer = await fetch(url, { redirect: "manual", ...options });
    if (answer.type !== "opaqueredirect") return answer;
    location.reload();
    return null;
  }

  async function edit(row, column) {
    close(false);
    list.moveTo(row, false);
    row.scrollIntoView({ block: "nearest" });
    open = { row, column, before: "" };
    tab.remember("inline", column);
    editor.setAttribute("aria-label", `Edit ${heading(column)} of ${called(row)}`);
    editor.replaceChildren(Object.assign(document.createElement("span"), { className: "spinner small" }));
    editor.showPopover();
    place();
    const mine = open;
    try {
      const answer = await send(address(open));
      if (!answer || open !== mine) return;
      if (answer.ok) {
        fill(await answer.text());
        open.before = filled();
      } else {
        const why = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(".lead")?.textContent;
        close();
        backdesk.notice(why ?? "This cannot be edited here now. Open the row to see why.", "error");
      }
    } catch {
      close();
      backdesk.notice("The server did not answer. Please try again.", "error");
    }
  }

  function close(back = true) {
    if (!open) return;
    const { row } = open;
    open = null;
    editor.hidePopover();
    editor.replaceChildren();
    if (back) list.moveTo(row);
  }

  /** Put the cells that came into the row, and say what was done. */
  function take(row, html) {
    const came = new DOMParser().parseFromString(html, "text/html");
    for (const fresh of came.querySelectorAll("td[data-column]")) {
      const old = cell(row, fresh.dataset.column);
      old?.replaceChildren(...document.adoptNode(fresh).childNodes, ...old.querySelectorAll(":scope > .row-more"));
    }
    backdesk.enhance(row);
    const notice = came.querySelector(".notice");
    backdesk.notice(document.adoptNode(notice));
  }

  /** Save what was changed; gives whether the editor may be left. */
  async function save() {
    const form = editor.querySelector("form");
    if (!form || editor.ariaBusy === "true") return false;
    if (filled() === open.before && !editor.querySelector(".field-error")) return true;
    const mine = open;
    const url = `${form.action}?${new URLSearchParams({ columns: table.dataset.columns })}`;
    editor.ariaBusy = "true";
    try {
      const answer = await send(url, { method: "POST", body: new URLSearchParams(new FormData(form)) });
      if (!answer) return false;
      const html = await answer.text();
      if (answer.ok) {
        take(mine.row, html);
        return true;
      }
      if (answer.status === 422 || answer.status === 409) fill(html);
      else complain("This could not be saved. What you entered is still here.");
    } catch {
      complain("The server did not answer. What you entered is still here; please try again.");
    } finally {
      editor.ariaBusy = null;
    }
    return false;
  }

  /** Save, and go on to the row's next value or the one before; past the ends back to the row. */
  async function goOn(by) {
    const { row, column } = open;
    if (!(await save())) return;
    const next = columns[columns.indexOf(column) + by];
    if (next) edit(row, next);
    else close();
  }

  const stops = () => [...editor.querySelectorAll("input:not([type=hidden]), select:not([aria-hidden]), textarea, button")].filter((one) => one.tabIndex >= 0 && one.offsetParent);

  editor.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (await save()) close();
  });
  editor.addEventListener("click", ({ target }) => { if (target.closest("[data-cancel]")) close(); });
  editor.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing) return;
    const edge = event.shiftKey ? stops().at(0) : stops().at(-1);
    if (event.key === "Escape") close();
    else if (event.key === "Enter" && event.target.matches("select, input:not([type=checkbox])")) editor.querySelector("form")?.requestSubmit();
    else if (event.key === "Tab" && event.target === edge) goOn(event.shiftKey ? -1 : 1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  new ResizeObserver(place).observe(editor);
  window.addEventListener("scroll", place, { passive: true });
  window.addEventListener("resize", place);
  document.addEventListener("pointerdown", ({ target }) => { // elsewhere: what is as it was closes, what was typed stays
    if (open && !editor.contains(target) && !editor.querySelector(".field-error") && (!open.before || filled() === open.before)) close(false);
  });

  // ---- The ways in

  const pencil = Object.assign(document.createElement("button"), { type: "button", className: "pencil" });
  pencil.append(...(document.querySelector("template[data-pencil]")?.content.cloneNode(true).childNodes ?? []));
  pencil.addEventListener("click", () => edit(pencil.closest("tr"), pencil.closest("[data-column]").dataset.column));

  table.addEventListener("pointerover", ({ target, pointerType }) => {
    const over = target.closest("tbody [data-column]");
    if (pointerType !== "mouse" || !over || !columns.includes(over.dataset.column)) return;
    pencil.setAttribute("aria-label", `Edit ${heading(over.dataset.column)} of ${called(over.closest("tr"))}`);
    if (pencil.parentElement !== over) over.append(pencil);
  });
  table.addEventListener("pointerleave", () => pencil.remove());
  table.addEventListener("dblclick", ({ target }) => {
    const over = target.closest("tbody [data-column]");
    if (over && columns.includes(over.dataset.column) && !target.closest("a, button")) edit(over.closest("tr"), over.dataset.column);
  });

  backdesk.editable = columns.map((column) => [column, heading(column)]);

  /** Edit a value of a row, unless told which the one that was edited last. */
  backdesk.editRow = (row, column = tab.remembered("inline")) => edit(row, columns.includes(column) ? column : columns[0]);
  backdesk.key("e", `Edit a value of the row: ${columns.map((column) => heading(column)).join(", ")}`, () => {
    const row = list.here();
    return row ? backdesk.editRow(row) : false;
  });

  // ---- Taking it back at once

  backdesk.part("form[data-undo]", (form) => form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), redirect: "manual" });
    if (answer.type === "opaqueredirect") location.reload(); // the next page says what was undone
    else location.assign(form.action); // its own page says why not
  }));
})();
