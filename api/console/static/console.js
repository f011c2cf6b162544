// The console's own script: arrow keys step through a replay. Everything works without it.
"use strict";
document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const typing = event.target instanceof Element && event.target.closest("input, select, textarea, [tabindex='0']");
  if (typing) return;
  const step = { ArrowLeft: "back", ArrowRight: "on" }[event.key];
  const link = step && document.querySelector(`a[data-step="${step}"]`);
  if (link) {
    event.preventDefault();
    link.click();
  }
});
