// What can be done to one row, beside it: a single bar made from a template, which follows the mouse and the focus.
(() => {
  const { list } = backdesk;
  const template = document.querySelector("template[data-row-actions]");
  if (!list?.table || !template) return;

  const bar = Object.assign(document.createElement("div"), { className: "beside" });
  bar.append(template.content.cloneNode(true));
  const links = [...bar.querySelectorAll("a[href]")].map((link) => [link, link.getAttribute("href")]);

  function stand(row) {
    if (!row || bar.parentElement?.parentElement === row) return;
    const id = row.dataset.id;
    const back = encodeURIComponent(location.pathname + location.search);
    for (const [link, href] of links) link.href = href.replace("{id}", id).replace("{back}", back);
    const name = row.querySelector("th[scope=row]")?.textContent.trim() ?? id;
    bar.setAttribute("role", "group");
    bar.setAttribute("aria-label", `To ${name}`);
    row.lastElementChild.append(bar);
  }

  list.table.addEventListener("pointerover", ({ target, pointerType }) => {
    if (pointerType === "mouse" && !bar.contains(document.activeElement)) stand(target.closest("tbody tr[data-id]"));
  });
  list.table.addEventListener("pointerleave", () => { if (!bar.contains(document.activeElement)) stand(list.here()); });
  list.table.addEventListener("focusin", ({ target }) => {
    if (target.matches(":focus-visible")) stand(target.closest("tbody tr[data-id]"));
  });
  const pencil = bar.querySelector("[data-edit-row]");
  if (backdesk.editRow) pencil?.addEventListener("click", () => backdesk.editRow(bar.closest("tr")));
  else pencil?.remove(); // none of the columns that are shown can be edited
})();
