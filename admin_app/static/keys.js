// Single keys. Whatever has aria-keyshortcuts is pressed by its key; lists add keys that walk and tick their rows. None
// works while one types or holds Ctrl, Alt or ⌘, and all can be switched off. `?` lists those that the page has.
(() => {
  const { part, remembered, remember } = backdesk;
  const keys = new Map();

  /** Give a key of this page something to do; `says` is its line in the list of keys. */
  backdesk.key = (key, says, run) => keys.set(key, { says, run });

  /** The key of an event as it is written down: a letter as it is typed, whatever Caps Lock says. */
  function pressed(event) {
    if (!/^\p{L}$/u.test(event.key)) return event.key;
    return event.shiftKey ? event.key.toUpperCase() : event.key.toLowerCase();
  }

  const typing = (element) => element.closest?.("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable], .ts-wrapper, dialog[open], [popover]:popover-open");

  /** What a link or button with a key is called: its own words for keys, else those it shows. */
  const called = (element) => (element.dataset.keySays ?? element.getAttribute("aria-label") ?? element.textContent).trim().replace(/\s+/g, " ");

  /** Press what has this key; a list may rather do it to the row where one is. */
  function press(element) {
    if (element.matches("input")) {
      element.focus();
      element.select();
    } else if (!element.dispatchEvent(new CustomEvent("backdesk:press", { bubbles: true, cancelable: true }))) {
      return;
    } else if (element.form) {
      element.form.requestSubmit(element);
    } else {
      element.click();
    }
  }

  backdesk.press = press;

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (typing(event.target) || remembered("shortcuts") === "off") return;
    const key = pressed(event);
    const found = keys.get(key);
    const element = document.querySelector(`[aria-keyshortcuts="${CSS.escape(key)}"]`);
    if (!found && !element) return;
    if (found && found.run(event) !== false) event.preventDefault();
    else if (element) {
      event.preventDefault();
      press(element);
    }
  });

  // ---- The list of keys

  const line = (key, says) => {
    const row = document.createElement("tr");
    const cell = document.createElement("td");
    cell.append(...key.split(" ").map((one) => Object.assign(document.createElement("kbd"), { textContent: one })));
    row.append(cell, Object.assign(document.createElement("th"), { scope: "row", textContent: says }));
    return row;
  };

  function listed() {
    const lines = new Map([...keys].map(([key, { says }]) => [key, says]));
    for (const element of document.querySelectorAll("[aria-keyshortcuts]")) {
      const key = element.getAttribute("aria-keyshortcuts");
      if (key.length === 1 && !lines.has(key)) lines.set(key, called(element));
    }
    const held = [["Ctrl+K ⌘K", "Find anything, go anywhere"]];
    if (document.querySelector("main form[data-guard]")) held.push(["Ctrl+Enter ⌘Enter", "Press the main button of the form"]);
    return [...held, ...lines].filter(([, says]) => says).map(([key, says]) => line(key, says));
  }

  function help() {
    const dialog = document.querySelector("dialog[data-keys]");
    dialog.querySelector("tbody").replaceChildren(...listed());
    dialog.showModal();
  }

  backdesk.key("?", "Show this list of keys", help);

  /** Whether single keys work, in this browser; every switch of it on the page says the same. */
  function shortcuts(box) {
    box.checked = remembered("shortcuts") !== "off";
    box.addEventListener("change", () => {
      remember("shortcuts", box.checked ? null : "off");
      for (const other of document.querySelectorAll("input[data-shortcuts]")) other.checked = box.checked;
    });
  }

  part("input[data-shortcuts]", shortcuts);
  part("[data-show-keys]", (button) => button.addEventListener("click", help));
  part("dialog", (dialog) => { // a click beside a dialog closes it, as Escape does
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  });
})();
