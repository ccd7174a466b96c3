// The floor of all scripts: pages work without them, and each part is found by its data- attribute, also in what htmx
// brings in later; docs/design.md lists them. Other files add parts of their own by backdesk.part().
(() => {
  const assets = document.currentScript.dataset;
  const all = (root, selector) => [...(root.matches?.(selector) ? [root] : []), ...root.querySelectorAll(selector)];

  // ---- Parts

  const parts = [];

  function enhance(root) {
    for (const { selector, part, done } of parts) {
      for (const element of all(root, selector)) {
        if (!done.has(element)) {
          done.add(element);
          part(element);
        }
      }
    }
  }

  /** Have every element that the selector finds, now and in what comes later, seen to once. */
  function part(selector, seeTo) {
    parts.push({ selector, part: seeTo, done: new WeakSet() });
    enhance(document);
  }

  document.addEventListener("htmx:load", (event) => enhance(event.detail.elt));

  // A form that is refused comes back as a page that says why: the part that was asked for is shown all the same.
  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    if (detail.xhr.status === 422) Object.assign(detail, { shouldSwap: true, isError: false });
  });

  // ---- Vendored libraries, loaded only by the pages that use them

  const arriving = new Map();

  /** Load a library's stylesheet (before ours, so that ours wins) and script once; resolves when both are there. */
  function library(name) {
    if (!arriving.has(name)) {
      const style = Object.assign(document.createElement("link"), { rel: "stylesheet", href: assets[`${name}Style`] });
      const script = Object.assign(document.createElement("script"), { src: assets[`${name}Script`] });
      document.querySelector("link[rel=stylesheet]").before(style);
      document.head.append(script);
      arriving.set(name, Promise.all([style, script].map((element) => new Promise((done, failed) => {
        element.onload = done;
        element.onerror = () => failed(new Error(`${name} did not load`));
      }))));
    }
    return arriving.get(name);
  }

  // ---- What a browser keeps: for good, or until its tab is closed

  /** Keep a value under a name, or forget it (null); where storage is refused it lasts until the next page. */
  function remember(name, value, place = () => localStorage) {
    try {
      if (value === null) place().removeItem(`backdesk.${name}`);
      else place().setItem(`backdesk.${name}`, value);
    } catch {
      // Storage is refused or full.
    }
  }

  function remembered(name, place = () => localStorage) {
    try {
      return place().getItem(`backdesk.${name}`);
    } catch {
      return null;
    }
  }

  const tab = {
    remember: (name, value) => remember(name, value === null ? null : JSON.stringify(value), () => sessionStorage),
    remembered(name) {
      try {
        return JSON.parse(remembered(name, () => sessionStorage));
      } catch {
        return null; // what somebody else has written there
      }
    },
  };

  /** Say something at the head of the page, or show there what the server has said (an element). */
  function notice(said, level = "success") {
    let place = document.querySelector(".notices");
    if (!place) {
      place = Object.assign(document.createElement("div"), { className: "notices" });
      document.querySelector(".page-header")?.after(place);
    }
    let element = said;
    if (typeof said === "string") {
      element = Object.assign(document.createElement("div"), { className: `notice ${level}` });
      element.append(Object.assign(document.createElement("div"), { className: "notice-text", textContent: said }));
    }
    element.setAttribute("role", level === "error" ? "alert" : "status");
    place.replaceChildren(element);
    enhance(element);
  }

  globalThis.backdesk = { notice, part, enhance, library, remember, remembered, tab };

  // ---- The frame: theme, menus, notices, sticky headings

  function themeChoice(fieldset) {
    const root = document.documentElement;
    for (const radio of fieldset.querySelectorAll("input")) radio.checked = radio.value === (root.dataset.theme ?? "system");
    fieldset.addEventListener("change", (event) => {
      const theme = event.target.value === "system" ? null : event.target.value;
      if (theme) root.dataset.theme = theme;
      else delete root.dataset.theme;
      remember("theme", theme);
      document.dispatchEvent(new Event("backdesk:theme"));
    });
  }

  /** A heading can stick to the window only while nothing scrolls sideways between them. */
  function fitting(wrap) {
    const measure = () => {
      wrap.classList.remove("fits");
      wrap.classList.toggle("fits", wrap.scrollWidth <= wrap.clientWidth);
    };
    new ResizeObserver(measure).observe(wrap.parentElement);
    measure();
  }

  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) if (!event.composedPath().includes(menu)) menu.open = false;
    const dismiss = event.target.closest("[data-dismiss]");
    if (dismiss) {
      const next = dismiss.closest(".notice").nextElementSibling?.querySelector("[data-dismiss]");
      dismiss.closest(".notice").remove();
      (next ?? document.getElementById("main")).focus();
    }
  });

  document.addEventListener("keydown", (event) => {
    const menu = document.activeElement?.closest("details.menu[open]");
    if (event.key === "Escape" && menu) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });

  part("[data-theme-choice]", themeChoice);
  part(".table-wrap", fitting);
})();
