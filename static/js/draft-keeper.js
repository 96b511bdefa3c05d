/* Edits that are not saved yet stay on this device: for each person and draft, never with the internal note, until they are saved,
   thrown away, or the person signs out. What costs and margins are, no form has. */
(() => {
  const PREFIX = "draft:", KEPT_MS = 30 * 24 * 3600 * 1000;   /* portal.js knows the prefix, too */
  const LEFT_OUT = /^(csrfmiddlewaretoken|token|action|internal_note|q|customer_q|replacing|paste|their_version|removed_.*)$/;
  const user = document.body.dataset.user;
  if (!user) return;
  const keyOf = (path) => `${PREFIX}${user}:${path}`;
  /* Storage may be off or full: then the device keeps nothing, and all else works. */
  const read = (key) => { try { return JSON.parse(localStorage.getItem(key)); } catch { return null; } };
  const write = (key, kept) => { try { localStorage.setItem(key, JSON.stringify(kept)); } catch { /* see above */ } };
  const drop = (key) => { try { localStorage.removeItem(key); } catch { /* see above */ } };

  const form = document.getElementById("order-form");
  if (!form) return;
  const entries = () => Object.fromEntries([...new FormData(form)].filter(([name, value]) => !LEFT_OUT.test(name) && typeof value === "string"));
  const same = (one, other) => {
    const names = new Set([...Object.keys(one), ...Object.keys(other)]);
    return [...names].every((name) => /version$/.test(name) || (one[name] ?? "").replace(/\r\n/g, "\n") === (other[name] ?? "").replace(/\r\n/g, "\n"));
  };
  const hold = (sent) => write(keyOf(location.pathname), { at: Date.now(), sent, entries: entries() });
  const forget = () => { drop(keyOf(location.pathname)); drop(keyOf("/orders/new/")); };

  form.addEventListener("input", () => hold(false));
  form.addEventListener("change", () => hold(false));
  form.addEventListener("submit", (event) => { if (!event.defaultPrevented && read(keyOf(location.pathname))) hold(true); });
  document.addEventListener("htmx:afterSettle", (event) => { if (event.target.id === "items") hold(false); });
  document.addEventListener("portal:saved", forget);

  /* What was kept the last time, unless it is what the page shows, or the page shows what came back to be corrected. */
  const key = keyOf(location.pathname), kept = read(key), offer = document.getElementById("kept-offer");
  if (form.matches("[data-typed], [data-wrong]")) { hold(false); return; }
  if (!kept || !offer) return;
  if (Date.now() - kept.at > KEPT_MS) { drop(key); return; }
  if (same(kept.entries, entries())) { drop(key); return; }
  const place = document.getElementById("kept");
  place.replaceChildren(offer.content.cloneNode(true));
  const at = place.querySelector("[data-kept-at]");
  at.textContent = new Date(kept.at).toLocaleString(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
  const close = () => { place.replaceChildren(); document.getElementById("main").focus(); };
  place.querySelector("[data-throw-away]").addEventListener("click", () => { drop(key); close(); });
  place.querySelector("[data-put-back]").addEventListener("click", () => {
    for (const [name, value] of Object.entries(kept.entries)) {
      const field = name.startsWith("lines-") ? null : form.elements[name];
      if (field instanceof HTMLElement && "value" in field) field.value = value;
    }
    close();
    document.getElementById("put-back").dispatchEvent(new CustomEvent("portal:put-back"));
  });
  /* The rows come from the server as they were typed; then all is saved as if it had been typed now. */
  document.addEventListener("htmx:configRequest", (event) => {
    if (event.detail.elt.id !== "put-back") return;
    event.detail.path = location.pathname + location.search;
    for (const [name, value] of Object.entries({ ...entries(), ...kept.entries })) {
      if (!name.startsWith("lines-") || name in kept.entries) event.detail.parameters[name] = value;
    }
    for (const name of ["csrfmiddlewaretoken", "token", "internal_note"]) event.detail.parameters[name] = form.elements[name]?.value ?? "";
    event.detail.parameters.action = "totals";
  });
})();
