// Find anything: Ctrl+K or ⌘K opens a dialog that asks the server for what is typed, and adds what this page offers to do.
// The text keeps the focus; arrows move through the options, which aria-activedescendant names.
(() => {
  const WAIT = 120; // milliseconds of quiet before the server is asked
  const dialog = document.querySelector("[data-palette-dialog]");
  if (!dialog) return;
  const input = dialog.querySelector("[role=combobox]");
  const list = dialog.querySelector("[role=listbox]");
  const note = dialog.querySelector("output");
  const options = () => [...list.querySelectorAll("[role=option]")];
  let timer = 0;
  let asking = null;
  let chosen = null;

  // ---- What this page offers

  const words = (element) => (element.querySelector("span:not(.icon)") ?? element).textContent.trim().replace(/\s+/g, " ");

  /** Whether each word that is typed begins a word of a label. */
  function matches(label, text) {
    const parts = label.toLowerCase().split(/\s+/);
    return text.toLowerCase().split(/\s+/).every((begin) => parts.some((part) => part.startsWith(begin)));
  }

  /** The actions of what is ticked or of the row where one is, and those of the page's head. */
  function offered() {
    const form = document.querySelector("table[data-list]")?.closest("form");
    const row = backdesk.list?.here();
    const count = form?.querySelector("[data-selected-count]")?.textContent;
    const found = [];
    if (form && (form.classList.contains("chosen") || row)) {
      const about = form.classList.contains("chosen") ? count : row.querySelector("th[scope=row]")?.textContent.trim();
      for (const button of form.querySelectorAll(".bulk-bar button[formaction]:not(.only-phone)")) found.push({ element: button, label: words(button), about });
    }
    for (const element of document.querySelectorAll(".page-actions > a.button")) found.push({ element, label: words(element), about: "" });
    return found;
  }

  function choice({ element, label, about }, index) {
    const option = Object.assign(document.createElement("div"), { className: "menu-item", id: `offered-${index}` });
    option.setAttribute("role", "option");
    const icon = element.querySelector(".icon")?.cloneNode(true);
    if (icon) option.append(icon);
    option.append(Object.assign(document.createElement("span"), { textContent: label }));
    if (about) option.append(Object.assign(document.createElement("span"), { className: "muted about", textContent: about }));
    option.addEventListener("click", () => {
      dialog.close();
      backdesk.press(element);
    });
    return option;
  }

  /** A group of what this page offers to do; null where nothing is called as it is typed. */
  function doable(text) {
    const found = offered().filter(({ label }) => !text || matches(label, text));
    if (!found.length) return null;
    const group = Object.assign(document.createElement("div"), { className: "palette-group" });
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", "Do");
    const heading = Object.assign(document.createElement("p"), { className: "nav-label", textContent: "Do" });
    heading.setAttribute("aria-hidden", "true");
    group.append(heading, ...found.map(choice));
    return group;
  }

  // ---- What the server finds

  async function ask() {
    const text = input.value.trim();
    asking?.abort();
    asking = new AbortController();
    const url = new URL(dialog.dataset.src, location.href);
    url.search = new URLSearchParams({ q: text, part: "yes" });
    try {
      const answer = await fetch(url, { signal: asking.signal });
      if (answer.redirected) return location.reload(); // nobody is signed in any more
      if (!answer.ok) throw new Error(answer.status);
      show(text, await answer.text());
    } catch (error) {
      if (error.name !== "AbortError") show(text, "", "The search did not answer. Type again to retry.");
    }
  }

  function show(text, html, trouble = "") {
    list.innerHTML = html; // our own server's, which escapes what people wrote
    const group = doable(text);
    if (group) list.prepend(group);
    const number = options().length;
    choose(options()[0]);
    note.textContent = trouble || (number ? "" : "Nothing is called so. Try a number, the beginning of a name, or fewer words.");
    list.hidden = number === 0;
    list.setAttribute("aria-label", number === 1 ? "1 found" : `${number} found`);
  }

  function choose(option) {
    chosen?.removeAttribute("aria-selected");
    chosen = option ?? null;
    chosen?.setAttribute("aria-selected", "true");
    chosen?.scrollIntoView({ block: "nearest" });
    if (chosen) input.setAttribute("aria-activedescendant", chosen.id);
    else input.removeAttribute("aria-activedescendant");
  }

  function move(by) {
    const all = options();
    if (all.length) choose(all[(all.indexOf(chosen) + by + all.length) % all.length]);
  }

  function open() {
    if (dialog.open) return input.select();
    dialog.showModal();
    input.value = "";
    ask();
  }

  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, WAIT);
  });
  input.addEventListener("keydown", (event) => {
    const moves = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in moves) move(moves[event.key]);
    else if (event.key === "Enter" && !event.isComposing) chosen?.click();
    else return;
    event.preventDefault();
  });
  list.addEventListener("pointermove", ({ target }) => {
    const option = target.closest("[role=option]");
    if (option && option !== chosen) choose(option);
  });
  dialog.addEventListener("close", () => {
    clearTimeout(timer);
    asking?.abort();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
    event.preventDefault();
    open();
  });
  backdesk.part("[data-palette]", (link) => link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a page of its own, as for any link
    event.preventDefault();
    open();
  }));
})();
