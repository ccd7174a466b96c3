// Choosing rows: checkboxes named "ids" inside one form, and with "all" whatever matches, but for those un-ticked. What
// is chosen is kept under the list's name until the tab is closed, so that it outlives paging, sorting and the back button.
(() => {
  const { tab } = backdesk;
  const shown = (number) => number.toLocaleString("en");

  /** Forget what was chosen in every list of a resource. */
  backdesk.forgetSelections = (resource) => {
    try {
      for (const key of Object.keys(sessionStorage)) {
        if (key.startsWith(`backdesk.selection.${resource}?`)) sessionStorage.removeItem(key);
      }
    } catch {
      // Storage is refused: nothing was remembered.
    }
  };

  /** What is chosen in a list, on all its pages: the ticked ids, or with `all` the ones that were un-ticked. */
  function remembering(list) {
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
        const kept = tab.remembered(`selection.${list}`);
        chosen.set(Boolean(kept?.all), Array.isArray(kept?.ids) ? kept.ids : []);
      },
      keep() {
        const empty = !chosen.all && chosen.ids.size === 0;
        tab.remember(`selection.${list}`, empty ? null : { all: chosen.all, ids: [...chosen.ids] });
      },
    });
  }

  function selection(form) {
    const everything = form.querySelector("[data-select-all]");
    const matching = form.querySelector("[data-select-matching]");
    const count = form.querySelector("[data-selected-count]");
    const boxes = () => [...form.querySelectorAll('input[name="ids"]')];
    const ids = () => boxes().map((box) => box.value);
    const total = () => (form.dataset.total ? Number(form.dataset.total) : Infinity); // counted after the page, if at all
    const chosen = remembering(form.dataset.selection ?? location.pathname);
    let last = null;

    function said() {
      const size = chosen.ids.size;
      const here = ids().filter((id) => chosen.ids.has(id)).length;
      const text = form.dataset.totalText ?? "";
      if (!chosen.all && size === 0) return "";
      if (!chosen.all && size === here) return `${shown(size)} selected`;
      if (!chosen.all) return `${here ? `${shown(here)} selected here, ${shown(size - here)}` : `${shown(size)} selected`} on other pages`;
      if (text.endsWith("+") || total() === Infinity) return `All ${text || "matching"} selected${size ? `, but for ${shown(size)}` : ""}`;
      return `${shown(Math.max(total() - size, 0))} selected`;
    }

    function show() {
      for (const box of boxes()) box.checked = chosen.has(box.value);
      const ticked = boxes().filter((box) => box.checked).length;
      if (everything) {
        everything.checked = ticked > 0 && ticked === boxes().length;
        everything.indeterminate = ticked > 0 && !everything.checked;
      }
      if (matching) {
        matching.hidden = !chosen.all && !(everything?.checked && total() > boxes().length);
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
      else if (event.target.name === "ids") for (const box of boxes()) chosen.put(box.value, box.checked);
      else return;
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
    new MutationObserver(show).observe(form, { attributeFilter: ["data-total", "data-total-text"] });
    chosen.recall();
    show();
  }

  backdesk.part("form:has(input[type=checkbox][name=ids])", selection);
})();
