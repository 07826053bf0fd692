// What a page needs beside htmx: the search over a list of boxes, and one box that checks all that are shown.
(() => {
  "use strict";

  const shown = (list) => [...list.children].filter((item) => !item.hidden);

  document.addEventListener("input", (event) => {
    const list = event.target.dataset && document.getElementById(event.target.dataset.filters);
    if (!list) return;
    const wanted = event.target.value.trim().toLowerCase();
    for (const item of list.children) item.hidden = !item.textContent.toLowerCase().includes(wanted);
  });

  document.addEventListener("change", (event) => {
    const list = event.target.dataset && document.getElementById(event.target.dataset.checksAll);
    if (!list) return;
    for (const item of shown(list)) item.querySelector("input").checked = event.target.checked;
  });

  // A form that asks for a preview while it is filled in is still sent as a form.
  document.addEventListener("click", (event) => {
    if (event.target.matches("button[data-plain]") && event.target.form.reportValidity()) {
      event.preventDefault();
      HTMLFormElement.prototype.submit.call(event.target.form);
    }
  });
})();
