// How many rows a list has, asked for once its page is there: the number goes wherever the page has room for it.
(() => {
  const all = (selector) => document.querySelectorAll(selector);

  /** Put the number where it is waited for; what is shown only while it is not exact is shown or hidden. */
  function fill({ count, more, text }) {
    for (const place of all("[data-count], [data-count-text]")) place.textContent = text;
    for (const place of all("[data-count-known]")) place.hidden = !text;
    for (const place of all("[data-count-more]")) place.hidden = !more;
    for (const form of all("form[data-selection]")) {
      form.dataset.total = count === null ? "" : more ? count + 1 : count;
      form.dataset.totalText = text;
    }
  }

  async function ask(url) {
    const response = await fetch(url, { headers: { Accept: "application/json" } });
    if (!response.ok || response.redirected) throw new Error(response.status);
    return response.json();
  }

  backdesk.part("[data-count][data-src]", async (place) => {
    try {
      fill(await ask(place.dataset.src));
    } catch {
      place.textContent = ""; // the list can do without it
    }
  });

  backdesk.part("a[data-count-exactly]", (link) => {
    link.addEventListener("click", async (event) => {
      event.preventDefault();
      link.setAttribute("aria-busy", "true");
      try {
        const answer = await ask(link.href);
        if (answer.count === null) link.replaceWith("too many to count in time");
        else fill(answer);
      } catch {
        location.assign(link.href);
      }
    });
  });
})();
