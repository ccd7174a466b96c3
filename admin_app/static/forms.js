// Forms: pickers that ask the server, warnings before answers are left, numbers that have to be typed.
(() => {
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
    await backdesk.library("tomSelect");
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
      if (form.dataset.forget && !event.submitter?.matches("[name=preview], [formaction]")) backdesk.forgetSelections(form.dataset.forget);
    });
    window.addEventListener("pageshow", () => { sending = false; });
    window.addEventListener("beforeunload", (event) => {
      if (!sending && form.isConnected && answers() !== atFirst) event.preventDefault();
    });
  }

  /** Ctrl+Enter or ⌘Enter presses the main button of the form where one is, or of the only one on the page. */
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.defaultPrevented || event.repeat) return;
    const all = document.querySelectorAll("main form[data-guard]");
    const form = event.target.closest("form[data-guard]") ?? (all.length === 1 ? all[0] : null);
    const button = form?.querySelector(".form-actions :is(.button.primary, .button.danger)");
    if (!button) return;
    event.preventDefault();
    button.click();
  });

  /** Ask for a number to be typed before something large happens; the server asks for it too. */
  function confirmation(input) {
    const wanted = input.dataset.confirm.replace(/\D/g, "");
    const check = () => input.setCustomValidity(input.value.replace(/\D/g, "") === wanted ? "" : `Type ${input.dataset.confirm} to confirm.`);
    input.addEventListener("input", check);
    check();
  }

  backdesk.part("select[data-lookup], select[data-enhance]", picker);
  backdesk.part("form[data-guard]", guard);
  backdesk.part("input[data-confirm]", confirmation);
})();
