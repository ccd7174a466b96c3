// Comforts on top of pages that work without them. Every part is found by its data- attribute, also in what htmx brings
// in later; docs/design.md lists them.
(() => {
  const assets = document.currentScript.dataset;
  const all = (root, selector) => [...(root.matches?.(selector) ? [root] : []), ...root.querySelectorAll(selector)];

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

  function remember(key, value) {
    try {
      if (value === null) localStorage.removeItem(`backdesk.${key}`);
      else localStorage.setItem(`backdesk.${key}`, value);
    } catch {
      // Storage is refused: the choice lasts until the next page.
    }
  }

  function remembered(key) {
    try {
      return localStorage.getItem(`backdesk.${key}`);
    } catch {
      return null;
    }
  }

  // ---- Choosing rows: checkboxes named "ids" inside one form, and with "all" whatever matches, but for those un-ticked

  function forgetSelections(of) {
    try {
      for (const key of Object.keys(sessionStorage)) if (key.startsWith(`backdesk.selection.${of}?`)) sessionStorage.removeItem(key);
    } catch {
      // Storage is refused: nothing was remembered.
    }
  }

  /** What is chosen in a list, on all its pages: the ticked ids, or with `all` the ones that were un-ticked. */
  function remembering(list) {
    const key = `backdesk.selection.${list}`;
    const chosen = { all: false, ids: new Set() };
    return Object.assign(chosen, {
      has: (id) => chosen.all !== chosen.ids.has(id),
      put(id, ticked) {
        if (ticked === chosen.all) chosen.ids.delete(id);
        else chosen.ids.add(id);
      },
      set(everything, ids = []) {
        chosen.all = everything;
        chosen.ids = new Set(ids);
      },
      recall() {
        try {
          const { all: everything, ids } = JSON.parse(sessionStorage.getItem(key)) ?? { all: false, ids: [] };
          chosen.set(everything, ids);
        } catch {
          // Nothing that can be read is remembered: what is chosen lasts until the next page.
        }
      },
      keep() {
        try {
          if (!chosen.all && chosen.ids.size === 0) sessionStorage.removeItem(key);
          else sessionStorage.setItem(key, JSON.stringify({ all: chosen.all, ids: [...chosen.ids] }));
        } catch {
          // Storage is refused or full, as above.
        }
      },
    });
  }

  function selection(form) {
    const everything = form.querySelector("[data-select-all]");
    const matching = form.querySelector("[data-select-matching]");
    const count = form.querySelector("[data-selected-count]");
    const boxes = () => [...form.querySelectorAll('input[name="ids"]')];
    const ids = () => boxes().map((box) => box.value);
    const total = Number(form.dataset.total ?? 0);
    const totalText = form.dataset.totalText ?? "";
    const chosen = remembering(form.dataset.selection ?? location.pathname);
    let last = null;

    function said() {
      const size = chosen.ids.size;
      const elsewhere = size - ids().filter((id) => chosen.ids.has(id)).length;
      if (!chosen.all) return size === 0 ? "" : `${size.toLocaleString("en")} selected${elsewhere ? `, ${elsewhere.toLocaleString("en")} on other pages` : ""}`;
      if (totalText.endsWith("+")) return `All ${totalText} selected${size ? `, but for ${size.toLocaleString("en")}` : ""}`;
      return `${Math.max(total - size, 0).toLocaleString("en")} selected`;
    }

    function show() {
      for (const box of boxes()) box.checked = chosen.has(box.value);
      const ticked = boxes().filter((box) => box.checked).length;
      if (everything) {
        everything.checked = ticked > 0 && ticked === boxes().length;
        everything.indeterminate = ticked > 0 && !everything.checked;
      }
      if (matching) {
        matching.hidden = !chosen.all && !(everything?.checked && total > boxes().length);
        matching.querySelector("input").checked = chosen.all;
      }
      form.classList.toggle("chosen", chosen.all || chosen.ids.size > 0);
      if (count) count.textContent = said();
    }

    form.addEventListener("click", (event) => {
      if (event.target.matches("[data-select-none]")) {
        chosen.set(false);
        chosen.keep();
        (everything ?? boxes()[0])?.focus();
        show();
      }
      if (!event.target.matches('input[name="ids"]')) return;
      if (event.shiftKey && last?.isConnected) {
        const [from, to] = [boxes().indexOf(last), boxes().indexOf(event.target)].sort((a, b) => a - b);
        for (const box of boxes().slice(from, to + 1)) box.checked = event.target.checked;
      }
      last = event.target;
    });
    form.addEventListener("change", (event) => {
      if (event.target.name === "all") chosen.set(event.target.checked, event.target.checked ? [] : ids());
      else if (event.target === everything && chosen.all && !everything.checked) chosen.set(false);
      else if (event.target === everything) for (const id of ids()) chosen.put(id, everything.checked);
      else for (const box of boxes()) chosen.put(box.value, box.checked);
      chosen.keep();
      show();
    });
    form.addEventListener("formdata", ({ formData }) => {
      for (const name of ["ids", "all"]) formData.delete(name);
      if (chosen.all) formData.set("all", "1");
      formData.set(chosen.all ? "without" : "ids", [...chosen.ids].join(","));
    });
    window.addEventListener("pageshow", () => { // the back button restores ticks, and what was chosen may be done by now
      chosen.recall();
      show();
    });
    chosen.recall();
    show();
  }

  // ---- Pickers

  const line = (className, text) => Object.assign(document.createElement("span"), { className, textContent: text });

  /** One line of a picker's list: what it is called, and below what tells it from its namesakes. */
  function choice(data) {
    const option = document.createElement("div");
    option.append(line("label", data.label));
    if (data.detail) option.append(line("detail", data.detail));
    return option;
  }

  const item = (data) => Object.assign(document.createElement("div"), { textContent: data.label });
  const message = (text) => Object.assign(document.createElement("div"), { className: "no-results", textContent: text });

  /** Ask the server; an answer that is not one is said in the list instead of an empty list that looks like "nobody". */
  async function lookUp(picker, query, answer) {
    const url = new URL(picker.input.dataset.lookup, location.href);
    url.searchParams.set("q", query);
    picker.asked = query;
    let results = [];
    let trouble = "";
    try {
      const response = await fetch(url, { headers: { Accept: "application/json" } });
      if (!response.ok) throw new Error(response.status);
      ({ results } = await response.json());
    } catch {
      trouble = "The search did not answer. Type again to retry.";
    }
    if (picker.asked !== query) return answer(); // an answer overtaken by a later question
    picker.trouble = trouble;
    picker.found = new Set(results.map((result) => String(result.id)));
    answer(results);
  }

  async function picker(select) {
    await library("tomSelect");
    if (select.tomselect) return;
    const remote = "lookup" in select.dataset;
    const optional = !select.multiple && !select.required && !("required" in select.dataset);
    for (const option of select.options) option.dataset.label ??= option.textContent.trim();
    new TomSelect(select, {
      valueField: remote ? "id" : "value",
      labelField: "label",
      searchField: remote ? [] : ["label", "detail"],
      sortField: [{ field: "$order" }],
      allowEmptyOption: optional && !remote,
      maxOptions: 200,
      plugins: {
        ...(select.multiple && { remove_button: { title: "Remove" } }),
        ...(optional && remote && { clear_button: { title: "Clear" } }),
      },
      preload: remote ? "focus" : false,
      loadThrottle: 200,
      hidePlaceholder: true,
      closeAfterSelect: !select.multiple,
      ...(remote && {
        load(query, answer) {
          this.clearOptions((data) => this.items.includes(String(data.id)));
          lookUp(this, query, answer);
        },
        score() {
          return (data) => (this.found?.has(String(data.id)) ? 1 : 0); // the server has filtered and ordered already
        },
        shouldLoad: () => true,
      }),
      render: {
        option: choice,
        item,
        no_results() {
          return message(this.trouble || "Nothing found.");
        },
      },
      onInitialize() {
        // The label and its companions move to what is seen; the select behind it keeps only the value.
        for (const name of ["aria-describedby", "aria-invalid"]) {
          if (select.hasAttribute(name)) this.control_input.setAttribute(name, select.getAttribute(name));
        }
        select.setAttribute("aria-hidden", "true");
        if (select.autofocus) this.control_input.focus();
      },
    });
  }

  // ---- Forms

  /** Warn before leaving a form whose answers differ from those it came with. */
  function guard(form) {
    const answers = () => new URLSearchParams([...new FormData(form)].map(([key, value]) => [key, value.name ?? value])).toString();
    const atFirst = answers();
    let sending = false;
    form.addEventListener("submit", (event) => {
      sending = true;
      if (form.dataset.forget && !event.submitter?.matches("[name=preview], [formaction]")) forgetSelections(form.dataset.forget);
    });
    window.addEventListener("pageshow", () => { sending = false; });
    window.addEventListener("beforeunload", (event) => {
      if (!sending && form.isConnected && answers() !== atFirst) event.preventDefault();
    });
  }

  /** Ask for a number to be typed before something large happens; the server asks for it too. */
  function confirmation(input) {
    const wanted = input.dataset.confirm.replace(/\D/g, "");
    const check = () => input.setCustomValidity(input.value.replace(/\D/g, "") === wanted ? "" : `Type ${input.dataset.confirm} to confirm.`);
    input.addEventListener("input", check);
    check();
  }

  // ---- Charts

  const strokes = [[], [6, 4], [2, 4], [9, 3, 2, 3]];

  /**
   * Draw the JSON block inside a [data-chart] figure: {x: [seconds], series: [{label, values}], bars?: true, zone?: "UTC"}.
   */
  async function chart(figure) {
    await library("uplot");
    const data = JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
    const canvas = figure.querySelector(".chart-canvas");
    const timeZone = data.zone ?? "UTC";
    const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", timeZone });
    const days = (_, moments) => moments.map((seconds) => day.format(seconds * 1000));
    let plot;

    function draw() {
      const style = getComputedStyle(figure);
      const colour = (name) => {
        const probe = figure.appendChild(document.createElement("i"));
        probe.hidden = true;
        probe.style.color = `var(${name})`;
        const value = getComputedStyle(probe).color;
        probe.remove();
        return value;
      };
      const axis = { stroke: style.color, grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: `12px ${style.fontFamily}` };
      plot?.destroy();
      plot = new uPlot({
        width: canvas.clientWidth,
        height: Math.max(canvas.clientHeight, 240),
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), timeZone),
        cursor: { y: false },
        scales: { y: { range: (_, low, high) => [Math.min(0, low), Math.max(1, high * 1.08)] } },
        axes: [{ ...axis, grid: { show: false }, values: days, space: 64 }, { ...axis, size: 56 }],
        series: [{ label: "Day", value: (_, seconds) => (seconds === null ? "–" : day.format(seconds * 1000)) }, ...data.series.map((series, index) => ({
          label: series.label,
          stroke: colour(`--series-${(index % 6) + 1}`),
          width: 2,
          dash: strokes[index % strokes.length],
          points: { show: data.x.length < 40, fill: colour("--surface") },
          ...(data.bars && { paths: uPlot.paths.bars({ size: [0.7, 40] }), fill: colour(`--series-${(index % 6) + 1}`), points: { show: false } }),
        }))],
      }, [data.x, ...data.series.map((series) => series.values)], canvas);
    }

    draw();
    new ResizeObserver(() => plot.setSize({ width: canvas.clientWidth, height: plot.height })).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    document.addEventListener("backdesk:theme", draw);
  }

  // ---- The frame: theme, menus, shortcut, notices, sticky headings

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

  function shortcuts(box) {
    box.checked = remembered("shortcuts") !== "off";
    box.addEventListener("change", () => remember("shortcuts", box.checked ? null : "off"));
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
    const typing = event.target.closest("input, textarea, select, [contenteditable], .ts-wrapper");
    const held = event.ctrlKey || event.metaKey || event.altKey;
    const search = document.querySelector("[data-search]");
    if (event.key === "/" && search && !typing && !held && remembered("shortcuts") !== "off") {
      event.preventDefault();
      search.focus();
      search.select();
    }
  });

  // ---- Everything finds its place

  const parts = {
    "form:has(input[type=checkbox][name=ids])": selection,
    "select[data-lookup], select[data-enhance]": picker,
    "form[data-guard]": guard,
    "input[data-confirm]": confirmation,
    "[data-chart]": chart,
    "[data-theme-choice]": themeChoice,
    "input[data-shortcuts]": shortcuts,
    ".table-wrap": fitting,
  };
  const done = new WeakSet();

  function enhance(root) {
    for (const [selector, part] of Object.entries(parts)) {
      for (const element of all(root, selector)) {
        if (!done.has(element)) {
          done.add(element);
          part(element);
        }
      }
    }
  }

  // A form that is refused comes back as a page that says why: the part that was asked for is shown all the same.
  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    if (detail.xhr.status === 422) Object.assign(detail, { shouldSwap: true, isError: false });
  });

  enhance(document);
  document.addEventListener("htmx:load", (event) => enhance(event.detail.elt));
})();
