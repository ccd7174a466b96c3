// What can be done to one row, beside it: a single bar made from a template, which follows the mouse and the focus. By
// touch, which nothing can follow, and on a telephone, each row has a button that opens the same as a menu.
(() => {
  const { list } = backdesk;
  const template = document.querySelector("template[data-row-actions]");
  if (!list?.table || !template) return;

  const bar = Object.assign(document.createElement("div"), { className: "beside" });
  bar.append(template.content.cloneNode(true));
  const links = [...bar.querySelectorAll("a[href]")].map((link) => [link, link.getAttribute("href")]);

  const called = (row) => row.querySelector("th[scope=row]")?.textContent.trim() || row.dataset.id;

  /** Lead the links of the bar to a row, and say to which. */
  function aim(row) {
    const back = encodeURIComponent(location.pathname + location.search);
    for (const [link, href] of links) link.href = href.replace("{id}", row.dataset.id).replace("{back}", back);
    bar.setAttribute("role", "group");
    bar.setAttribute("aria-label", `To ${called(row)}`);
  }

  function stand(row) {
    if (!row || bar.parentElement?.parentElement === row) return;
    aim(row);
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

  // ---- By touch

  const touched = matchMedia("(hover: none), (max-width: 40rem)");
  const menu = Object.assign(document.createElement("div"), { className: "row-menu", popover: "auto" });
  menu.setAttribute("role", "dialog");
  document.body.append(menu);

  /** A line of the menu: its sign, and what stands in the bar only for those who hover or listen. */
  function line(element, sign, words) {
    element.className = `menu-item${element.classList.contains("danger") ? " danger" : ""}`;
    for (const name of ["aria-label", "title"]) element.removeAttribute(name);
    element.replaceChildren(...(sign ? [sign.cloneNode(true)] : []), words);
    return element;
  }

  function open(row) {
    aim(row);
    const edits = (backdesk.editable ?? []).map(([column, heading]) => {
      const button = Object.assign(document.createElement("button"), { type: "button" });
      button.addEventListener("click", () => {
        menu.hidePopover();
        backdesk.editRow(row, column);
      });
      return line(button, pencil?.firstElementChild, `Edit ${heading.toLowerCase()}`);
    });
    const deeds = links.map(([link]) => line(link.cloneNode(true), link.firstElementChild, link.getAttribute("aria-label")));
    const head = Object.assign(document.createElement("p"), { className: "menu-head", textContent: called(row) });
    menu.setAttribute("aria-label", bar.getAttribute("aria-label"));
    menu.replaceChildren(head, ...edits, ...deeds);
    menu.showPopover();
    menu.querySelector(".menu-item")?.focus();
  }

  /** Give each row its button, once it can be needed: a window may become narrow, or a tablet lose its mouse. */
  function offer() {
    if (!touched.matches || list.table.querySelector(".row-more")) return;
    for (const row of list.rows()) {
      const button = Object.assign(document.createElement("button"), { type: "button", className: "button ghost icon-only row-more" });
      button.setAttribute("aria-haspopup", "dialog");
      button.setAttribute("aria-label", `What can be done to ${called(row)}`);
      button.append(document.querySelector("template[data-more]").content.cloneNode(true));
      button.addEventListener("click", () => open(row));
      (row.querySelector("td.select") ?? row.lastElementChild).append(button);
    }
  }

  touched.addEventListener("change", offer);
  offer();
})();
