/* Live rows, running ages, one press one request. All of it decorates pages that work without it. */
(() => {
  const BUSY_MS = 4000, CALM_MS = 30000, BACKOFF_MS = 60000, FAILURES_UNTIL_PAUSED = 3;
  const live = document.getElementById("live");
  const announce = document.getElementById("announce");
  const trouble = document.getElementById("trouble");

  /* Things that only work with script show only with script. */
  const showScripted = () => document.querySelectorAll("[data-theme-toggle], [data-copy], .live-line").forEach((node) => node.removeAttribute("hidden"));
  showScripted();
  document.addEventListener("htmx:afterSwap", showScripted);

  /* --- ages */
  const age = (then) => {
    const seconds = Math.max(0, Math.floor((Date.now() - then) / 1000));
    if (seconds < 60) return `${seconds} s`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
    return seconds < 86400 ? `${Math.floor(seconds / 3600)} h` : "";
  };
  const tickAges = () => {
    for (const node of document.querySelectorAll("time[data-age], time[data-ago]")) {
      const words = age(Date.parse(node.dateTime));
      if (!words) continue;
      const text = "ago" in node.dataset ? `${words} ago` : words;
      if (node.textContent !== text) node.textContent = text;
    }
  };
  setInterval(tickAges, 5000);

  /* --- one press, one request: the token on the server is the guard, this only shows that the press was heard */
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || !("once" in form.dataset)) return;
    if (form.dataset.sending) { event.preventDefault(); return; }
    form.dataset.sending = "yes";
    for (const button of form.querySelectorAll("button")) button.setAttribute("aria-disabled", "true");
  });
  addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sending]")) {
      delete form.dataset.sending;
      for (const button of form.querySelectorAll("button")) button.removeAttribute("aria-disabled");
    }
  });

  /* --- a form that was typed into warns before it is left */
  let unsaved = false;
  document.addEventListener("input", (event) => { if (event.target.closest?.("form[data-unsaved]")) unsaved = true; });
  document.addEventListener("submit", () => { unsaved = false; });
  document.addEventListener("portal:saved", () => { unsaved = false; });
  addEventListener("beforeunload", (event) => { if (unsaved) event.preventDefault(); });

  /* --- what draft-keeper.js keeps on this device goes at sign-out, and once a button led on from the page that it was typed on */
  const forget = (goes) => {
    try { for (const key of Object.keys(localStorage)) if (key.startsWith("draft:") && goes(key)) localStorage.removeItem(key); } catch { /* storage is off */ }
  };
  document.addEventListener("submit", (event) => { if (event.target.matches("[data-sign-out]")) forget(() => true); });
  const order = location.pathname.match(/^\/orders\/SO-\d+\//)?.[0];
  if (order && location.pathname !== `${order}edit/`) {
    forget((key) => (key.endsWith(`:${order}edit/`) || key.endsWith(":/orders/new/")) && localStorage.getItem(key).includes('"sent":true'));
  }

  /* --- the status filter sends itself when it is closed with Escape or a press outside */
  document.addEventListener("keydown", (event) => {
    const open = event.key === "Escape" && event.target.closest?.("details.filter[open]");
    if (open) { open.open = false; open.querySelector("summary").focus(); }
  });
  document.addEventListener("click", (event) => {
    for (const open of document.querySelectorAll("details.filter[open]")) if (!open.contains(event.target)) open.open = false;
  });

  /* --- what the chosen country demands is not optional */
  document.addEventListener("change", (event) => {
    if (event.target.name !== "country") return;
    for (const node of event.target.form?.querySelectorAll("[data-optional-unless]") ?? []) node.hidden = node.dataset.optionalUnless.split(" ").includes(event.target.value);
  });

  /* --- errors of requests are always seen */
  const say = (text) => { if (trouble) trouble.textContent = text; };
  document.addEventListener("htmx:responseError", (event) => {
    if (event.target !== live) say(`That did not work (${event.detail.xhr.status}). Reload the page and try again.`);
  });
  /* A page that is being left breaks off its requests: no trouble. */
  let isLeaving = false;
  document.addEventListener("submit", () => { isLeaving = true; });
  addEventListener("pagehide", () => { isLeaving = true; });
  addEventListener("pageshow", () => { isLeaving = false; });
  document.addEventListener("htmx:sendError", (event) => {
    if (event.target !== live && !isLeaving) say("No connection. Nothing was sent; try again.");
  });

  if (!live) return;

  /* --- live rows */
  const line = document.querySelector("#live-line .live");
  const checked = document.querySelector("[data-checked]");
  const waiting = new Map();
  let failures = 0, timer = 0, lastChecked = Date.now();

  const isHeld = (row) => row.contains(document.activeElement) || row.querySelector(":popover-open") !== null;
  const someWait = () => document.querySelector('[data-status="provisioning_started"], [data-status="provisioning_finished"]') !== null;
  const schedule = () => {
    clearTimeout(timer);
    if (document.hidden) return;
    timer = setTimeout(() => document.body.dispatchEvent(new CustomEvent("portal:tick")), failures ? Math.min(BACKOFF_MS, BUSY_MS * 2 ** failures) : someWait() ? BUSY_MS : CALM_MS);
  };
  const showState = () => {
    if (!line) return;
    const paused = failures >= FAILURES_UNTIL_PAUSED;
    line.dataset.state = paused ? "paused" : "live";
    line.textContent = paused ? "Paused, no connection" : "Live";
    if (checked) checked.textContent = `${age(lastChecked) || "long"} ago`;
  };

  /* A row whose card is open or that holds the focus stays as it is until it is let go; its new state waits here. */
  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    const row = event.detail.target;
    if (!(row instanceof HTMLTableRowElement) || !isHeld(row)) return;
    event.detail.shouldSwap = false;
    const fresh = event.detail.fragment.querySelector?.("tr") ?? event.detail.fragment;
    waiting.set(row.id, fresh.cloneNode(true));
    const stamp = row.querySelector('input[name="row"]'), next = fresh.querySelector?.('input[name="row"]');
    if (stamp && next) stamp.value = next.value;
  });
  const letGo = () => setTimeout(() => {
    for (const [id, fresh] of waiting) {
      const row = document.getElementById(id);
      if (row && isHeld(row)) continue;
      waiting.delete(id);
      if (!row) continue;
      fresh.classList.add("just-changed");
      fresh.removeAttribute("hx-swap-oob");
      row.replaceWith(fresh);
      htmx.process(fresh);
      fresh.querySelectorAll("[data-copy]").forEach((node) => node.removeAttribute("hidden"));
    }
  }, 50);
  document.addEventListener("focusout", letGo);
  document.addEventListener("toggle", letGo, true);

  /* The page of one order follows by itself unless somebody reads or types in it; then it only offers to. */
  const isReading = () => document.querySelector("main details[open], main :popover-open") !== null || document.querySelector("main")?.contains(document.activeElement);
  const follow = () => { if (document.querySelector("[data-changed]") && !isReading()) location.reload(); };

  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.target !== live) return;
    follow();
    failures = event.detail.successful ? 0 : failures + 1;
    if (event.detail.successful) lastChecked = Date.now();
    document.querySelectorAll("[data-copy][hidden]").forEach((node) => node.removeAttribute("hidden"));
    showState();
    schedule();
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) clearTimeout(timer);
    else document.body.dispatchEvent(new CustomEvent("portal:tick"));
  });
  setInterval(showState, 1000);
  schedule();
})();
