/* The customer's page: says that it was read once it was in view for two seconds. Nothing else is sent by itself. */
(() => {
  const address = document.querySelector("[data-opened]")?.dataset.opened;
  if (!address) return;
  let timer = 0;
  const look = () => {
    clearTimeout(timer);
    if (document.visibilityState !== "visible") return;
    timer = setTimeout(() => {
      document.removeEventListener("visibilitychange", look);
      fetch(address, { method: "POST", credentials: "same-origin" }).catch(() => {});
    }, 2000);
  };
  document.addEventListener("visibilitychange", look);
  look();
})();
