// Before the first paint: the theme that was chosen last, so that the page does not flash.
(function () {
  let chosen = null;
  try {
    chosen = localStorage.getItem("mts-theme");
  } catch {
    chosen = null; // storage may be forbidden: then the system's theme it is
  }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
