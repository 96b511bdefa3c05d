/* The ordering screen: saves while you type, searches the catalogue with the keyboard, steps quantities.
   The same form works with its buttons where this does not run. */
(() => {
  const form = document.getElementById("order-form");
  if (!form) return;
  const AGAIN_MS = 5000, STOPPED_MS = 60000, CLICK_MS = 100, SAVING = "Saving…";
  const autosave = () => document.getElementById("autosave");
  const state = (text) => {
    const node = document.getElementById("save-state");
    /* While two versions wait for a choice nothing is being saved; and other words would move the buttons under the finger. */
    if (text === SAVING && document.getElementById("conflict")?.firstElementChild) return;
    /* The same words again would be read aloud again. */
    if (node && node.textContent !== text) node.textContent = text;
  };

  /* A page that answered a button is gone from the browser's memory once it is left: Back asks for it anew instead of failing. */
  history.replaceState(history.state, "", location.href);

  /* The page of a new order becomes that order's page with its first save: requests go to where the page is now. */
  document.addEventListener("htmx:configRequest", (event) => {
    if (event.detail.verb === "post" && form.contains(event.detail.elt)) event.detail.path = location.pathname + location.search;
  });

  /* What needs script works from here on. */
  const wire = (root) => {
    for (const button of root.querySelectorAll("[data-step]")) button.disabled = false;
    const box = root.querySelector("[data-combobox]");
    if (box) {
      box.setAttribute("role", "combobox");
      box.setAttribute("aria-autocomplete", "list");
      box.setAttribute("aria-expanded", "false");
    }
    for (const option of root.querySelectorAll('button[role="option"]')) option.tabIndex = -1;
    /* Typing in the search is no edit of the order. */
    for (const apart of root.querySelectorAll("[data-apart]")) {
      for (const kind of ["input", "change"]) apart.addEventListener(kind, (event) => event.stopPropagation());
    }
  };
  document.addEventListener("htmx:load", (event) => {
    if (!form.contains(event.target)) return;
    wire(event.target.parentElement ?? event.target);
    const box = form.querySelector("[data-combobox]");
    if (box) {
      box.setAttribute("aria-expanded", String(form.querySelector('[role="option"]') !== null));
      box.removeAttribute("aria-activedescendant");
    }
  });

  /* Rows of a spreadsheet that are pasted into the search go where rows belong. */
  form.addEventListener("paste", (event) => {
    const text = event.clipboardData?.getData("text/plain") ?? "", box = document.getElementById("id_paste");
    if (!box || !event.target.matches("[data-combobox]") || !/[\t\n]/.test(text.trim())) return;
    event.preventDefault();
    document.getElementById("paste").open = true;
    box.value = text;
    document.getElementById("paste-add").click();
  });

  /* --- quantities */
  form.addEventListener("click", (event) => {
    const button = event.target.closest("[data-step]");
    const field = button?.parentElement.querySelector("input");
    if (!field || !/^\d{0,8}$/.test(field.value.trim())) return;
    field.value = String(Math.max(1, Number(field.value) + Number(button.dataset.step)));
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });

  /* --- search: arrows choose, Enter takes, Escape closes */
  const options = () => [...form.querySelectorAll('#hits [role="option"]')];
  const activate = (box, chosen) => {
    for (const option of options()) option.setAttribute("aria-selected", String(option === chosen));
    if (chosen) box.setAttribute("aria-activedescendant", chosen.id); else box.removeAttribute("aria-activedescendant");
    chosen?.scrollIntoView({ block: "nearest" });
  };
  form.addEventListener("keydown", (event) => {
    const box = event.target.closest("[data-combobox]");
    if (!box) return;
    const all = options(), at = all.findIndex((option) => option.getAttribute("aria-selected") === "true");
    if (event.key === "ArrowDown" && all.length) activate(box, all[(at + 1) % all.length]);
    else if (event.key === "ArrowUp" && all.length) activate(box, all[at < 1 ? all.length - 1 : at - 1]);
    else if (event.key === "Enter") { if (at >= 0 && all[at] instanceof HTMLButtonElement) all[at].click(); else if (at < 0 && all[0] instanceof HTMLButtonElement) activate(box, all[0]); }
    else if (event.key === "Escape" && all.length) { document.getElementById("hits").replaceChildren(); box.setAttribute("aria-expanded", "false"); activate(box, null); }
    else return;
    event.preventDefault();
  });

  /* --- saving */
  let edits = 0, sent = 0, asking = 0, timer = 0, left = false, pressing = false, missed = false;
  const save = () => autosave()?.dispatchEvent(new CustomEvent("portal:save"));
  /* From the first letter on the page does not say any more that all is saved. */
  const edited = () => { edits += 1; if (autosave()) state(SAVING); };
  form.addEventListener("input", edited);
  form.addEventListener("change", edited);
  /* A pressed button saves everything itself: nothing is sent after it, and no answer is taken that comes after it,
     until the page is seen again or the browser's way to the next page was stopped. */
  form.addEventListener("submit", (event) => {
    if (event.defaultPrevented) return;
    left = true;
    setTimeout(() => { left = false; }, STOPPED_MS);
  });
  addEventListener("pageshow", () => { left = false; });
  /* Nor one that comes between press and release: it could move the button away from under the finger. It is asked for again. */
  document.addEventListener("pointerdown", (event) => { pressing = event.target.closest?.("button")?.form === form; });
  for (const kind of ["pointerup", "pointercancel"]) {
    addEventListener(kind, () => setTimeout(() => {
      pressing = false;
      if (missed && !left) save();
      missed = false;
    }, CLICK_MS));
  }
  document.addEventListener("htmx:beforeOnLoad", (event) => {
    if (left) { event.preventDefault(); return; }
    if (pressing && event.target === autosave()) { missed = true; event.preventDefault(); }
  });
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (left) { event.preventDefault(); return; }
    if (event.target === autosave()) { sent = edits; state(SAVING); }
    else if (event.detail.target?.id === "items") { asking += 1; state(SAVING); }
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    const target = event.target;
    clearTimeout(timer);
    if (target === autosave()) {
      if (event.detail.successful) {
        if (asking || sent !== edits) state(SAVING);
        else if (event.detail.xhr.getResponseHeader("X-Saved") === "yes") document.dispatchEvent(new CustomEvent("portal:saved"));
      } else {
        state(`Not saved. ${event.detail.xhr.status ? "The portal could not answer" : "No connection"}; what you typed stays here and is sent again.`);
        timer = setTimeout(save, AGAIN_MS);
      }
    } else if (event.detail.target?.id === "items") {
      /* What a button changed on the screen no save has sent yet. */
      asking -= 1;
      if (event.detail.successful) edits += 1; else save();
    }
  });
  /* What was said stays until something else is said: the save that follows has nothing to say. */
  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    const { target, fragment } = event.detail;
    if (target.id === "messages" && !fragment.querySelector(".note-bar")) event.detail.shouldSwap = false;
  });
  /* What a button changed on the screen is saved like what was typed. */
  document.addEventListener("htmx:afterSettle", (event) => { if (event.target.id === "items") save(); });
  /* The sums of the lines, and what is wrong with their quantities, of those that are on the screen when the answer comes. */
  document.addEventListener("htmx:beforeOnLoad", (event) => {
    const node = autosave();
    if (event.target !== node) return;
    const fixed = node.getAttribute("hx-select-oob").split(",").filter((one) => !/^#(amount|said|margin|note)-/.test(one));
    node.setAttribute("hx-select-oob", [...fixed, ...[...form.querySelectorAll('[id^="amount-"], [id^="margin-"], [id^="note-"], [data-said]')].map((one) => `#${one.id}`)].join(","));
  });
  /* The field itself stays, with what is typed in it: it only says whether it is right. */
  document.addEventListener("htmx:oobAfterSwap", () => {
    for (const said of form.querySelectorAll("[data-said]")) {
      const field = document.getElementById(said.dataset.said), text = said.querySelector("[id]");
      if (!field || field.matches('[aria-describedby~="fix-reason"]')) continue;
      if (text) { field.setAttribute("aria-invalid", "true"); field.setAttribute("aria-describedby", text.id); }
      else { field.removeAttribute("aria-invalid"); field.removeAttribute("aria-describedby"); }
    }
  });
  /* Letters that come after the focus was set move what is below them: the reason comes into sight again with its field. */
  addEventListener("load", async () => {
    await document.fonts.ready;
    if (document.activeElement?.matches('[aria-describedby~="fix-reason"]')) document.getElementById("fix-reason").scrollIntoView({ block: "nearest" });
  });
  addEventListener("online", save);
  /* A button that was pressed before the script took it over came back as a page that shows what is not saved yet. */
  if (form.hasAttribute("data-typed")) addEventListener("load", save);
  form.addEventListener("click", (event) => { if (event.target.closest("[data-discard]")) document.dispatchEvent(new CustomEvent("portal:saved")); });
  wire(form);
})();
