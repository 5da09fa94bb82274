// Keys that make the pages quicker to use; nothing here is needed to use them.
(function () {
  "use strict";

  const all = (selector, within) => Array.from((within || document).querySelectorAll(selector));
  let waiting = 0;

  function isTyping(target) {
    return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
  }

  // The rows of lists, each by its first link.
  function rows() {
    return all("[data-row]").map((row) => row.querySelector("a")).filter(Boolean);
  }

  function move(by) {
    const links = rows();
    if (!links.length) return;
    const own = document.activeElement.closest("[data-row]");
    const now = own ? links.indexOf(own.querySelector("a")) : -1;
    const next = Math.min(Math.max(now + by, 0), links.length - 1);
    links[now < 0 ? 0 : next].focus();
    document.activeElement.scrollIntoView({ block: "nearest" });
  }

  function search() {
    const field = document.querySelector("main input[type=search], input[type=search]");
    if (!field) return false;
    field.focus();
    field.select();
    return true;
  }

  function go(key) {
    const link = all("a[data-key]").find((a) => a.dataset.key === key);
    if (link) link.click();
    return Boolean(link);
  }

  function help() {
    const dialog = document.getElementById("keys");
    if (!dialog) return false;
    if (dialog.open) dialog.close();
    else dialog.showModal();
    return true;
  }

  function pressed(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (isTyping(event.target)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (waiting) {
      clearTimeout(waiting);
      waiting = 0;
      if (go(event.key)) event.preventDefault();
      return;
    }
    if (event.key === "/" && search()) event.preventDefault();
    else if (event.key === "?" && help()) event.preventDefault();
    else if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "g") waiting = setTimeout(() => { waiting = 0; }, 1200);
  }

  document.addEventListener("keydown", pressed);
  all("[data-opens=keys]").forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", help);
  });
})();
