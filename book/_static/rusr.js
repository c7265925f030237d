// The theme's own script would complain that no mode was chosen; it is loaded after this one.
document.documentElement.dataset.mode ||= "auto";

// Accessibility that the theme leaves open: names that hold the visible text, lists with items, and scrollable parts
// that keys can reach. After "load", when the theme has drawn its icons.
window.addEventListener("load", () => {
  for (const icon of document.querySelectorAll(".theme-switch-button > *")) icon.setAttribute("aria-hidden", "true");
  for (const element of document.querySelectorAll("button[aria-label], summary[aria-label]")) {
    const text = element.textContent.trim().replace(/\s+/g, " ");
    const label = element.getAttribute("aria-label");
    if (text && !label.includes(text)) element.setAttribute("aria-label", `${text} (${label})`);
  }
  for (const item of document.querySelectorAll(".citation-list > *")) item.setAttribute("role", "listitem");
  for (const element of document.querySelectorAll(".bd-article table, .cell_output, .highlight pre")) {
    if (element.scrollWidth > element.clientWidth) element.tabIndex = 0;
  }
});

// A printed table keeps its columns where the page is narrow: its letters shrink until the longest line fits. It is
// measured when it is first seen, since a prediction may veil it, and whenever its width changes. Letters that nobody could
// read are worse than lines that wrap.
(() => {
  const SMALLEST = 7.5, ADVANCE = 0.605; // CSS pixels; the width of a letter of fixed width by its size
  const fit = (pre) => {
    const lines = pre.textContent.split("\n").filter((line) => /\S {2,}\S|^-{20,}$/.test(line.trim()));
    const longest = Math.max(0, ...lines.map((line) => line.trimEnd().length));
    pre.style.fontSize = "";
    const style = getComputedStyle(pre), room = pre.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    const size = room / longest / ADVANCE;
    if (longest && size >= SMALLEST && size < parseFloat(style.fontSize)) pre.style.fontSize = `${size}px`;
  };
  const seen = new ResizeObserver((entries) => entries.forEach(({ target }) => fit(target)));
  document.addEventListener("DOMContentLoaded", () => document.querySelectorAll(".cell_output pre").forEach((pre) => seen.observe(pre)));
})();

// On a phone the rows of a table stand below each other, and each cell says its column: figures.table writes that by
// itself, for the tables of the text it is done here, before formulas are drawn.
document.addEventListener("DOMContentLoaded", () => {
  for (const table of document.querySelectorAll(".bd-article table:not(.rusr-table)")) {
    const heads = [...table.querySelectorAll("thead th")].map((head) => head.textContent.trim().replace(/\\[()]/g, ""));
    if (!heads.length) continue;
    table.classList.add("rusr-stacked");
    for (const row of table.querySelectorAll("tbody tr")) {
      [...row.cells].forEach((cell, i) => {
        if (!cell.textContent.trim()) cell.classList.add("rusr-nothing");
        else if (i && heads[i]) cell.dataset.column = heads[i];
      });
    }
  }
});
